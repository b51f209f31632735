// The terms of the evidence: against quadrature, against their bounds, and against each other.
#include "models/information.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/digits.h"
#include "kernels/math/normal.h"
#include "nn/functions.h"
#include "runtime/error.h"
#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

std::vector<Device> devices() {
  std::vector<Device> all{Device::cpu(), Device::simt()};
  if (cuda_devices() > 0) all.push_back(Device::cuda(0, Precision::fp32));
  return all;
}

/// Posteriors of one unit after the other, a row a datum.
struct Posteriors : Encoded {
  explicit Posteriors(int of)
      : Encoded{.mean = {}, .log_variance = {}, .sample = {}, .units = of} {}
  void add(double mean, double deviation) {
    this->mean.push_back(float(mean));
    log_variance.push_back(float(2 * std::log(deviation)));
  }
};

Posteriors random_posteriors(int count, int units, double least, double most, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> between(std::log(least), std::log(most));
  Posteriors q(units);
  for (int i = 0; i < count * units; ++i) q.add(normal(generator), std::exp(between(generator)));
  return q;
}

/// What float may take from a term: log-densities of so many units, each up to `size` nats, within
/// the promise of kernels/ops/aggregate.h.
double rounding(int units, double size) { return 1e-5 * std::max(1.0, units * size); }

constexpr double oracle_means[] = {-2, -0.5, 0.5, 2}, oracle_deviations[] = {0.3, 0.5, 0.5, 0.3};
constexpr double oracle_rate = 1.596059992443, oracle_mutual = 1.127153190825,
                 oracle_aggregate = 0.468906801618;

Posteriors oracle() {
  Posteriors q(1);
  for (int n = 0; n < 4; ++n) q.add(oracle_means[n], oracle_deviations[n]);
  return q;
}

TEST(Information, formulas_integrate_to_the_known_terms_of_four_posteriors) {
  // The trapezoidal rule converges exponentially for analytic functions that vanish at both ends.
  constexpr double step = 1e-3;
  NormalDensity<double> posterior[4];
  for (int n = 0; n < 4; ++n)
    posterior[n] = NormalDensity<double>::of(oracle_means[n], 2 * std::log(oracle_deviations[n]));
  const auto prior = NormalDensity<double>::of(0, 0);
  double rate = 0, mutual = 0, aggregate = 0;
  for (int i = -10000; i <= 10000; ++i) {
    const double z = i * step;
    auto mixture = LogSum<double>::none();
    for (const auto& p : posterior) mixture.add(p.log_density(z));
    const double log_q = mixture.value() - std::log(4.0), log_prior = prior.log_density(z);
    aggregate += step * std::exp(log_q) * (log_q - log_prior);
    for (const auto& p : posterior) {
      const double own = p.log_density(z), weight = step * std::exp(own) / 4;
      rate += weight * (own - log_prior), mutual += weight * (own - log_q);
    }
  }
  EXPECT_NEAR(rate, oracle_rate, 1e-9);
  EXPECT_NEAR(mutual, oracle_mutual, 1e-9);
  EXPECT_NEAR(aggregate, oracle_aggregate, 1e-9);
}

TEST(Information, of_four_posteriors_is_within_three_standard_errors_of_the_known_terms) {
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name());
    const Information i = information(device, oracle(), {.samples = 1200, .seed = 3});
    EXPECT_EQ(i.count, 4);
    EXPECT_DOUBLE_EQ(i.log_count(), 1.3862943611198906);
    EXPECT_NEAR(i.rate.value, oracle_rate, rounding(1, oracle_rate));
    const auto within = [](const Estimate& e, double exact) {
      EXPECT_GT(e.standard_error, 0);
      EXPECT_LT(e.standard_error, 0.05);
      EXPECT_NEAR(e.value, exact, 3 * e.standard_error);
    };
    within(i.mutual_information, oracle_mutual);
    within(i.aggregate_kl, oracle_aggregate);
    within(i.dimension_kl, oracle_aggregate);
  }
}

