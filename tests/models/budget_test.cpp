// The weight of the KL as a shadow price: a linear VAE is trained, by β, by a budget of nats, by a
// bound on its squared error, and comes to where reverse water-filling says.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "models/evaluation.h"
#include "tests/models/linear_vae.h"

namespace elbo {
namespace {

constexpr double eigenvalues[] = {4, 2, 1, 0.5, 0.25}, variance = 0.3;
constexpr int C = 5;

/// Data whose covariance (divisor N) is diag(eigenvalues), of mean 0, to rounding.
Dataset known_spectrum(long rows) {
  Eigen::MatrixXd x(rows, C);
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < C; ++c)
      x(r, c) = Philox::at(std::uint32_t(c), std::uint32_t(r), 0, 0, 23).normal(0);
  x.rowwise() -= x.colwise().mean().eval();
  const Eigen::MatrixXd covariance = x.transpose() * x / double(rows);
  const Eigen::MatrixXd root = covariance.llt().matrixU();
  x = root.transpose().triangularView<Eigen::Lower>().solve(x.transpose()).transpose().eval();
  Dataset data;
  data.source = "known spectrum", data.rows = rows, data.columns = C;
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < C; ++c) data.floats.push_back(float(x(r, c) * std::sqrt(eigenvalues[c])));
  return data;
}

struct Reached {
  double rate, squares, beta;
  int active;
};

/// Where a training ends up.
Reached reached(const Dataset& data, const TrainingOptions& given) {
  ModelConfig config{.observed = C, .hidden = {}, .latent = C};
  config.activation = "identity", config.likelihood = "gaussian";
  config.sigma = "fixed:" + std::to_string(std::sqrt(variance));
  const Device device = Device::cpu();
  Batches batches(device, data, 0);
  Model model(device, config, 0);
  TrainingOptions options = given;
  options.batch = 250, options.epochs = 1500;
  options.rate = Cosine{Real(2e-2), std::uint64_t(data.rows / options.batch * options.epochs)};
  options.rule = Adam{.beta2 = 0.98};
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  for (int e = 0; e < options.epochs; ++e) trainer.epoch();
  const Means means = exact_terms(model, data, variance);
  const Encoded codes = encode(model, batches, 0);
  int active = 0;
  for (const double kl : kl_per_unit(codes)) active += kl > 0.01;
  return {.rate = means.kl,
          .squares = 2 * variance *
                     (-means.log_likelihood - C / 2.0 * std::log(2 * std::numbers::pi * variance)),
          .beta = options.budget ? trainer.found_beta() : 0,
          .active = active};
}

// What the training's own noise leaves: the last epochs' rate is small, not zero.
constexpr double within = 0.015;

TEST(Budget, a_trained_linear_vae_has_the_rate_and_the_distortion_of_its_beta) {
  constexpr struct {
    double beta, rate, squares;
    int active;
  } points[] = {{0.5, 4.742799962214703, 0.75, 5},
                {1, 3.101092789211817, 1.45, 4},
                {2, 1.8059592064889038, 2.55, 3},
                {4, 0.8573992140459633, 4.15, 2},
                {8, 0.25541281188299536, 6.15, 1}};
  const Dataset data = known_spectrum(1000);
  for (const auto& p : points) {
    SCOPED_TRACE(p.beta);
    const Reached r = reached(data, {.beta = Constant{Real(p.beta)}});
    std::printf("beta %g: rate %.4f (%.4f), squares %.4f (%.4f), %d active\n", p.beta, r.rate,
                p.rate, r.squares, p.squares, r.active);
    EXPECT_NEAR(r.rate, p.rate, within * p.rate);
    EXPECT_NEAR(r.squares, p.squares, within * p.squares);
    EXPECT_EQ(r.active, p.active);
  }
}

TEST(Budget, of_nats_finds_the_beta_at_which_the_latents_carry_as_many) {
  const std::pair<double, double> known[] = {{0.5, 5.718425899738046},
                                             {1, 3.468400633486263},
                                             {2, 1.757314254104858},
                                             {3, 1.051845662187967}};
  const Dataset data = known_spectrum(1000);
  for (const auto& [nats, beta] : known) {
    SCOPED_TRACE(nats);
    const Reached r = reached(data, {.budget = Budget{.nats = nats}});
    std::printf("budget %g: rate %.4f, beta %.4f (%.4f)\n", nats, r.rate, r.beta, beta);
    EXPECT_NEAR(r.rate, nats, within * nats);
    EXPECT_NEAR(r.beta, beta, within * beta);
  }
}

TEST(Budget, of_distortion_finds_the_multiplier_of_the_squared_error) {
  constexpr struct {
    double squares, rate, multiplier;
  } known[] = {{1.5, 3.0194488001713062, 1.6},
               {2.5, 1.8482155219389484, 0.8571428571428571},
               {4, 0.9219377351835321, 0.4444444444444444}};
  const Dataset data = known_spectrum(1000);
  for (const auto& k : known) {
    SCOPED_TRACE(k.squares);
    const double nats =
        k.squares / (2 * variance) + C / 2.0 * std::log(2 * std::numbers::pi * variance);
    const Reached r =
        reached(data, {.budget = Budget{.bounds = Ascent::Bounds::distortion, .nats = nats}});
    const double multiplier = 1 / (2 * variance * r.beta);
    std::printf("squares %g: %.4f, rate %.4f (%.4f), multiplier %.4f (%.4f)\n", k.squares,
                r.squares, r.rate, k.rate, multiplier, k.multiplier);
    EXPECT_NEAR(r.squares, k.squares, within * k.squares);
    EXPECT_NEAR(r.rate, k.rate, within * k.rate);
    EXPECT_NEAR(multiplier, k.multiplier, within * k.multiplier);
  }
}

}  // namespace
}  // namespace elbo
