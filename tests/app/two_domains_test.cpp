// elbo train --with, and translate, as a user meets them.
#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "kernels/math/philox.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

/// A run `r` of two views of one number, a.npy of 3 columns and b.npy of 2; of b some rows are
/// missing.  names-a.csv, names-b.csv: named rows.
class TwoViews : public testing::Test {
 protected:
  static inline std::unique_ptr<TemporaryFolder> folder;

  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    constexpr long rows = 400;
    std::vector<float> a, b;
    for (long r = 0; r < rows; ++r) {
      const auto normal = [&](int i) {
        return float(Philox::at(std::uint32_t(i / 4), std::uint32_t(r), 0, 0, 5).normal(i % 4));
      };
      for (int c = 0; c < 3; ++c) a.push_back(2 * normal(0) + 0.3f * normal(1 + c));
      for (int c = 0; c < 2; ++c)
        b.push_back(r % 5 == 4 ? NAN : 1 - normal(0) + 0.3f * normal(4 + c));
    }
    write_npy(*folder / "a.npy", rows, 3, a.data());
    write_npy(*folder / "b.npy", rows, 2, b.data());
    write_npy(*folder / "short.npy", rows - 1, 2, b.data());
    folder->with("names-a.csv", "row,u,v\nx,1,2\ny,3,4\nz,5,6\n");
    folder->with("names-b.csv", "row,w\nz,0.5\nx,0.1\ny,0.3\n");
    folder->with("names-c.csv", "row,w\nz,0.5\nx,0.1\nq,0.3\n");
    const Outcome trained = run(*folder, train({"a.npy", "--with", "b.npy"}, "r"));
    ASSERT_EQ(trained.status, 0) << trained.error;
    EXPECT_NE(trained.error.find("bound"), std::string::npos) << trained.error;
    const Outcome single = run(*folder, train({"a.npy"}, "one"));
    ASSERT_EQ(single.status, 0) << single.error;
  }
  static void TearDownTestSuite() { folder.reset(); }

  static Words train(Words words, const std::string& out, int epochs = 60) {
    words.insert(words.begin(), "train");
    for (const char* word : {"--likelihood", "gaussian", "--sigma", "shared", "--hidden", "none",
                             "--latent", "2", "--batch", "50", "--lr", "0.03", "--out"})
      words.push_back(word);
    words.insert(words.end(), {out, "--epochs", std::to_string(epochs)});
    return words;
  }
};

TEST_F(TwoViews, translate_one_into_the_other_both_ways) {
  const Dataset a = read_npy(*folder / "a.npy"), b = read_npy(*folder / "b.npy");
  for (const bool to_second : {true, false}) {
    const Outcome made = run(*folder, {"translate", "r", to_second ? "a.npy" : "b.npy", "--to",
                                       to_second ? "B" : "A", "--samples", "0", "--out", "t.npy"});
    ASSERT_EQ(made.status, 0) << made.error;
    const Dataset got = read_npy(*folder / "t.npy"), &wanted = to_second ? b : a;
    ASSERT_EQ(got.rows, wanted.rows);
    ASSERT_EQ(got.columns, wanted.columns);
    double squares = 0, own = 0, mean = to_second ? 1 : 0;
    for (long r = 0; r < got.rows; ++r) {
      if (r % 5 == 4) continue;
      squares += std::pow(got.value(r, 0) - wanted.value(r, 0), 2);
      own += std::pow(wanted.value(r, 0) - mean, 2);
    }
    // Of what is shared all is known but 0.3² / (0.3² + 1) of B, and what the fit leaves.
    EXPECT_LT(squares, own / 4) << (to_second ? "to B" : "to A");
  }
}

