// What is missing, of models that are solved by hand: z ~ N(0, 1), x | z ~ N(z + shift, I), so that
// x ~ N(shift, I + 11ᵀ) and x_1 | x_2 ~ N(shift + (x_2 - shift)/2, 3/2); and of counts and classes
// that do not depend on z.
#include "models/imputation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/evaluation.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

/// What is returned is rounded to a float, of numbers up to 2.
constexpr double as_float = 2 * 0x1p-24;

void set(const Model& model, const std::string& name, const std::vector<Real>& values) {
  for (const Parameter& p : model.parameters())
    if (p.name == name) return p.tensor.write(values);
  ADD_FAILURE() << "no parameter " << name;
}

/// Its q(z | x) is N(0.4 (x_1 + x_2) + 0.1, 0.7), which is not the posterior: the weights matter.
Model solved(const Device& device) {
  ModelConfig config;
  config.observed = 2, config.latent = 1, config.hidden = {}, config.likelihood = "gaussian";
  config.input = "masked";
  Model model(device, config, 0);
  set(model, "encoder.layers.0.weight", {Real(0.4), Real(0.4), 0, 0});
  set(model, "encoder.layers.0.bias", {Real(0.1), Real(std::log(0.7))});
  set(model, "decoder.layers.0.weight", {1, 1});
  set(model, "decoder.layers.0.bias", {0, 0});
  return model;
}

/// `count` copies of a datum.
Dataset copies(const std::vector<float>& datum, long count) {
  Dataset data;
  data.source = "made for a test", data.rows = count, data.columns = int(datum.size());
  for (long r = 0; r < count; ++r)
    data.floats.insert(data.floats.end(), datum.begin(), datum.end());
  return data;
}

/// A sample's mean, its standard error and its variance.
struct Estimate {
  double mean = 0, variance = 0, error = 0;
  explicit Estimate(const std::vector<float>& values, std::size_t first = 0,
                    std::size_t every = 1) {
    double sum = 0, squares = 0, n = 0;
    for (std::size_t i = first; i < values.size(); i += every)
      sum += values[i], squares += double(values[i]) * values[i], ++n;
    mean = sum / n, variance = (squares - sum * mean) / (n - 1), error = std::sqrt(variance / n);
  }
};

TEST(Imputation, of_a_gaussian_is_its_conditional_mean_and_interval) {
  const Model model = solved(Device::cpu());
  const ImputationOptions options{.samples = 2000, .interval = 0.9, .seed = 1};
  for (const float known : {-1.f, 0.5f, 2.f}) {
    const Imputation imputed = impute(model, copies({missing, known}, 200), options);
    ASSERT_EQ(imputed.mean.size(), 200u);
    ASSERT_EQ(imputed.effective.size(), 200u);
    for (const double size : imputed.effective) {
      EXPECT_GT(size, 100);
      EXPECT_LE(size, 2000);
    }
    // Normalising the weights leaves a bias below the variance of z over the effective draws.
    const Estimate mean(imputed.mean), lower(imputed.lower), upper(imputed.upper);
    const double bias = 0.5 / *std::min_element(imputed.effective.begin(), imputed.effective.end());
    EXPECT_NEAR(mean.mean, known / 2, 4 * mean.error + bias);
    EXPECT_LT(mean.error, 0.01);
    // The 50th of 999: its expectation is that of the quantile but for its density's slope, 0.007.
    const double half = 1.6448536269514722 * std::sqrt(1.5);
    EXPECT_NEAR(lower.mean, known / 2 - half, 4 * lower.error + bias + 0.007);
    EXPECT_NEAR(upper.mean, known / 2 + half, 4 * upper.error + bias + 0.007);
    EXPECT_LT(lower.error, 0.03);
  }
}

TEST(Imputation, draws_come_from_the_conditional_law_whatever_part_of_the_draws_they_are_from) {
  const Model model = solved(Device::cpu());
  // Of 500 draws in one part, and of 1300 in three.
  for (const int samples : {500, 1300}) {
    const Imputation imputed = impute(model, copies({missing, 1.5f}, 1000),
                                      {.samples = samples, .imputations = 4, .seed = 2});
    ASSERT_EQ(imputed.drawn.size(), 4u);
    EXPECT_TRUE(imputed.lower.empty());
    std::vector<float> all;
    for (const std::vector<float>& drawn : imputed.drawn)
      all.insert(all.end(), drawn.begin(), drawn.end());
    const Estimate draws(all);
    EXPECT_NEAR(draws.mean, 0.75, 4 * draws.error);
    EXPECT_NEAR(draws.variance, 1.5, 4 * 1.5 * std::sqrt(2.0 / double(all.size())));
    EXPECT_NE(imputed.drawn[0], imputed.drawn[1]);
  }
}

