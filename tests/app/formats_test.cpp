// What encode writes into files of other programs, and what inspect says of data.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/csv.h"
#include "data/hdf5_file.h"
#include "data/npy.h"
#include "kernels/math/philox.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

const std::string golden = ELBO_SOURCE_DIR "/tests/golden/formats/";

/// A run `r` that was trained on the counts of `cells.h5ad`, 6 x 5.
struct Cells : testing::Test {
  TemporaryFolder folder;
  std::string before;

  void SetUp() override {
    std::filesystem::copy(golden + "csr.h5ad", folder / "cells.h5ad");
    before = content_of(folder / "cells.h5ad");
    const Outcome trained =
        run(folder, {"train", "cells.h5ad", "--likelihood", "poisson", "--hidden", "4", "--latent",
                     "2", "--epochs", "1", "--device", "cpu", "--out", "r"});
    ASSERT_EQ(trained.status, 0) << trained.error;
    ASSERT_EQ(encode({"--out", "z.npy"}).status, 0);
  }
  Outcome encode(Words more, const std::string& data = "cells.h5ad") const {
    more.insert(more.begin(), {"encode", "r", data, "--device", "cpu"});
    return run(folder, more);
  }
  /// That a file has the latents of z.npy beside what cells.h5ad has.
  void expect_latents(const std::string& name) const {
    const Hdf5File file(folder / name);
    EXPECT_EQ(file.extents("obsm/X_elbo"), (std::vector<long>{6, 2}));
    EXPECT_EQ(file.numbers<float>("obsm/X_elbo"), read_npy(folder / "z.npy").values());
    EXPECT_EQ(file.attribute_texts("obsm/X_elbo", "encoding-type"), Words{"array"});
    EXPECT_EQ(read_dataset(folder / name).hash(), read_dataset(golden + "csr.h5ad").hash());
    EXPECT_EQ(read_dataset(folder / name).annotations.size(),
              read_dataset(golden + "csr.h5ad").annotations.size());
  }
};

TEST_F(Cells, encoded_are_a_copy_with_latents) {
  const Outcome encoded = encode({"--out", "out.h5ad"});
  ASSERT_EQ(encoded.status, 0) << encoded.error;
  EXPECT_EQ(content_of(folder / "cells.h5ad"), before);
  expect_latents("out.h5ad");
}

TEST_F(Cells, encoded_in_place_are_written_only_once_unless_forced) {
  ASSERT_EQ(encode({"--in-place"}).status, 0);
  expect_latents("cells.h5ad");
  const std::string once = content_of(folder / "cells.h5ad");
  const Outcome again = encode({"--in-place"});
  EXPECT_EQ(again.status, 1);
  EXPECT_EQ(again.error,
            "elbo: encode: cells.h5ad: has obsm/X_elbo already; --force replaces it\n");
  EXPECT_EQ(content_of(folder / "cells.h5ad"), once);
  ASSERT_EQ(encode({"--in-place", "--force"}).status, 0);
  expect_latents("cells.h5ad");
}

TEST_F(Cells, encoded_as_text_keep_their_names) {
  ASSERT_EQ(encode({"--out", "z.csv"}).status, 0);
  const Dataset z = read_csv(folder / "z.csv");
  EXPECT_EQ(z.column_names, (Words{"z1", "z2"}));
  EXPECT_EQ(z.row_names, read_dataset(folder / "cells.h5ad").row_names);
  EXPECT_EQ(z.floats, read_npy(folder / "z.npy").values());
}

TEST_F(Cells, encode_refuses_what_does_not_fit_and_leaves_the_file_alone) {
  for (const Words& words :
       {Words{}, Words{"--in-place", "--out", "x.h5ad"}, Words{"--out", "x.bmp"}})
    EXPECT_EQ(encode(words).status, 2);
  EXPECT_EQ(encode({"--in-place"}, "z.npy").status, 2);
  const Outcome part = encode({"--in-place"}, "cells.h5ad?only=line:A");
  EXPECT_EQ(part.status, 1);
  EXPECT_EQ(part.error,
            "elbo: encode: cells.h5ad: has 6 observations, obsm/X_elbo would have 3 rows\n");
  EXPECT_EQ(content_of(folder / "cells.h5ad"), before);
}

/// What inspect prints as JSON of a table that is written first.
class Inspect : public testing::Test {
 protected:
  TemporaryFolder folder;

