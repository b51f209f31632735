// The commands that look at a run's latent space, and the detector.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/dataset.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

/// A table of four columns, of which d is b's double, with names; one row is like no other.
std::string table() {
  std::string text = "name,a,b,c,d\n";
  for (int i = 0; i < 120; ++i) {
    const double a = std::sin(i * 1.7), b = std::cos(i * 0.9), c = 0.1 * std::sin(i * 5.3);
    text += "row" + std::to_string(i) + "," + std::to_string(a) + "," + std::to_string(b) + "," +
            std::to_string(i == 77 ? 40 : c) + "," + std::to_string(2 * b) + "\n";
  }
  return text;
}

class LatentSpace : public testing::Test {
 protected:
  /// A run of images and one of the table.
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    folder_->with("t.csv", table());
    done({"train", "builtin:digits?n=300", "--out", "digits", "--hidden", "24", "--latent", "4",
          "--epochs", "8"});
    done({"train", "builtin:digits?n=300", "--out", "ae", "--model", "ae", "--hidden", "24",
          "--latent", "4", "--epochs", "8"});
    done({"train", "t.csv", "--out", "table", "--likelihood", "gaussian", "--hidden", "8",
          "--latent", "2", "--epochs", "3"});
    done({"train", "builtin:digits?n=300", "--out", "told", "--hidden", "24", "--latent", "2",
          "--epochs", "1", "--condition", "label"});
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string done(const Words& words) {
    const Outcome outcome = run(*folder_, words);
    EXPECT_EQ(outcome.status, 0) << words[0] << ": " << outcome.error;
    return outcome.out;
  }
  static std::string error_of(const Words& words) {
    const Outcome outcome = run(*folder_, words);
    EXPECT_NE(outcome.status, 0) << words[0];
    return outcome.error;
  }
  static Dataset read(const std::string& name) { return read_dataset(*folder_ / name); }
  static inline TemporaryFolder* folder_;
};

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(LatentSpace, is_sampled_from_the_prior_near_data_and_from_what_the_codes_look_like) {
  done({"sample", "table", "-n", "7", "--out", "p.csv"});
  const Dataset prior = read("p.csv");
  EXPECT_EQ(prior.rows, 7);
  EXPECT_EQ(prior.column_names, (Words{"a", "b", "c", "d"}));
  done({"sample", "table", "-n", "3", "--near", "t.csv", "--out", "n.npy"});
  EXPECT_EQ(read("n.npy").rows, 360);
  for (const char* run : {"digits", "ae"}) {
    done({"sample", run, "-n", "9", "--from", "gmm:3", "--out", "g.npy"});
    EXPECT_EQ(read("g.npy").rows, 9) << run;
  }
  expect_part(error_of({"sample", "ae", "--from", "posterior", "--out", "x.npy"}), "gmm:K");
  expect_part(error_of({"sample", "digits", "--from", "gmm:0", "--out", "x.npy"}), "gmm:K");
}

TEST_F(LatentSpace, at_temperature_zero_gives_one_datum_again_and_again) {
  done({"sample", "table", "-n", "5", "--temperature", "0", "--out", "cold.npy"});
  const Dataset cold = read("cold.npy");
  for (long r = 1; r < 5; ++r)
    for (int c = 0; c < 4; ++c) EXPECT_EQ(cold.value(r, c), cold.value(0, c));
}

TEST_F(LatentSpace, of_a_conditional_model_asks_what_it_is_told) {
  expect_part(error_of({"sample", "told", "--out", "x.npy"}), "the model is told label");
  expect_part(error_of({"sample", "digits", "--condition", "label=3", "--out", "x.npy"}),
              "the model is told none");
  done({"sample", "told", "-n", "4", "--condition", "label=3", "--out", "three.npy"});
  done({"sample", "told", "-n", "4", "--condition", "label=4", "--out", "four.npy"});
  EXPECT_NE(read("three.npy").values(), read("four.npy").values());
  done({"traverse", "told", "--condition", "label=3", "--out", "told.png"});
}

TEST_F(LatentSpace, is_traversed_unit_by_unit_the_one_of_the_largest_kl_first) {
  const std::string printed = done({"traverse", "table", "--steps", "5", "--out", "walk.csv"});
  std::istringstream lines(printed);
  std::string word, line;
  std::getline(lines, line);
  double before = INFINITY, kl;
  int first = -1;
  for (int unit; lines >> unit >> kl; std::getline(lines, line)) {
    EXPECT_LE(kl, before);
    if (first < 0) first = unit;
    before = kl;
  }
  const Dataset walked = read("walk.csv");
  ASSERT_EQ(walked.column_names, (Words{"unit", "value", "a", "b", "c", "d"}));
  ASSERT_EQ(walked.rows, 10);
  EXPECT_EQ(walked.value(0, 0), first);
  EXPECT_EQ(walked.value(0, 1), -3);
  EXPECT_EQ(walked.value(9, 1), 3);
  // Both units' rows go through the origin.
  for (int c = 2; c < 6; ++c) EXPECT_EQ(walked.value(2, c), walked.value(7, c));
  done({"traverse", "digits", "--out", "grid.png", "--start", "builtin:digits?n=5:2"});
  expect_part(error_of({"traverse", "digits", "--out", "x.png", "--start", "builtin:digits?n=5:9"}),
              "5 rows");
  expect_part(error_of({"traverse", "table", "--out", "x.png"}), "no images");
}