TEST(Imputation, of_a_datum_that_is_missing_altogether_is_the_models_law) {
  const Model model = solved(Device::cpu());
  const Imputation imputed =
      impute(model, copies({missing, missing}, 2000), {.samples = 600, .imputations = 1});
  const std::vector<float>& drawn = imputed.drawn[0];
  double product = 0;
  for (std::size_t i = 0; i < drawn.size(); i += 2) product += double(drawn[i]) * drawn[i + 1];
  for (const std::size_t c : {0u, 1u}) {
    const Estimate draws(drawn, c, 2);
    EXPECT_NEAR(draws.mean, 0, 4 * draws.error);
    EXPECT_NEAR(draws.variance, 2, 4 * 2 * std::sqrt(2.0 / 2000));
  }
  // Entries of one datum share their z: E x_1 x_2 = 1, and the product's variance is 5.
  EXPECT_NEAR(product / 2000, 1, 4 * std::sqrt(5.0 / 2000));
}

TEST(Imputation, takes_draws_from_every_part_of_them) {
  const Model model = solved(Device::cpu());
  const Dataset data = copies({missing, 1.f}, 3);
  const auto mean = [&](int samples, std::uint64_t seed) {
    return impute(model, data, {.samples = samples, .seed = seed}).mean;
  };
  EXPECT_EQ(mean(1300, 1), mean(1300, 1));
  EXPECT_NE(mean(1300, 1), mean(1300, 2));
  EXPECT_NE(mean(1024, 1), mean(512, 1)) << "the second part drew what the first did";
}

TEST(Imputation, leaves_what_is_observed_as_it_is) {
  const Model model = solved(Device::cpu());
  Dataset data = copies({0.1f, 3e-39f}, 4);
  data.floats[3] = missing, data.floats[6] = missing;
  const Imputation imputed = impute(model, data, {.samples = 20});
  EXPECT_EQ(imputed.places, (std::vector<std::size_t>{3, 6}));
  const std::vector<float> all = completed(data, imputed.places, imputed.mean);
  ASSERT_EQ(all.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == 3 || i == 6) EXPECT_TRUE(std::isfinite(all[i]));
    else EXPECT_EQ(all[i], data.floats[i]);
  }
}

TEST(Imputation, of_data_that_miss_nothing_is_empty) {
  const Dataset data = copies({1, 2}, 3);
  const Imputation imputed =
      impute(solved(Device::cpu()), data, {.imputations = 2, .interval = 0.5});
  EXPECT_TRUE(imputed.places.empty());
  for (const std::vector<float>& drawn : imputed.drawn) EXPECT_TRUE(drawn.empty());
  EXPECT_EQ(completed(data, imputed.places, imputed.mean), data.values());
}

TEST(Imputation, is_the_same_on_cpu_and_simt) {
  const auto of = [](const Device& device) {
    return impute(solved(device), copies({missing, -0.7f}, 3), {.samples = 600, .interval = 0.9});
  };
  const Imputation cpu = of(Device::cpu()), simt = of(Device::simt());
  for (std::size_t i = 0; i < 3; ++i) {
    // A log weight of about 10 roundings of numbers up to 10; what is weighed is up to 5.
    const double off = tolerance::formula(10, 10);
    EXPECT_NEAR(cpu.mean[i], simt.mean[i], 5 * 2 * off + 2 * as_float);
    EXPECT_NEAR(cpu.effective[i] / simt.effective[i], 1, 4 * off);
    // At worst one of the 999 draws falls on another z at a boundary of two weights.
    EXPECT_NEAR(cpu.lower[i], simt.lower[i], 0.1);
  }
}

TEST(Imputation, of_a_conditional_model_depends_on_what_it_is_told) {
  ModelConfig config;
  config.observed = 2, config.latent = 1, config.hidden = {}, config.likelihood = "gaussian";
  config.input = "masked", config.condition = "g",
  config.conditions = {{.name = "g", .levels = {}}};
  const Model model(Device::cpu(), config, 0);
  set(model, "encoder.layers.0.weight", {Real(0.4), Real(0.4), Real(-1.2), 0, 0, 0});
  set(model, "encoder.layers.0.bias", {0, Real(std::log(0.7))});
  set(model, "decoder.layers.0.weight", {1, 3, 1, 3});
  set(model, "decoder.layers.0.bias", {0, 0});
  for (const float g : {0.f, 1.f}) {
    Dataset data = copies({missing, 1.f}, 100);
    data.annotations = {{"g", {}, std::vector<float>(100, g)}};
    data = model.taken(data);
    const Imputation imputed = impute(model, data, {.samples = 2000});
    const Estimate mean(imputed.mean);
    const double least = *std::min_element(imputed.effective.begin(), imputed.effective.end());
    EXPECT_NEAR(mean.mean, 3 * g + (1 - 3 * g) / 2, 4 * mean.error + 0.5 / least);
    // Given back by draws of the posterior, it is 3 g + E[z | both entries that the encoder saw].
    Batches batches(model.device(), data, 0);
    const Estimate restored(reconstruct(model, batches, 0, 600));
    EXPECT_NEAR(restored.mean, 3 * g + 0.4 * (1 - 3 * g), 4 * restored.error);
  }
}

/// A model of 3 columns whose decoder gives these numbers whatever z is.
Model constant(ModelConfig config, const std::vector<Real>& numbers) {
  config.observed = 3, config.latent = 1, config.hidden = {};
  Model model(Device::cpu(), config, 0);
  set(model, "decoder.layers.0.weight", std::vector<Real>(numbers.size()));
  set(model, "decoder.layers.0.bias", numbers);
  return model;
}