TEST(Information, standard_errors_are_what_estimates_of_other_draws_scatter_by) {
  constexpr int repeats = 200;
  const Posteriors q = random_posteriors(1000, 2, 0.1, 1, 1);
  Estimate Information::* const terms[] = {
      &Information::mutual_information, &Information::aggregate_kl, &Information::total_correlation,
      &Information::dimension_kl};
  double sums[4] = {}, squares[4] = {}, claimed[4] = {};
  for (int seed = 0; seed < repeats; ++seed) {
    const Information i = information(Device::cpu(), q, {.samples = 300, .seed = unsigned(seed)});
    for (int t = 0; t < 4; ++t) {
      const Estimate e = i.*terms[t];
      sums[t] += e.value, squares[t] += square(e.value);
      claimed[t] += square(e.standard_error) / repeats;
    }
  }
  // A variance from 200 numbers is off by √(2/199), a tenth: four times that.
  for (int t = 0; t < 4; ++t) {
    const double scatter = (squares[t] - square(sums[t]) / repeats) / (repeats - 1);
    EXPECT_NEAR(scatter / claimed[t], 1, 4 * std::sqrt(2.0 / (repeats - 1))) << "term " << t;
  }
}

TEST(Information, about_the_datum_is_never_above_log_n) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const double least = std::pow(10, -double(seed % 5));
    const int units = 1 + int(seed % 3);
    const Posteriors q = random_posteriors(3 + int(seed), units, least, 2 * least, seed);
    const Information i = information(Device::cpu(), q, {.samples = 100, .seed = seed});
    EXPECT_LE(i.mutual_information.value, i.log_count() + rounding(units, 12)) << "seed " << seed;
    EXPECT_GE(i.mutual_information.value, -4 * i.mutual_information.standard_error);
  }
}

TEST(Information, about_the_datum_is_log_n_where_posteriors_do_not_overlap) {
  Posteriors q(2);
  for (int n = 0; n < 30; ++n) q.add(n % 6, 1e-4), q.add(n / 6, 1e-4);
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name());
    const Information i = information(device, q);
    EXPECT_NEAR(i.mutual_information.value, std::log(30.0), rounding(2, 16));
    EXPECT_NEAR(i.mutual_information.standard_error, 0, rounding(2, 16));
  }
}

TEST(Information, is_nothing_where_every_posterior_is_the_prior) {
  Posteriors q(3);
  for (int i = 0; i < 3 * 50; ++i) q.add(0, 1);
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name());
    const Information i = information(device, q);
    EXPECT_EQ(i.rate.value, 0);
    EXPECT_EQ(i.active_units(), 0);
    for (const Estimate& e :
         {i.mutual_information, i.aggregate_kl, i.total_correlation, i.dimension_kl})
      EXPECT_NEAR(e.value, 0, rounding(3, 4));
  }
}

TEST(Information, terms_add_up_to_the_rate) {
  for (const int units : {1, 4})
    for (const Device& device : devices()) {
      SCOPED_TRACE(device.name() + ", " + std::to_string(units) + " units");
      const Posteriors q = random_posteriors(60, units, 0.05, 1, 9);
      const Information i = information(device, q, {.samples = 60, .seed = 2});
      const double rate = i.rate.value;
      const double allowed = tolerance::sum_in_double(4 * 60, 10 * units);
      EXPECT_NEAR(i.mutual_information.value + i.aggregate_kl.value, rate, allowed);
      EXPECT_NEAR(i.mutual_information.value + i.total_correlation.value + i.dimension_kl.value,
                  rate, allowed);
      double by_unit = 0;
      for (const Information::Unit& unit : i.units) by_unit += unit.kl.value;
      EXPECT_NEAR(by_unit, rate, allowed);
      if (units == 1) EXPECT_NEAR(i.total_correlation.value, 0, rounding(1, 4));
      else EXPECT_GT(i.total_correlation.value, 4 * i.total_correlation.standard_error);
    }
}

