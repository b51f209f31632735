// The importance-weighted bound of a model that is solved by hand: z ~ N(0, 1), x | z ~ N(z, 1),
// q(z | x) = N(0.5, 0.8²), at x = 1.5.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "models/evaluation.h"
#include "models/iwae.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

constexpr Real observed = Real(1.5), mean = Real(0.5);
const Real raw = Real(2 * std::log(0.8));
// In float64 by quadrature: the ELBO, the bounds of two and three draws, and log N(x; 0, 2).
constexpr double known_elbo = -1.907082084519, known_two = -1.8606581276539786,
                 known_three = -1.8484965806445435, known_log_p = -1.8280121234846454;

/// A number of data that the device works off in a second.
int many(const Device& device) { return device.name() == "cpu" ? 20000 : 300; }

Tensor log_p(const Tensor& x, const Tensor& z) { return log_prob(FixedGaussian{1}, x, z); }

/// `data` copies of q(z | x), and what its S draws give: the bound and its gradient for each copy.
struct Draw {
  Tensor q, bound;
  std::vector<Real> bounds, gradient;  // of each copy's bound

  Draw(const Device& device, int data, const Noise& noise, Gradient how, Real m = mean,
       Real s = raw)
      : q(device, {data, 2}) {
    std::vector<Real> values;
    for (int b = 0; b < data; ++b) values.insert(values.end(), {m, s});
    q.write(values);
    q.track();
    const Tensor x(device, {data, 1}, std::vector<Real>(std::size_t(data), observed));
    Step step(device, [&] {
      const auto [z, log_ratio] = sample_many(q, noise, how);
      bound = importance_bound(log_p(x, z), log_ratio, noise.samples);
      backward(objective({{bound, {.factor = Real(data)}}}));
    });
    step();
    bounds = bound.read(), gradient = q.gradient().read();
  }
};

/// A sample's mean, and the standard error and the variance that it shows itself.
struct Estimate {
  double mean = 0, variance = 0, error = 0;
  explicit Estimate(const std::vector<Real>& values, std::size_t first = 0, std::size_t every = 1) {
    double sum = 0, squares = 0, n = 0;
    for (std::size_t i = first; i < values.size(); i += every)
      sum += values[i], squares += double(values[i]) * values[i], ++n;
    mean = sum / n, variance = (squares - sum * mean) / (n - 1), error = std::sqrt(variance / n);
  }
};

/// All S-tuples of points of the trapezoidal rule for a standard normal, as given noise: a row of
/// `points` for each tuple's draws, and the tuple's weight.
///
/// The rule's error falls like exp(-2π a / h), a the width of the strip in which the integrand is
/// analytic.  log Σ w has singularities where two weights cancel: where the integrand counts they
/// lie more than 2 away, and e^(-4π/0.3) is below 1e-18.
struct Grid {
  static constexpr int points = 57;
  static constexpr double h = 0.3;
  std::vector<Real> noise;
  std::vector<double> weight;
  explicit Grid(int samples) {
    const int tuples = int(std::lround(std::pow(points, samples)));
    for (int t = 0; t < tuples; ++t) {
      double w = 1;
      for (int s = 0, rest = t; s < samples; ++s, rest /= points) {
        const double e = h * (rest % points - points / 2);
        noise.push_back(Real(e));
        w *= h * std::exp(-e * e / 2) / std::sqrt(2 * std::numbers::pi);
      }
      weight.push_back(w);
    }
  }
  double operator()(const std::vector<Real>& values, std::size_t first = 0,
                    std::size_t every = 1) const {
    double sum = 0;
    for (std::size_t t = 0; t < weight.size(); ++t) sum += weight[t] * values[first + t * every];
    return sum;
  }
};

Draw over(const Grid& grid, int samples, Gradient how, Real m = mean, Real s = raw) {
  const int tuples = int(grid.weight.size());
  const Tensor given(Device::cpu(), {tuples * samples, 1}, grid.noise);
  return Draw(Device::cpu(), tuples, {.samples = samples, .given = given.matrix()}, how, m, s);
}

TEST(ImportanceBound, of_one_two_and_three_draws_has_the_value_known_from_quadrature) {
  if (sizeof(Real) == 4) GTEST_SKIP() << "nine digits need the double build";
  const double known[] = {known_elbo, known_two, known_three};
  for (const int samples : {1, 2, 3}) {
    const Grid grid(samples);
    EXPECT_NEAR(grid(over(grid, samples, Gradient::standard).bounds), known[samples - 1], 1e-9);
  }
  const Tensor q(Device::cpu(), {1, 2}, {mean, raw});
  EXPECT_NEAR(posterior_kl(q).item(), 0.168143551314, 1e-9);
}