TEST(Imputation, of_counts_with_library_rates_is_a_share_of_the_total_of_what_is_observed) {
  ModelConfig config;
  config.likelihood = "poisson", config.rates = "library";
  const Model model =
      constant(config, {Real(std::log(0.2)), Real(std::log(0.3)), Real(std::log(0.5))});
  const Dataset data = copies({10, missing, 25}, 2000);
  const Imputation imputed = impute(model, data, {.samples = 3, .imputations = 1});
  // Three logarithms, three exponentials, their sum: about 10 roundings of 10.5.
  for (const float mean : imputed.mean) EXPECT_NEAR(mean, 10.5, tolerance::formula(10, 10.5));
  const Estimate draws(imputed.drawn[0]);
  EXPECT_NEAR(draws.mean, 10.5, 4 * std::sqrt(10.5 / 2000));
  for (const float x : imputed.drawn[0]) EXPECT_EQ(x, std::round(x));
}

TEST(Imputation, of_classes_is_the_most_probable_one) {
  ModelConfig config;
  config.likelihood = "categorical", config.classes = 3;
  // The expected class of column 1 is 0.9, no class; its most probable is 0.
  const auto log = [](double p) { return Real(std::log(p)); };
  const Model model = constant(config, {0, 0, 0, log(0.5), log(0.1), log(0.4), 0, 0, 0});
  const Imputation imputed =
      impute(model, copies({1, missing, 2}, 1000), {.samples = 5, .imputations = 1});
  for (const float mean : imputed.mean) EXPECT_EQ(mean, 0);
  double counts[3] = {};
  for (const float x : imputed.drawn[0]) ++counts[int(x)];
  const double shares[] = {0.5, 0.1, 0.4};
  for (int k = 0; k < 3; ++k)
    EXPECT_NEAR(counts[k] / 1000, shares[k], 4 * std::sqrt(shares[k] * (1 - shares[k]) / 1000));
}

TEST(Imputation, of_an_autoencoder_or_to_an_impossible_interval_is_an_error) {
  ModelConfig config;
  config.model = "ae", config.observed = 2, config.latent = 1, config.likelihood = "gaussian";
  config.input = "masked";
  const Model coder(Device::cpu(), config, 0), model = solved(Device::cpu());
  const Dataset data = copies({missing, 1}, 1);
  EXPECT_THROW(impute(coder, data), Error);
  EXPECT_THROW(impute(model, data, {.samples = 0}), Error);
  EXPECT_THROW(impute(model, data, {.interval = 1}), Error);
  EXPECT_THROW(completed(data, {0, 1}, {1}), Error);
  Batches batches(Device::cpu(), data, 0);
  EXPECT_THROW(reconstruct(coder, batches, 0, 5), Error);
}

TEST(Restoration, over_draws_of_the_posterior_is_the_mean_over_them_on_every_device) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const Model model = solved(device);
    Batches batches(device, copies({1.f, 2.f}, 40), 0);
    // The decoder is linear: the mean over draws is that at the mean, 0.4 · 3 + 0.1, and 700 draws
    // of 40 data have a deviation of √0.7 each.
    const std::vector<float> at_mean = reconstruct(model, batches),
                             over = reconstruct(model, batches, 0, 700, 3);
    ASSERT_EQ(over.size(), 80u);
    for (const float x : at_mean) EXPECT_NEAR(x, 1.3, tolerance::formula(5, 2) + as_float);
    for (const float x : over) EXPECT_NEAR(x, 1.3, 5 * std::sqrt(0.7 / 700));
    EXPECT_NEAR(Estimate(over).mean, 1.3, 4 * std::sqrt(0.7 / 700 / 40));
    EXPECT_EQ(reconstruct(model, batches, 7, 700, 3),
              std::vector<float>(over.begin(), over.begin() + 14));
  }
}

TEST(Restoration, measures_errors_over_what_the_clean_data_have) {
  Dataset data = copies({1, missing, 2}, 2);
  EXPECT_EQ(squared_error(data, {0, 7, 2, 1, 7, 4}), (1 + 4) / 2.0);
  EXPECT_EQ(squared_error(data, {1, 7, missing}), 4);
  const Dataset spoilt = corrupted(
      copies({0.25f, 0.5f, missing}, 1000),
      {.kind = Corruption::Kind::salt, .amount = Real(0.4), .low = Real(-1), .high = Real(3)}, 5);
  long low = 0, high = 0;
  for (long r = 0; r < spoilt.rows; ++r) {
    EXPECT_TRUE(std::isnan(spoilt.value(r, 2)));
    for (const int c : {0, 1}) {
      const float x = spoilt.value(r, c);
      low += x == -1, high += x == 3;
      EXPECT_TRUE(x == -1 || x == 3 || x == (c ? 0.5f : 0.25f)) << x;
    }
  }
  for (const long count : {low, high})
    EXPECT_NEAR(double(count) / 2000, 0.2, 4 * std::sqrt(0.16 / 2000));
}

}  // namespace
}  // namespace elbo