TEST_F(TwoViews, have_draws_that_a_seed_decides_and_means_of_draws) {
  const auto made = [&](Words more) {
    more.insert(more.begin(), {"translate", "r", "a.npy", "--to", "B", "--out", "t.npy"});
    const Outcome outcome = run(*folder, more);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return read_npy(*folder / "t.npy").floats;
  };
  const std::vector<float> draw = made({"--mode", "sample", "--seed", "3"});
  EXPECT_EQ(draw, made({"--mode", "sample", "--seed", "3"}));
  EXPECT_NE(draw, made({"--mode", "sample", "--seed", "4"}));
  const std::vector<float> mean = made({}), exact = made({"--samples", "0"});
  EXPECT_NE(mean, exact);
  double of_mean = 0, of_draw = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    of_mean += std::pow(mean[i] - exact[i], 2);
    of_draw += std::pow(draw[i] - exact[i], 2);
  }
  // A mean of 64 draws has a 64th of their variance; a draw has that and the law's besides.
  EXPECT_LT(of_mean, of_draw / 32);
}

TEST_F(TwoViews, are_evaluated_encoded_reconstructed_and_sampled_side_by_side) {
  const auto does = [&](const Words& words) {
    const Outcome outcome = run(*folder, words);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return outcome.out;
  };
  const auto columns = [&] { return read_npy(*folder / "o.npy").columns; };
  EXPECT_NE(does({"evaluate", "r", "--importance-samples", "5"}).find("160 of 2000 entries"),
            std::string::npos);
  EXPECT_NE(does({"evaluate", "r", "--data", "a.npy"}).find("800 of 2000 entries"),
            std::string::npos)
      << "without the second domain it is missing";
  EXPECT_NE(does({"evaluate", "r", "--data", "a.npy", "--with", "b.npy"}).find("160 of 2000"),
            std::string::npos);
  does({"encode", "r", "a.npy", "--with", "b.npy", "--out", "z.npy"});
  const std::vector<float> both = read_npy(*folder / "z.npy").floats;
  does({"encode", "r", "a.npy", "--out", "o.npy"});
  const Dataset alone = read_npy(*folder / "o.npy");
  EXPECT_EQ(alone.columns, 2);
  EXPECT_NE(alone.floats[0], both[0]);
  EXPECT_EQ(alone.floats[2 * 4], both[2 * 4]) << "row 4 lacks B either way";
  does({"decode", "r", "z.npy", "--out", "o.npy"});
  EXPECT_EQ(columns(), 5);
  const std::vector<float> decoded = read_npy(*folder / "o.npy").floats;
  does({"reconstruct", "r", "a.npy", "--with", "b.npy", "--out", "o.npy"});
  EXPECT_EQ(read_npy(*folder / "o.npy").floats, decoded);
  for (const char* mode : {"mean", "sample"}) {
    does({"sample", "r", "-n", "3", "--mode", mode, "--out", "o.npy"});
    EXPECT_EQ(columns(), 5) << mode;
  }
  const std::string info = does({"info", "r", "--plan"});
  EXPECT_NE(info.find("product of experts"), std::string::npos) << info;
  EXPECT_NE(info.find("observed with them    2"), std::string::npos) << info;
}

TEST_F(TwoViews, resumed_end_in_the_same_bits) {
  const auto does = [&](Words words) {
    const Outcome outcome = run(*folder, words);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
  };
  does(train({"a.npy", "--with", "b.npy"}, "whole", 4));
  does(train({"a.npy", "--with", "b.npy"}, "parts", 2));
  does({"train", "--resume", "--out", "parts", "--epochs", "4"});
  EXPECT_EQ(content_of(*folder / "parts/model.safetensors"),
            content_of(*folder / "whole/model.safetensors"));
  std::filesystem::rename(*folder / "parts/config.toml", *folder / "again.toml");
  does({"train", "--config", "again.toml", "--out", "again"});
  EXPECT_EQ(content_of(*folder / "again/model.safetensors"),
            content_of(*folder / "whole/model.safetensors"));
}

TEST_F(TwoViews, of_named_rows_are_matched_and_held_out_together) {
  const Outcome trained =
      run(*folder, train({"names-a.csv", "--with", "names-b.csv", "--valid", "0.4"}, "named", 1));
  EXPECT_EQ(trained.status, 0) << trained.error;
  const Outcome evaluated = run(*folder, {"evaluate", "named"});
  EXPECT_EQ(evaluated.status, 0) << evaluated.error;
  EXPECT_NE(evaluated.out.find("1 data"), std::string::npos) << evaluated.out;
}