TEST(DoublyReparameterised, gradient_has_the_expectation_of_the_standard_one) {
  if (sizeof(Real) == 4) GTEST_SKIP() << "nine digits need the double build";
  for (const int samples : {1, 2, 3}) {
    const Grid grid(samples);
    const Draw standard = over(grid, samples, Gradient::standard),
               doubly = over(grid, samples, Gradient::dreg);
    // And both are the slope of the bound itself, by differences that err by h² times its third
    // derivative, below 1, and by the roundings of two sums of bounds of about 2 nats.
    const double h = 1e-4,
                 error = h * h + tolerance::sum_in_double(double(grid.weight.size()), 2) / h;
    const auto bound = [&](double m, double s) {
      return grid(over(grid, samples, Gradient::standard, Real(m), Real(s)).bounds);
    };
    const double slopes[] = {(bound(mean + h, raw) - bound(mean - h, raw)) / (2 * h),
                             (bound(mean, raw + h) - bound(mean, raw - h)) / (2 * h)};
    for (const std::size_t i : {0, 1}) {
      const double expected = grid(standard.gradient, i, 2);
      EXPECT_NEAR(grid(doubly.gradient, i, 2), expected, 1e-9) << samples << " draws";
      EXPECT_NEAR(expected, slopes[i], error) << samples << " draws";
    }
  }
}

TEST(DoublyReparameterised, gradient_vanishes_draw_by_draw_at_the_true_posterior) {
  // p(z | x) = N(x/2, 1/2): every weight is p(x).
  const int data = 100, samples = 7;
  const Noise noise{.seed = 3, .samples = samples, .given = {}};
  const Real s = Real(std::log(0.5));
  const Draw doubly(Device::cpu(), data, noise, Gradient::dreg, observed / 2, s),
      standard(Device::cpu(), data, noise, Gradient::standard, observed / 2, s);
  double largest = 0;
  for (const Real g : standard.gradient) largest = std::max(largest, std::fabs(double(g)));
  EXPECT_GT(largest, 0.1);
  // A draw's gradient is x - 2 z + ε/σ, of numbers up to 10, times S weights of 1/S and εσ/2 ≤ 2.
  for (const Real g : doubly.gradient)
    EXPECT_NEAR(g, 0, 2 * tolerance::formula(6, 10) + tolerance::sum(samples, 10));
}

TEST(DoublyReparameterised, gradient_of_fifty_draws_is_unbiased_and_varies_less) {
  const int samples = 50;
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const int data = many(device);
    const Draw standard(device, data, {.seed = 5, .samples = samples, .given = {}},
                        Gradient::standard),
        doubly(device, data, {.seed = 6, .samples = samples, .given = {}}, Gradient::dreg);
    for (const std::size_t i : {0, 1}) {
      const Estimate a(standard.gradient, i, 2), b(doubly.gradient, i, 2);
      EXPECT_NEAR(a.mean, b.mean, 3 * std::hypot(a.error, b.error)) << device.name();
      EXPECT_LT(b.variance, a.variance / 10) << device.name();
    }
  }
}

TEST(ImportanceBound, of_one_draw_is_the_sampled_elbo) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const Tensor q(device, {1, 2}, {mean, raw}), x(device, {1, 1}, {observed});
    const Noise noise{.seed = 8};
    const auto [z, log_ratio] = sample_many(q, noise);
    const Tensor likelihood = log_p(x, z);
    const Tensor bound = importance_bound(likelihood, log_ratio, 1);
    EXPECT_EQ(z.item(), sample_posterior(q, noise).z.item());
    EXPECT_EQ(bound.item(), likelihood.item() + log_ratio.item());
  }
}

TEST(ImportanceBound, rises_from_the_elbo_to_the_likelihood_with_the_draws) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    double before = -INFINITY, error_before = 0;
    for (const int samples : {1, 2, 3, 5, 10, 50}) {
      SCOPED_TRACE(device.name() + ", draws " + std::to_string(samples));
      const Draw draw(device, many(device), {.seed = 7, .samples = samples, .given = {}},
                      Gradient::standard);
      const Estimate bound(draw.bounds);
      constexpr double known[] = {known_elbo, known_two, known_three};
      if (samples <= 3) {
        EXPECT_NEAR(bound.mean, known[samples - 1], 3 * bound.error);
      }
      EXPECT_GT(bound.mean, known_elbo - 3 * bound.error);
      EXPECT_GT(bound.mean, before - 3 * std::hypot(bound.error, error_before));
      EXPECT_LT(bound.mean, known_log_p + 3 * bound.error);
      before = bound.mean, error_before = bound.error;
    }
  }
}

/// The model as one that is trained and evaluated.
Model solved(const Device& device) {
  ModelConfig config;
  config.observed = 1, config.latent = 1, config.hidden = {}, config.likelihood = "gaussian";
  Model model(device, config, 0);
  for (const Parameter& p : model.parameters()) {
    if (p.name == "encoder.layers.0.weight") p.tensor.write({0, 0});
    if (p.name == "encoder.layers.0.bias") p.tensor.write({mean, raw});
    if (p.name == "decoder.layers.0.weight") p.tensor.write({1});
    if (p.name == "decoder.layers.0.bias") p.tensor.write({0});
  }
  return model;
}
Dataset copies(long rows) {
  Dataset data;
  data.source = "made for a test", data.rows = rows, data.columns = 1;
  data.floats.assign(std::size_t(rows), float(observed));
  return data;
}

