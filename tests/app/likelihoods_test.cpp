// Every likelihood from the command line: trained, evaluated, sampled from, on data of its kind.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "kernels/math/philox.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

/// 60 data of 5 numbers around three centres, as f makes them of a uniform number in (0, 1).
std::string table(double (*f)(double)) {
  std::string text;
  for (std::uint32_t r = 0; r < 60; ++r)
    for (std::uint32_t c = 0; c < 5; ++c) {
      const double u = Philox::at(r, c, 0, 0, 5).uniform(0) * 0.4 + 0.2 * ((r + c) % 3);
      text += std::to_string(f(u)) + (c < 4 ? "," : "\n");
    }
  return text;
}
double unit(double u) { return 0.05 + 0.9 * u; }
double real(double u) { return 6 * u - 3; }
double count(double u) { return std::floor(12 * u * u); }
double level(double u) { return std::floor(255 * u); }
double letter(double u) { return std::floor(3.99 * u); }

struct Case {
  const char* name;
  double (*data)(double);
  Words more;
  double least, most;  // of a sample
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

constexpr double any = 1e30;
const Case cases[] = {
    {"bernoulli", unit, {}, 0, 1},
    {"continuous_bernoulli", unit, {}, 0, 1},
    {"beta", unit, {}, 0, 1},
    {"gaussian", real, {"--sigma", "datum"}, -any, any},
    {"laplace", real, {"--sigma", "feature"}, -any, any},
    {"student_t", real, {"--degrees", "3"}, -any, any},
    {"poisson", count, {"--rates", "size"}, 0, any},
    {"negative_binomial", count, {"--rates", "library", "--norm", "layer"}, 0, any},
    {"zinb", count, {"--dispersion", "datum"}, 0, any},
    {"discretised_logistic", level, {"--sigma", "shared"}, 0, 255},
    {"logistic_mixture", level, {"--components", "2"}, 0, 255},
    {"categorical", letter, {}, 0, 3},
};

class EveryLikelihood : public testing::TestWithParam<Case> {};

TEST_P(EveryLikelihood, trains_evaluates_and_samples_its_own_kind_of_data) {
  const Case& c = GetParam();
  const TemporaryFolder folder;
  folder.with("data.csv", table(c.data));
  Words words{"train",    "data.csv", "--likelihood", c.name, "--out",   "r",  "--hidden", "16",
              "--latent", "2",        "--epochs",     "30",   "--batch", "30", "--lr",     "0.01"};
  words.insert(words.end(), c.more.begin(), c.more.end());
  const Outcome trained = run(folder, words);
  ASSERT_EQ(trained.status, 0) << trained.error;
  const std::string metrics = content_of(folder / "r/metrics.jsonl");
  const Json first = Json::parse(metrics.substr(0, metrics.find('\n')));
  const Outcome told = run(folder, {"evaluate", "r", "--importance-samples", "20", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  const Json means = Json::parse(told.out);
  EXPECT_GT(means.at("elbo").get<double>(), first.at("elbo").get<double>()) << "it has learnt";
  EXPECT_LT(means.at("elbo").get<double>(),
            -means.at("nll").get<double>() + 4 * means.at("nll_standard_error").get<double>());
  const Outcome sampled =
      run(folder, {"sample", "r", "-n", "40", "--mode", "sample", "--out", "x.npy"});
  ASSERT_EQ(sampled.status, 0) << sampled.error;
  for (const float x : read_npy(folder / "x.npy").values()) {
    EXPECT_GE(x, c.least);
    EXPECT_LE(x, c.most);
    EXPECT_TRUE(x == std::floor(x) || !(c.data == count || c.data == level || c.data == letter))
        << x;
  }
  const Outcome made = run(folder, {"reconstruct", "r", "data.csv", "--out", "y.npy"});
  ASSERT_EQ(made.status, 0) << made.error;
  const std::vector<float> x = read_npy(folder / "y.npy").values();
  ASSERT_EQ(x.size(), 300u);
  for (const float v : x) EXPECT_TRUE(std::isfinite(v));
}

INSTANTIATE_TEST_SUITE_P(CommandLine, EveryLikelihood, testing::ValuesIn(cases),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(Likelihood, that_does_not_fit_the_data_says_which_entry_and_what_it_wants) {
  const TemporaryFolder folder;
  folder.with("data.csv", "0,1\n2,2.5\n");
  const std::pair<const char*, const char*> wanted[] = {
      {"bernoulli", "row 1, column 0: 2"},
      {"beta", "row 0, column 0: 0 is outside the support of the beta"},
      {"poisson", "row 1, column 1: 2.5 is outside the support of the poisson likelihood (whole"},
      {"categorical", "row 1, column 1: 2.5"},
  };
  for (const auto& [likelihood, message] : wanted) {
    const Outcome refused = run(folder, {"train", "data.csv", "--likelihood", likelihood});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.error.find(message), std::string::npos) << refused.error;
  }
}

TEST(Preset, scvi_is_a_base_that_flags_override) {
  const TemporaryFolder folder;
  folder.with("data.csv", table(count));
  const Outcome trained =
      run(folder, {"train", "data.csv", "--preset", "scvi", "--latent", "4", "--epochs", "2",
                   "--likelihood", "negative_binomial", "--out", "r"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  const Json config = Json::parse(content_of(folder / "r/config.json"));
  EXPECT_EQ(config.at("latent"), 4);
  EXPECT_EQ(config.at("likelihood"), "negative_binomial");
  EXPECT_EQ(config.at("norm"), "batch");
  EXPECT_EQ(config.at("rates"), "library");
  EXPECT_EQ(config.at("input"), "log1p");
  EXPECT_EQ(config.at("dropout"), 0.1);
}

}  // namespace
}  // namespace elbo::test