TEST_F(TwoViews, of_images_are_pictures_one_above_the_other) {
  std::string head("\x93NUMPY\1\0", 8);
  std::string shape = "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 2, 3), }";
  shape.resize(117, ' '), shape += '\n';
  head += std::string("\x76\0", 2) + shape;
  std::string pixels(36, '\0');
  for (int i = 0; i < 36; ++i) pixels[std::size_t(i)] = char(i * 7);
  folder->with("upper.npy", head + pixels);
  const Outcome trained = run(*folder, {"train", "upper.npy", "--with", "upper.npy", "--hidden",
                                        "4", "--latent", "2", "--epochs", "1", "--out", "halves"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  EXPECT_GT(content_of(*folder / "halves/reconstructions.png").size(), 0u);
  EXPECT_GT(content_of(*folder / "halves/samples.png").size(), 0u);
  const Outcome made =
      run(*folder, {"translate", "halves", "upper.npy", "--to", "B", "--out", "t.png"});
  EXPECT_EQ(made.status, 0) << made.error;
  EXPECT_TRUE(content_of(*folder / "t.png").starts_with("\x89PNG"));
}

TEST_F(TwoViews, that_do_not_fit_are_refused_in_one_line) {
  const auto refused = [&](const Words& words, int status, const std::string& says) {
    const Outcome outcome = run(*folder, words);
    EXPECT_EQ(outcome.status, status) << outcome.error;
    EXPECT_NE(outcome.error.find(says), std::string::npos) << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  };
  const auto with = [&](Words more) {
    more.insert(more.begin(), {"train", "a.npy", "--with", "b.npy", "--out", "new"});
    return more;
  };
  refused(train({"a.npy", "--with", "short.npy"}, "new"), 1, "has 399 rows");
  refused(train({"names-a.csv", "--with", "names-c.csv"}, "new"), 1, "row 'y' has no partner");
  refused(train({"a.npy", "--with", "nowhere.npy"}, "new"), 1, "nowhere.npy");
  refused(with({"--model", "ae"}), 2, "--model vae");
  refused(with({"--beta-warmup", "3"}), 2, "constant --beta");
  refused(with({"--objective", "iwae"}), 2, "--objective iwae");
  refused(with({"--corrupt", "mask:0.2"}), 2, "--corrupt");
  refused(with({"--input", "plain"}), 2, "masked has");
  refused(with({"--with-likelihood", "poisson", "--with-sigma", "shared"}), 2, "--with-sigma");
  refused(with({"--with-likelihood", "poison"}), 2, "poison");
  refused(with({"--valid", "a.npy"}), 2, "--with-valid is missing");
  refused(with({"--valid", "0.1", "--with-valid", "b.npy"}), 2, "--valid is missing");
  refused(with({"--likelihood", "poisson"}), 1, "outside the support of the poisson");
  refused({"train", "a.npy", "--with-rates", "size", "--out", "new"}, 2, "--with names its data");
  refused({"translate", "one", "a.npy", "--to", "B", "--out", "t.npy"}, 1, "has one domain");
  refused({"translate", "r", "b.npy", "--to", "B", "--out", "t.npy"}, 1,
          "b.npy: has 2 columns, domain A has 3");
  refused({"translate", "r", "a.npy", "--to", "C", "--out", "t.npy"}, 2, "--to");
  refused({"translate", "r", "a.npy", "--out", "t.npy"}, 2, "--to");
  refused({"translate", "r", "a.npy", "--to", "B", "--samples", "-1", "--out", "t.npy"}, 2, "-1");
  refused({"translate", "r", "a.npy", "--to", "B", "--out", "t.png"}, 1, "no images");
  refused({"sample", "r", "--mode", "params", "--out", "t.npy"}, 1, "parameters of their own");
  EXPECT_FALSE(std::filesystem::exists(*folder / "new"));
}

}  // namespace
}  // namespace elbo::test