TEST(ImportanceNll, of_a_hundred_thousand_draws_is_that_of_the_solved_model) {
  const Model model = solved(Device::cpu());
  Batches batches(model.device(), copies(20), 0);
  const Nll nll = importance_nll(model, batches, 100000, 1);
  EXPECT_EQ(nll.count, 20);
  EXPECT_GT(nll.standard_error, 0);
  EXPECT_NEAR(nll.mean, -known_log_p, 3 * nll.standard_error);
  // A weight's relative variance is near 0.13 (two Gaussians), so 20 · 1e5 draws leave 2.6e-4.
  EXPECT_LT(nll.standard_error, 6e-4);
}

TEST(ImportanceNll, of_a_datum_depends_on_no_other_and_on_every_part_of_its_draws) {
  const Model model = solved(Device::cpu());
  Batches many(model.device(), copies(40), 0), few(model.device(), copies(3), 0);
  const auto mean_of = [&](Batches& batches, int samples, std::uint64_t seed) {
    return importance_nll(model, batches, samples, seed, 3).mean;
  };
  // Rows in another tile of a product round as they did.
  EXPECT_EQ(mean_of(many, 1300, 1), mean_of(few, 1300, 1));
  EXPECT_NE(mean_of(few, 1300, 1), mean_of(few, 1300, 2));
  EXPECT_NE(mean_of(few, 1024, 1), mean_of(few, 512, 1))
      << "the second part drew what the first did";
}

/// Means of a bound before and after training on digits.
struct Trained {
  Model model;
  Means first, last;
};
Trained train(const TrainingOptions& options, int epochs) {
  static const Dataset digits = read_dataset("builtin:digits?n=400");
  ModelConfig config;
  config.observed = digits.columns, config.hidden = {32}, config.latent = 4;
  const Device device = Device::cpu();
  Model model(device, config, 2);
  Batches batches(device, digits, 2);
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  Trained result{model, trainer.epoch(), {}};
  for (int e = 1; e < epochs; ++e) result.last = trainer.epoch();
  return result;
}
TrainingOptions options_of(Bound bound, int samples) {
  return {.batch = 50, .rate = Constant{Real(3e-3)}, .bound = bound, .samples = samples, .seed = 2};
}

TEST(Training, for_the_importance_weighted_bound_improves_it_and_keeps_it_above_the_elbo) {
  for (const Gradient gradient : {Gradient::standard, Gradient::dreg}) {
    TrainingOptions options = options_of(Bound::iwae, 5);
    options.gradient = gradient;
    const Trained trained = train(options, 6);
    ASSERT_TRUE(trained.first.bound && trained.last.bound);
    EXPECT_EQ(trained.last.count, 400);
    EXPECT_GT(*trained.last.bound, *trained.first.bound + 20);
    EXPECT_GT(*trained.last.bound, trained.last.elbo);
    EXPECT_NEAR(trained.last.elbo, trained.last.log_likelihood - trained.last.kl, 1e-9);
  }
}

TEST(Training, for_an_elbo_of_several_draws_reports_it_for_each_datum) {
  const Trained one = train(options_of(Bound::elbo, 1), 6),
                five = train(options_of(Bound::elbo, 5), 6);
  EXPECT_FALSE(five.last.bound);
  EXPECT_EQ(five.last.count, 400);
  EXPECT_GT(five.last.elbo, five.first.elbo + 20);
  // Both minimise the same expectation; a count of rows for data would be five times off.
  EXPECT_NEAR(five.last.elbo / one.last.elbo, 1, 0.05);
  EXPECT_NEAR(five.last.kl / one.last.kl, 1, 0.3);
}

TEST(Training, with_free_bits_leaves_no_unit_without_them) {
  TrainingOptions options = options_of(Bound::elbo, 1);
  options.beta = Constant{20};  // far too much: without free bits every unit goes
  const auto kl_after = [&](Real nats) {
    options.free_bits = nats;
    const Trained trained = train(options, 20);
    Batches batches(trained.model.device(), read_dataset("builtin:digits?n=400"), 2);
    return std::pair(kl_per_unit(encode(trained.model, batches, 0)), trained.last.kl);
  };
  const auto [none, none_reported] = kl_after(0);
  const auto [held, reported] = kl_after(Real(0.5));
  double sum = 0;
  for (std::size_t u = 0; u < held.size(); ++u) {
    EXPECT_LT(none[u], 0.25);
    EXPECT_GT(held[u], 0.25);
    sum += held[u];
  }
  // What is reported is the KL itself, of the epoch's changing weights: not the floors' sum alone.
  EXPECT_NEAR(reported, sum, 0.3 * sum);
  EXPECT_LT(none_reported, reported / 2);
}

}  // namespace
}  // namespace elbo