TEST_F(LatentSpace, is_walked_from_the_reconstruction_of_a_row_to_that_of_another) {
  done({"reconstruct", "table", "t.csv", "--out", "r.npy"});
  const Dataset again = read("r.npy");
  for (const char* path : {"line", "sphere"}) {
    const std::string printed =
        done({"interpolate", "table", "t.csv", "3", "8", "--path", path, "--out", "way.csv"});
    expect_part(printed, "largest step / median step");
    const Dataset way = read("way.csv");
    ASSERT_EQ(way.rows, 9);
    for (int c = 0; c < 4; ++c) {
      // The sphere's ends are codes times sin(θ)/sin(θ): a rounding, through two layers.
      EXPECT_NEAR(way.value(0, c), again.value(3, c), 1e-5);
      EXPECT_NEAR(way.value(8, c), again.value(8, c), 1e-5);
    }
  }
  expect_part(done({"interpolate", "digits", "builtin:digits?n=20", "--pairs", "12"}),
              "of 12 pairs");
  expect_part(error_of({"interpolate", "table", "t.csv", "3", "900", "--out", "x.csv"}),
              "no row 900");
  EXPECT_EQ(run(*folder_, {"interpolate", "table", "t.csv", "--out", "x.csv"}).status, 2);
}

TEST_F(LatentSpace, is_mapped_with_the_labels_of_the_data_and_a_density_that_is_one) {
  done({"map", "digits", "--out", "map.csv", "--size", "60", "--units", "1,3"});
  const Dataset places = read("map.csv"), density = read("map-density.csv");
  EXPECT_EQ(places.column_names, (Words{"z1", "z3", "label"}));
  EXPECT_EQ(places.rows, 300);
  double sum = 0;
  for (long r = 0; r < density.rows; ++r) sum += density.value(r, 2);
  // By the rule of midpoints over ±4, beyond which hardly a code lies.
  EXPECT_NEAR(sum * std::pow(8.0 / 60, 2), 1, 0.02);
  done({"map", "digits", "--out", "map.png", "--size", "4"});
  EXPECT_GT(content_of(*folder_ / "map.png").size(), 100u);
}

TEST_F(LatentSpace, says_which_datum_is_unusual_and_which_column_makes_it_so) {
  const Json told =
      Json::parse(done({"score", "table", "t.csv", "--out", "s.csv", "--features", "--json"}));
  const Json& first = told.at("most_unusual").at(0);
  EXPECT_EQ(first.at("name"), "row77");
  EXPECT_EQ(first.at("features").at(0).at("name"), "c");
  const Dataset scores = read("s.csv");
  ASSERT_EQ(scores.column_names,
            (Words{"log_evidence", "elbo", "reconstruction", "a", "b", "c", "d"}));
  EXPECT_EQ(scores.row_names.at(77), "row77");
  for (long r = 0; r < scores.rows; ++r) {
    double sum = 0, magnitude = 1;
    for (int c = 3; c < 7; ++c)
      sum += scores.value(r, c), magnitude += std::abs(scores.value(r, c));
    // Each log-density is good to 1e-5 of its size (likelihoods.h), here and on the device.
    EXPECT_NEAR(sum, scores.value(r, 2), 2e-5 * (4 + magnitude));
  }
  EXPECT_EQ(Json::parse(done({"score", "ae", "builtin:digits?n=9", "--out", "a.csv", "--json"}))
                .at("elbo"),
            nullptr);
}

TEST_F(LatentSpace, compares_runs_with_principal_components_on_the_same_data) {
  const Words words{"compare", "digits",  "ae",  "--data",        "builtin:digits?n=100&seed=5",
                    "--pca",   "--draws", "500", "--coordinates", "8"};
  Words as_json = words;
  as_json.push_back("--json");
  const Json models = Json::parse(done(as_json)).at("models");
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[2].at("model"), "pca");
  EXPECT_EQ(models[2].at("units"), 4);
  EXPECT_TRUE(models[1].at("log_likelihood").is_null());
  EXPECT_TRUE(models[2].at("log_likelihood").is_null()) << "of a Bernoulli's rivals";
  EXPECT_GT(models[0].at("rate").get<double>(), 0);
  EXPECT_LT(models[1].at("fitted_distance").get<double>(),
            models[1].at("prior_distance").get<double>());
  const std::string text = done(words);
  for (const char* part : {"digits", "ae", "PCA", "squared error", "fitted draws"})
    expect_part(text, part);
  const Json gaussian = Json::parse(
      done({"compare", "table", "--data", "t.csv", "--pca", "--draws", "50", "--json"}));
  EXPECT_FALSE(gaussian.at("models").at(1).at("log_likelihood").is_null());
}

}  // namespace
}  // namespace elbo::test
