// How unusual each datum is, held against a model whose likelihood and posterior are known.
#include "models/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "models/evaluation.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

Dataset table(long rows, int columns, std::vector<float> values) {
  Dataset data;
  data.source = "table", data.rows = rows, data.columns = columns;
  data.floats = std::move(values);
  return data;
}

/// z ~ N(0, 1), x | z ~ N(z, 1), and q(z | x) = N(x/2, ½): the posterior itself, or with another
/// log-variance not quite.
Model conjugate(const Device& device, Real log_variance) {
  ModelConfig config;
  config.observed = 1, config.latent = 1, config.hidden = {};
  config.likelihood = "gaussian", config.sigma = "fixed:1", config.input = "masked";
  Model model(device, config, 0);
  for (const Parameter& p : model.parameters()) {
    if (p.name == "encoder.layers.0.weight") p.tensor.write({Real(0.5), 0});
    if (p.name == "encoder.layers.0.bias") p.tensor.write({0, log_variance});
    if (p.name == "decoder.layers.0.weight") p.tensor.write({1});
    if (p.name == "decoder.layers.0.bias") p.tensor.write({0});
  }
  return model;
}

double log_normal(double x, double variance) {
  return -0.5 * (std::log(2 * std::numbers::pi * variance) + x * x / variance);
}

TEST(Scores, of_the_true_posterior_are_the_exact_evidence_whatever_is_drawn) {
  const Dataset data = table(4, 1, {0, 1.5, -3, 8});
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const Model model = conjugate(device, Real(std::log(0.5)));
    Batches batches(device, data, 0);
    for (const int samples : {1, 3, 700}) {
      const Scores s = scores(model, batches, {.samples = samples});
      for (std::size_t i = 0; i < 4; ++i) {
        // log p(x, z) - log q(z | x) of terms up to x² has a few roundings of each.
        const double x = data.floats[i], near = tolerance::formula(16, x * x + 4);
        EXPECT_NEAR(s.log_evidence[i], log_normal(x, 2), near) << device.name();
        EXPECT_LE(s.elbo[i], 3 + s.log_evidence[i] + x * x);
      }
    }
  }
}

TEST(Scores, of_another_posterior_come_to_the_evidence_and_to_the_expected_reconstruction) {
  const Model model = conjugate(Device::cpu(), 0);  // twice the variance: weights have one of 0.15
  const Dataset data = table(3, 1, {0, 1.5, -3});
  Batches batches(model.device(), data, 0);
  constexpr int samples = 20000;
  const Scores s = scores(model, batches, {.samples = samples, .features = true});
  for (std::size_t i = 0; i < 3; ++i) {
    // Of N(x/2, ½): E[-log N(x; z, 1)] = ½ (log 2π + x²/4 + ½), and under q with variance 1.
    const double x = data.floats[i];
    const double expected = 0.5 * (std::log(2 * std::numbers::pi) + x * x / 4 + 0.5);
    // Deviations of a draw: of a weight below ½, of its (x - z)²/2, in N(x/2, ½), below 1 + |x|/2.
    const double error = 5 * (1 + std::abs(x) / 2) / std::sqrt(samples);
    EXPECT_NEAR(s.log_evidence[i], log_normal(x, 2), error);
    EXPECT_NEAR(s.reconstruction[i], expected, error);
    EXPECT_NEAR(s.features[i], s.reconstruction[i], tolerance::of_floats(8, expected));
    const double kl = 0.5 * x * x / 4;
    EXPECT_NEAR(s.elbo[i], -(expected + 0.25) - kl, error);
    EXPECT_LT(s.elbo[i], s.log_evidence[i]);
  }
}

/// A model of eight columns as it was initialised, and data that its law allows.
struct Case {
  const char *likelihood, *sigma, *rates;
};
constexpr Case cases[] = {
    {"bernoulli", "auto", "plain"},           {"gaussian", "feature", "plain"},
    {"student_t", "datum", "plain"},          {"poisson", "auto", "size"},
    {"negative_binomial", "auto", "library"}, {"categorical", "auto", "plain"}};

TEST(Scores, of_features_sum_up_to_the_reconstruction_of_the_device) {
  const Dataset data = table(5, 8, {0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1,
                                    1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1});
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (const Case& c : cases) {
      SCOPED_TRACE(std::string(c.likelihood) + " on " + device.name());
      ModelConfig config;
      config.observed = 8, config.latent = 2, config.hidden = {6}, config.classes = 3;
      config.likelihood = c.likelihood, config.sigma = c.sigma, config.rates = c.rates;
      const Model model(device, config, 3);
      Batches batches(device, data, 0);
      const Scores s = scores(model, batches, {.samples = 600, .features = true, .seed = 2});
      ASSERT_EQ(s.features.size(), 40u);
      for (std::size_t r = 0; r < 5; ++r) {
        double sum = 0, magnitude = 0;
        for (std::size_t i = 8 * r; i < 8 * r + 8; ++i)
          sum += s.features[i], magnitude += std::abs(s.features[i]);
        // Eight log-densities, each good to 1e-5 of its size (likelihoods.h) on either side.
        EXPECT_NEAR(sum, s.reconstruction[r], 2e-5 * (8 + magnitude));
      }
      const Scores alone = scores(model, batches, {.samples = 600, .seed = 2});
      EXPECT_TRUE(alone.features.empty());
      for (std::size_t r = 0; r < 5; ++r)
        EXPECT_NEAR(alone.log_evidence[r], s.log_evidence[r], tolerance::formula(64, 10));
    }
}

TEST(Scores, agree_with_the_importance_weighted_likelihood) {
  const Dataset digits = read_dataset("builtin:digits?n=40");
  ModelConfig config;
  config.observed = digits.columns, config.latent = 3, config.hidden = {12};
  const Model model(Device::cpu(), config, 1);
  Batches batches(model.device(), digits, 0);
  const Scores s = scores(model, batches, {.samples = 30, .seed = 4});
  const Nll nll = importance_nll(model, batches, 30, 4);
  double mean = 0;
  for (const double v : s.log_evidence) mean += v / 40;
  EXPECT_NEAR(mean, -nll.mean, tolerance::sum(digits.columns, std::abs(nll.mean)));
}

TEST(Scores, of_a_missing_entry_are_nothing_and_an_autoencoder_has_one_draw_and_no_elbo) {
  const Dataset data = table(2, 2, {1, NAN, 1, 2});
  ModelConfig config;
  config.model = "ae", config.observed = 2, config.latent = 1, config.hidden = {};
  config.likelihood = "gaussian", config.sigma = "fixed:1", config.input = "masked";
  const Model model(Device::cpu(), config, 1);
  Batches batches(model.device(), data, 0);
  const Scores s = scores(model, batches, {.samples = 9, .features = true});
  EXPECT_TRUE(s.elbo.empty());
  EXPECT_EQ(s.features[1], 0);
  for (std::size_t r = 0; r < 2; ++r) {
    EXPECT_EQ(s.log_evidence[r], -s.reconstruction[r]);
    EXPECT_NEAR(s.features[2 * r] + s.features[2 * r + 1], s.reconstruction[r],
                tolerance::of_floats(8, s.reconstruction[r]));
  }
  EXPECT_THROW(scores(model, batches, {.samples = 0}), Error);
}

}  // namespace
}  // namespace elbo