  Json told(const std::string& data, Words more = {}) const {
    more.insert(more.begin(), {"inspect", data, "--json"});
    const Outcome outcome = run(folder, more);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return Json::parse(outcome.out);
  }
  Json of(long columns, const std::vector<float>& values, Words more = {}) const {
    write_npy(folder / "x.npy", long(values.size()) / columns, columns, values.data());
    return told("x.npy", std::move(more));
  }
  static std::string best(const Json& json) { return json.at("likelihoods").at(0).at("name"); }
  static bool notes(const Json& json, const std::string& part) {
    for (const std::string note : json.at("notes"))
      if (note.find(part) != note.npos) return true;
    return false;
  }
  static double normal(int i, int j) { return Philox::at(0, i, 0, 0, 8).normal(j); }
};

TEST_F(Inspect, recommends_a_likelihood_for_each_kind_of_numbers) {
  std::vector<float> bits, open, real, tails, counts, closed;
  for (int i = 0; i < 400; ++i) {
    const auto n = float(normal(i, 0)), m = float(normal(i, 1));
    bits.push_back(n > 0);
    open.push_back(1 / (1 + std::exp(-n)));
    closed.push_back(std::min(1.f, std::abs(n)));
    real.push_back(n);
    tails.push_back(n / std::max(std::abs(m), 0.05f));
    counts.push_back(n < 0 ? 0 : std::floor(40 * m * m));
  }
  EXPECT_EQ(best(of(4, bits)), "bernoulli");
  EXPECT_EQ(best(of(4, open)), "beta");
  EXPECT_EQ(best(of(4, closed)), "continuous_bernoulli");
  EXPECT_EQ(best(of(4, real)), "gaussian");
  EXPECT_EQ(best(of(4, tails)), "student_t");
  EXPECT_EQ(best(of(4, counts)), "negative_binomial");
  EXPECT_EQ(best(told("builtin:digits?n=40")), "discretised_logistic");
  folder.with("x.fa", ">a\nACGT\n>b\nTTGA\n");
  EXPECT_EQ(best(told("x.fa")), "categorical");
  EXPECT_EQ(told("x.fa").at("command"), "elbo train x.fa --likelihood categorical --classes 4");
}

TEST_F(Inspect, warns_where_size_dominates_counts) {
  std::vector<float> deep, even;
  for (int r = 0; r < 60; ++r)
    for (int c = 0; c < 12; ++c) {
      deep.push_back(float((c % 5) << r % 6));
      even.push_back(c / 6 == r % 2 ? 9.f : float((r + c) % 3));
    }
  const Json of_deep = of(12, deep), of_even = of(12, even);
  EXPECT_TRUE(notes(of_deep, "size dominates"));
  EXPECT_NE(of_deep.at("command").get<std::string>().find("--rates library"), std::string::npos);
  EXPECT_FALSE(notes(of_even, "size dominates"));
}

TEST_F(Inspect, counts_the_units_that_a_linear_vae_keeps) {
  // Orthogonal columns of variance 16, 1 and 0.25.
  const float signs[4][3] = {{1, 1, 1}, {-1, 1, -1}, {1, -1, -1}, {-1, -1, 1}};
  std::vector<float> values;
  for (int r = 0; r < 40; ++r)
    for (int c = 0; c < 3; ++c)
      values.push_back(signs[r % 4][c] * (c == 0 ? 4 : c == 1 ? 1 : 0.5f));
  const auto units = [](const Json& json) {
    std::vector<int> all;
    for (const Json& active : json.at("active_units")) all.push_back(active.at("units"));
    return all;
  };
  EXPECT_EQ(units(of(3, values)), (std::vector<int>{1, 2, 2, 3, 3, 3}));
  EXPECT_EQ(units(of(3, values, {"--sigma2", "0.2", "--beta", "2"})), (std::vector<int>{2}));
}

TEST_F(Inspect, says_what_is_missing_constant_or_there_twice) {
  const Json json = of(3, {1.5, 2, NAN, 2.5, 2, 7, 1.5, 2, NAN});
  EXPECT_EQ(json.at("missing"), 2);
  EXPECT_EQ(json.at("constant"), Json({1, 2}));
  EXPECT_EQ(json.at("duplicates"), 1);
  EXPECT_NE(json.at("command").get<std::string>().find("--input indicated"), std::string::npos);
}

