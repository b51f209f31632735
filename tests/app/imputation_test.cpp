// `elbo restore` and `elbo impute`, and the files that they write.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

/// A run on a table with names, in which entries are missing; and one on spoilt digits.
class Restorer : public testing::Test {
 protected:
  static inline std::unique_ptr<TemporaryFolder> folder;
  static inline const std::string head = ",\"width, mm\",mass\n";
  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    std::string table = head, whole = head;
    for (int i = 0; i < 60; ++i) {
      const std::string name = "n" + std::to_string(i), x = std::to_string(0.1 * (i % 7) - 0.3);
      table += name + ',' + (i % 3 ? x : "") + ',' + (i % 5 ? x : "NA") + '\n';
      whole += name + ',' + x + ',' + x + '\n';
    }
    folder->with("table.csv", table), folder->with("whole.csv", whole);
    train("t", "table.csv", {"--likelihood", "gaussian", "--input", "indicated"});
    train("d", "builtin:digits?n=200", {"--corrupt", "salt:0.3"});
  }
  static void TearDownTestSuite() { folder.reset(); }
  static void train(const std::string& name, const std::string& data, const Words& more) {
    Words words{"train", data, "--out", name, "--hidden", "16", "--latent", "2", "--epochs", "3"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome trained = run(*folder, words);
    ASSERT_EQ(trained.status, 0) << trained.error;
  }
};

TEST_F(Restorer, is_trained_on_whole_data_where_only_the_validation_data_have_gaps) {
  train("g", "whole.csv", {"--likelihood", "gaussian", "--valid", "table.csv"});
  EXPECT_NE(content_of(*folder / "g/config.json").find("\"masked\""), std::string::npos);
}

TEST_F(Restorer, imputes_what_is_missing_and_leaves_the_rest_and_its_names) {
  const Outcome done = run(*folder, {"impute", "t", "table.csv", "--out", "full.csv",
                                     "--imputations", "2", "--interval", "0.9"});
  ASSERT_EQ(done.status, 0) << done.error;
  EXPECT_NE(done.out.find("32 of 120 entries imputed, of 28 of 60 data"), std::string::npos)
      << done.out;
  EXPECT_NE(done.out.find("effective sample size of 500 draws: median "), std::string::npos);
  EXPECT_EQ(done.error, "");
  const Dataset given = read_dataset(*folder / "table.csv");
  std::vector<Dataset> written;
  for (const char* end : {"", "-1", "-2", "-lower", "-upper"}) {
    const std::string name = *folder / (std::string("full") + end + ".csv");
    EXPECT_TRUE(content_of(name).starts_with(head)) << name;
    written.push_back(read_dataset(name));
    EXPECT_EQ(written.back().row_names, given.row_names);
    ASSERT_EQ(written.back().floats.size(), given.floats.size());
    EXPECT_EQ(written.back().missing(), 0);
  }
  for (std::size_t i = 0; i < given.floats.size(); ++i) {
    const auto at = [&](int file) { return written[std::size_t(file)].floats[i]; };
    if (std::isnan(given.floats[i])) {
      EXPECT_LT(at(3), at(0));
      EXPECT_LT(at(0), at(4));
      EXPECT_NE(at(1), at(2));
      continue;
    }
    for (int file = 0; file < 5; ++file) EXPECT_EQ(at(file), given.floats[i]);
  }
}

TEST_F(Restorer, imputes_the_same_by_the_same_seed_and_into_an_array) {
  const auto impute = [&](const std::string& out, const std::string& seed) {
    const Outcome done = run(*folder, {"impute", "t", "table.csv", "--out", out, "--seed", seed});
    EXPECT_EQ(done.status, 0) << done.error;
    return read_dataset(*folder / out).values();
  };
  const std::vector<float> once = impute("a.npy", "1");
  EXPECT_EQ(once, impute("b.csv", "1"));
  EXPECT_NE(once, impute("c.tsv", "2"));
}