TEST(Information, of_independent_units_has_no_total_correlation) {
  // Every pair of a mean for the first unit and one for the second: the mixture is a product.
  Posteriors q(2);
  for (int a = 0; a < 5; ++a)
    for (int b = 0; b < 7; ++b) q.add(a - 2, 0.2 + 0.1 * a), q.add(0.5 * b - 2, 0.3);
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name());
    const Information i = information(device, q, {.samples = 140});
    EXPECT_NEAR(i.total_correlation.value, 0, rounding(2, 8));
    EXPECT_NEAR(i.total_correlation.standard_error, 0, rounding(2, 8));
  }
}

TEST(Information, counts_units_whose_mean_varies_and_says_how_sure_that_is) {
  // Unit 0: ±0.2, variance 0.04 n/(n-1); unit 1: ±0.05, below the threshold.
  Posteriors q(2);
  for (int n = 0; n < 100; ++n) q.add(n % 2 ? 0.2 : -0.2, 1), q.add(n % 2 ? 0.05 : -0.05, 0.5);
  const Information i = information(Device::cpu(), q);
  EXPECT_EQ(i.active_units(), 1);
  EXPECT_TRUE(i.units[0].active);
  EXPECT_NEAR(i.units[0].mean_variance.value, 0.04 * 100 / 99, 1e-8);
  // μ₄ = σ₀⁴ there: (σ₀⁴ - 97/99 (100/99)² σ₀⁴)/100 with σ₀² = 0.04
  EXPECT_NEAR(i.units[0].mean_variance.standard_error,
              0.04 * std::sqrt((1 - 97.0 / 99 * square(100.0 / 99)) / 100), 1e-8);
  EXPECT_NEAR(i.units[1].mean_variance.value, 0.0025 * 100 / 99, 1e-8);
  EXPECT_NEAR(i.units[0].kl.value, 0.02, 1e-7);
  EXPECT_NEAR(i.units[0].kl.standard_error, 0, 1e-7);
  EXPECT_NEAR(i.units[1].kl.value, (0.0025 + 0.25 - 1 - std::log(0.25)) / 2, 1e-6);
}

TEST(Information, of_a_model_is_that_of_what_it_encodes) {
  ModelConfig config;
  config.observed = 784, config.latent = 3, config.hidden = {8};
  const Dataset data = draw_digits(50, 0);
  const Model model(Device::cpu(), config, 4);
  Batches batches(Device::cpu(), data, 0);
  const InformationOptions options{.samples = 20, .seed = 7, .limit = 30};
  const Information i = information(model, batches, options);
  EXPECT_EQ(i.count, 30);
  EXPECT_EQ(i.samples, 20);
  EXPECT_EQ(i.units.size(), 3u);
  Batches first(Device::cpu(), data.slice(0, 30), 0);
  const Information same = information(Device::cpu(), encode(model, first, 0), options);
  EXPECT_NEAR(i.rate.value, same.rate.value, rounding(3, same.rate.value));
  EXPECT_NEAR(i.rate.value, evaluate(model, first, 0).kl, rounding(3, same.rate.value));
}

TEST(Information, is_refused_where_there_is_none) {
  ModelConfig config;
  config.model = "ae", config.observed = 784, config.latent = 3, config.hidden = {8};
  const Dataset data = draw_digits(20, 0);
  Batches batches(Device::cpu(), data, 0);
  EXPECT_THROW(information(Model(Device::cpu(), config, 0), batches), Error);
  EXPECT_THROW(information(Device::cpu(), oracle(), {.samples = 2}), Error);
  EXPECT_THROW(information(Device::cpu(), Posteriors(2)), Error);
}

}  // namespace
}  // namespace elbo