TEST_F(Inspect, ends_in_a_command_that_trains) {
  for (const std::string data : {"builtin:digits?n=40", "cells.h5ad", "x.fa"}) {
    if (data == "cells.h5ad") std::filesystem::copy(golden + "csr.h5ad", folder / data);
    folder.with("x.fa", ">a\nACGT\n>b\nTTGA\n");
    const Outcome outcome = run(folder, {"inspect", data});
    ASSERT_EQ(outcome.status, 0) << outcome.error;
    std::istringstream lines(outcome.out);
    std::string line, last;
    while (std::getline(lines, line)) last = line;
    std::istringstream words(last);
    Words command;
    for (std::string word; words >> word;) {
      if (word.starts_with('\'')) word = word.substr(1, word.size() - 2);
      command.push_back(word);
    }
    ASSERT_EQ(command[0], "elbo") << outcome.out;
    command.erase(command.begin());
    command.insert(command.end(), {"--epochs", "1", "--hidden", "4", "--device", "cpu", "--force"});
    const Outcome trained = run(folder, command);
    EXPECT_EQ(trained.status, 0) << last << '\n' << trained.error;
  }
}

TEST_F(Inspect, of_a_broken_file_is_an_error) {
  folder.with("x.h5ad", content_of(golden + "csr.h5ad").substr(0, 9000));
  const Outcome outcome = run(folder, {"inspect", "x.h5ad"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  EXPECT_TRUE(outcome.error.starts_with("elbo: inspect: x.h5ad: is truncated")) << outcome.error;
}

TEST(Sequences, are_drawn_as_fasta_in_the_letters_of_the_training_data) {
  const TemporaryFolder folder;
  folder.with("s.fasta", ">a\nACCAACCA\n>b\nCACACCAA\n>c\nAACCACAC\n");
  const auto trained =
      run(folder, {"train", "s.fasta?alphabet=ACGT", "--likelihood", "categorical", "--latent", "2",
                   "--hidden", "4", "--epochs", "1", "--out", "r"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  ASSERT_EQ(run(folder, {"sample", "r", "-n", "3", "--mode", "sample", "--out", "x.fasta"}).status,
            0);
  ASSERT_EQ(run(folder, {"sample", "r", "-n", "3", "--mode", "sample", "--out", "x.npy"}).status,
            0);
  const Dataset letters = read_dataset(folder / "x.fasta?alphabet=ACGT");
  EXPECT_EQ(letters.row_names, (Words{"sample-1", "sample-2", "sample-3"}));
  EXPECT_EQ(letters.values(), read_npy(folder / "x.npy").values());
  // --mode mean: the letters of the largest logits, of the same latents.
  for (const Words& words : {Words{"mean", "x.fasta"}, Words{"params", "p.npy"}})
    ASSERT_EQ(run(folder, {"sample", "r", "-n", "3", "--mode", words[0], "--out", words[1]}).status,
              0);
  const std::vector<float> likely = read_dataset(folder / "x.fasta?alphabet=ACGT").values();
  const std::vector<float> logits = read_npy(folder / "p.npy").values();
  ASSERT_EQ(logits.size(), 4 * likely.size());
  for (std::size_t i = 0; i < likely.size(); ++i)
    for (std::size_t k = 0; k < 4; ++k)
      EXPECT_GE(logits[4 * i + std::size_t(likely[i])], logits[4 * i + k]) << i;
  const Outcome numbers = run(folder, {"sample", "r", "--mode", "params", "--out", "x.fasta"});
  EXPECT_EQ(numbers.status, 2);
  EXPECT_EQ(numbers.error.find("elbo: sample: --mode params: parameters are no letters"), 0u)
      << numbers.error;
}

TEST(Sequences, are_not_what_data_without_an_alphabet_are_drawn_as) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, {"train", "builtin:digits?n=50", "--hidden", "4", "--latent", "2",
                         "--epochs", "1", "--out", "r"})
                .status,
            0);
  const Outcome drawn = run(folder, {"sample", "r", "--out", "x.fasta"});
  EXPECT_EQ(drawn.status, 1);
  EXPECT_EQ(drawn.error.find("elbo: sample: --out x.fasta: builtin:digits?n=50 holds no sequences"),
            0u)
      << drawn.error;
}

}  // namespace
}  // namespace elbo::test