TEST_F(Restorer, warns_where_few_draws_count) {
  const Outcome done =
      run(*folder, {"impute", "t", "table.csv", "--out", "few.csv", "--importance-samples", "4"});
  ASSERT_EQ(done.status, 0) << done.error;
  EXPECT_NE(done.error.find("28 of 28 data have an effective sample size below 10"),
            std::string::npos)
      << done.error;
}

TEST_F(Restorer, of_a_table_that_misses_nothing_says_so_and_copies_it) {
  const Outcome done = run(*folder, {"impute", "t", "whole.csv", "--out", "copy.csv"});
  ASSERT_EQ(done.status, 0) << done.error;
  EXPECT_EQ(done.out, "whole.csv: no entry is missing; copy.csv is a copy\n");
  const Dataset from = read_dataset(*folder / "whole.csv"), to = read_dataset(*folder / "copy.csv");
  EXPECT_EQ(from.values(), to.values());
  EXPECT_EQ(from.column_names, to.column_names);
}

TEST_F(Restorer, spoils_and_restores_and_says_both_errors) {
  const std::string data = "builtin:digits?n=80&seed=5";
  const Words words{"restore", "d", data, "--corrupt", "salt:0.3", "--out", "r.npy", "--json"};
  const Outcome done = run(*folder, words);
  ASSERT_EQ(done.status, 0) << done.error;
  const auto json = nlohmann::json::parse(done.out);
  EXPECT_EQ(json.at("count"), 80);
  // The restored images are what the second figure measures.
  const std::vector<float> restored = read_npy(*folder / "r.npy").values(),
                           clean = read_dataset(data).values();
  ASSERT_EQ(restored.size(), clean.size());
  double error = 0, spoilt = 0;
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const double x = clean[i], off = x - double(restored[i]);
    error += off * off / 80, spoilt += 0.15 * (x * x + (1 - x) * (1 - x)) / 80;
  }
  EXPECT_NEAR(json.at("restored_squared_error").get<double>(), error, 1e-9 * error);
  // In expectation; the 80 images' 62720 entries have variances below 0.15 each.
  EXPECT_NEAR(json.at("corrupted_squared_error").get<double>(), spoilt,
              4 * std::sqrt(0.15 * 62720) / 80);
  Words other = words;
  other.insert(other.end(), {"--seed", "1"});
  EXPECT_NE(run(*folder, other).out, done.out);
}

TEST_F(Restorer, restores_data_as_they_are_into_tables_and_pictures) {
  const std::string data = "builtin:digits?n=20";
  // Without draws it is what reconstruct does; with them it is not.
  ASSERT_EQ(run(*folder, {"restore", "d", data, "--out", "a.npy", "--samples", "0"}).status, 0);
  ASSERT_EQ(run(*folder, {"reconstruct", "d", data, "--out", "b.npy"}).status, 0);
  ASSERT_EQ(run(*folder, {"restore", "d", data, "--out", "c.csv", "--samples", "5"}).status, 0);
  EXPECT_EQ(read_npy(*folder / "a.npy").values(), read_npy(*folder / "b.npy").values());
  const Dataset drawn = read_dataset(*folder / "c.csv");
  EXPECT_EQ(drawn.columns, 784);
  EXPECT_NE(drawn.values(), read_npy(*folder / "a.npy").values());
  // Width and height, in pixels, stand in bytes 16 to 23 of a PNG: 16 digits wide.
  const auto height = [&](const Words& more, const std::string& out) {
    Words words{"restore", "d", data, "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(*folder, words).status, 0);
    const std::string png = content_of(*folder / out);
    EXPECT_GT(png.size(), 24u);
    return 256 * int(static_cast<unsigned char>(png[22])) + static_cast<unsigned char>(png[23]);
  };
  // Two rows of data in two, or with clean ones three, sorts, a pixel apart.
  EXPECT_EQ(height({}, "two.png"), 4 * 29 - 1);
  EXPECT_EQ(height({"--corrupt", "salt:0.3"}, "three.png"), 6 * 29 - 1);
}

}  // namespace
}  // namespace elbo::test
