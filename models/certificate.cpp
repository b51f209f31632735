#include "models/certificate.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/math/likelihoods.h"
#include "models/certified_points.h"
#include "models/trainer.h"
#include "models/vae.h"
#include "nn/functions.h"

namespace elbo {

namespace {

using std::numbers::pi;

constexpr double unit = std::numeric_limits<Real>::epsilon() / 2;  // one rounding, relative

/// What kernels/math/likelihoods.h promises of log p, relative to max(1, |log p|).
constexpr double promised = 1e-5;
double log_prob_tolerance(double log_prob) { return promised * std::max(1.0, std::abs(log_prob)); }

struct Ledger {
  const Device& device;
  const CertifyOptions& options;
  const std::function<void(const Check&)>& made;
  std::vector<Check> checks;
  std::string group;

  void add(const std::string& claim, double expected, double got, double tolerance) {
    checks.push_back({group, claim, expected, got, tolerance});
    if (made) made(checks.back());
  }
  int draws(int usual) const { return std::max(1, int(options.draws * usual)); }
};

/// Of many points of one claim, that which comes closest to its tolerance or exceeds it most.
struct Worst {
  Check check;
  double share = -1;  // of the tolerance; a NaN's is infinite

  void see(double expected, double got, double tolerance) {
    const double error = std::abs(got - expected);
    const double here = error == 0               ? 0
                        : error / tolerance >= 0 ? error / tolerance
                                                 : std::numeric_limits<double>::infinity();
    if (here > share) share = here, check = {"", "", expected, got, tolerance};
  }
  void tell(Ledger& ledger, const std::string& claim) const {
    ledger.add(claim, check.expected, check.got, check.tolerance);
  }
};

// ---- What the device makes of a likelihood ----

/// The numbers, `times` after one another.
std::vector<Real> repeated(const std::vector<Real>& numbers, int times) {
  std::vector<Real> all(numbers.size() * std::size_t(times));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = numbers[i % numbers.size()];
  return all;
}
/// μ and log σ² of a latent unit, as an encoder gives them.
std::vector<Real> posterior(double mean, double deviation) {
  return {Real(mean), Real(2 * std::log(deviation))};
}

struct Observed {
  std::vector<Real> log_prob, score;  // [N], [N,K]
};

/// N scalars, each with parameters of its own: theta is row-major [N,K].
Observed observe(const Device& device, const Likelihood& law, const std::vector<Real>& values,
                 const std::vector<Real>& parameters) {
  const int n = int(values.size());
  const Tensor x(device, {n, 1}, values);
  Tensor theta(device, {n, parameters_of(law)}, parameters);
  theta.track();
  const Tensor terms = log_prob(law, x, theta);
  backward(objective({{terms, {.factor = Real(n)}}}));  // N times the mean: each score as it is
  return {terms.read(), theta.gradient().read()};
}

struct LikelihoodPoints {
  Worst log_prob, score;

  template <int K>
  void see(const certified::Point<K>& at, Real log_prob_got, const Real* score_got) {
    log_prob.see(at.log_prob, double(log_prob_got), log_prob_tolerance(at.log_prob));
    for (int k = 0; k < K; ++k) {
      const double relative = promised + at.condition[k] * 0x1p-23;
      // Below the smallest normal float there are fewer digits.
      const double least = double(std::numeric_limits<float>::min());
      score.see(at.score[k], double(score_got[k]),
                std::max(relative * std::abs(at.score[k]), least));
    }
  }
  template <int K>
  void see(const Device& device, const Likelihood& law, const certified::Point<K>* points,
           int count) {
    std::vector<Real> x, theta;
    for (int i = 0; i < count; ++i) {
      // The decimals stand for floats, whatever Real is.
      x.push_back(Real(float(points[i].x)));
      for (const double p : points[i].p) theta.push_back(Real(float(p)));
    }
    const Observed got = observe(device, law, x, theta);
    for (int i = 0; i < count; ++i) see(points[i], got.log_prob[i], &got.score[std::size_t(i) * K]);
  }
  void tell(Ledger& ledger, const std::string& name, int count) const {
    log_prob.tell(ledger, "log p of " + name + ", worst of " + std::to_string(count));
    score.tell(ledger, "score of " + name + ", worst of " + std::to_string(count));
  }
};

void check_likelihoods(Ledger& ledger) {
  ledger.group = "likelihoods at points computed with 80 digits, and their scores";
  const auto law = [&]<int K, std::size_t n>(const char* name, const Likelihood& law,
                                             const certified::Point<K>(&points)[n]) {
    LikelihoodPoints all;
    all.see(ledger.device, law, points, int(n));
    all.tell(ledger, name, int(n));
  };
  law("bernoulli", Bernoulli{}, certified::bernoulli);
  law("continuous_bernoulli", ContinuousBernoulli{}, certified::continuous_bernoulli);
  LikelihoodPoints fixed;
  for (const certified::FixedGaussianPoint& point : certified::fixed_gaussian)
    fixed.see(ledger.device, FixedGaussian{Real(float(point.sigma))}, &point.at, 1);
  fixed.tell(ledger, "gaussian, fixed sigma", int(std::size(certified::fixed_gaussian)));
  law("gaussian", Gaussian{}, certified::gaussian);
  law("laplace", Laplace{}, certified::laplace);
  law("student_t, 1 degree", StudentT(1), certified::student_t_1);
  law("student_t, 4 degrees", StudentT(4), certified::student_t_4);
  law("student_t, 30 degrees", StudentT(30), certified::student_t_30);
  law("beta", Beta{}, certified::beta);
  law("poisson", Poisson{}, certified::poisson);
  law("negative_binomial", NegativeBinomial{}, certified::negative_binomial);
  law("zinb", ZeroInflatedNegativeBinomial{}, certified::zero_inflated_negative_binomial);
  law("discretised_logistic", DiscretisedLogistic{256}, certified::discretised_logistic);
  law("logistic_mixture", DiscretisedLogisticMixture{3, 256},
      certified::discretised_logistic_mixture);
  law("categorical, 4 classes", Categorical{4}, certified::categorical_4);
  law("categorical, 20 classes", Categorical{20}, certified::categorical_20);
}

// ---- Every law is one: its probabilities sum, its density integrates, to 1 ----

/// ∫ f(x) dx ≈ Σ weight · f(x); of counts and levels every weight is 1.
struct Nodes {
  std::vector<Real> x;
  std::vector<double> weights;
};

Nodes whole_numbers(int count) {
  Nodes nodes;
  for (int i = 0; i < count; ++i) nodes.x.push_back(Real(i)), nodes.weights.push_back(1);
  return nodes;
}

/// The trapezoid rule in u for x = centre ± e^u: a density may have a kink at its centre.
Nodes real_line(double centre) {
  Nodes nodes;
  constexpr double step = 0.125;
  for (double u = -20; u <= 9; u += step)
    for (const int sign : {-1, 1}) {
      nodes.x.push_back(Real(centre + sign * std::exp(u)));
      nodes.weights.push_back(step * std::exp(u));
    }
  return nodes;
}

/// The trapezoid rule in u for x = sigmoid(u).
Nodes unit_interval(double reach) {
  Nodes nodes;
  constexpr double step = 0.25;
  for (double u = -reach; u <= reach; u += step) {
    const double x = sigmoid(u);
    nodes.x.push_back(Real(x)), nodes.weights.push_back(step * x * sigmoid(-u));
  }
  return nodes;
}

void check_total_mass(Ledger& ledger) {
  ledger.group = "probabilities sum, densities integrate, to 1";
  const std::vector<Real> shifts = ledger.options.full
                                       ? std::vector<Real>{0, -1, Real(-0.5), Real(0.5), 1}
                                       : std::vector<Real>{0};
  const auto law = [&](const char* name, const Likelihood& law, const std::vector<Real>& parameters,
                       const std::function<Nodes(Real first)>& nodes_for) {
    Worst worst;
    for (const Real shift : shifts) {
      std::vector<Real> p = parameters, theta;
      for (Real& raw : p) raw += shift;
      const Nodes nodes = nodes_for(p[0]);
      for (std::size_t i = 0; i < nodes.x.size(); ++i)
        theta.insert(theta.end(), p.begin(), p.end());
      const Observed got = observe(ledger.device, law, nodes.x, theta);
      double mass = 0, rounding = 0;
      for (std::size_t i = 0; i < nodes.x.size(); ++i) {
        const double log_p = double(got.log_prob[i]), part = nodes.weights[i] * std::exp(log_p);
        mass += part;
        if (part > 0) rounding += part * unit * std::abs(log_p);
      }
      worst.see(1, mass, 1e-6 + rounding);
    }
    worst.tell(ledger, std::string("total of ") + name);
  };
  const auto counts = [](Real) { return whole_numbers(256); };
  const auto line = [](Real centre) { return real_line(double(centre)); };
  law("bernoulli", Bernoulli{}, {Real(0.75)}, [](Real) { return whole_numbers(2); });
  law("continuous_bernoulli", ContinuousBernoulli{}, {Real(1.25)},
      [](Real) { return unit_interval(25); });
  law("gaussian, fixed sigma", FixedGaussian{2}, {Real(0.5)}, line);
  law("gaussian", Gaussian{}, {Real(0.5), Real(-0.75)}, line);
  law("laplace", Laplace{}, {Real(0.5), Real(0.25)}, line);
  law("student_t, 4 degrees", StudentT(4), {Real(0.5), Real(0.25)}, line);
  law("beta", Beta{}, {1, Real(1.25)}, [](Real) { return unit_interval(15); });
  law("poisson", Poisson{}, {3}, counts);
  law("negative_binomial", NegativeBinomial{}, {2, Real(0.5)}, counts);
  law("zinb", ZeroInflatedNegativeBinomial{}, {2, -1, Real(0.5)}, counts);
  law("discretised_logistic", DiscretisedLogistic{256}, {Real(0.125), -2}, counts);
  law("logistic_mixture", DiscretisedLogisticMixture{3, 256},
      {0, Real(-0.5), -2, 1, Real(0.25), -3, Real(-0.5), Real(0.75), Real(-1.5)}, counts);
  law("categorical, 4 classes", Categorical{4}, {Real(0.5), Real(-1.5), 0, 3},
      [](Real) { return whole_numbers(4); });
}

void check_limits(Ledger& ledger) {
  ledger.group = "laws that become others";
  constexpr int count = 41;
  constexpr Real huge = 16;  // log θ
  Worst dispersion, inflation;
  for (const Real rate : {Real(-2), Real(1), Real(3)}) {
    const std::vector<Real> x = whole_numbers(count).x;
    const auto of = [&](const Likelihood& law, const std::vector<Real>& p) {
      return observe(ledger.device, law, x, repeated(p, count)).log_prob;
    };
    const auto poisson = of(Poisson{}, {rate}), at_infinity = of(NegativeBinomial{}, {rate, huge});
    const auto negative_binomial = of(NegativeBinomial{}, {rate, 0});
    const auto without_zeros = of(ZeroInflatedNegativeBinomial{}, {rate, -40, 0});
    for (int i = 0; i < count; ++i) {
      // log NB - log Poisson = ((x - μ)² - x) / 2θ + O(1/θ²); the other two differ by π = e⁻⁴⁰
      // over the probability of a zero.
      const double mu = std::exp(double(rate)),
                   apart = (square(i - mu) - i) / 2 / std::exp(double(huge));
      dispersion.see(double(poisson[i]) + apart, double(at_infinity[i]),
                     2 * log_prob_tolerance(double(poisson[i])));
      inflation.see(double(negative_binomial[i]), double(without_zeros[i]),
                    2 * log_prob_tolerance(double(negative_binomial[i])));
    }
  }
  dispersion.tell(ledger, "negative_binomial, dispersion e^16: poisson");
  inflation.tell(ledger, "zinb, logit -40: negative_binomial");
}

// ---- The divergence ----

void check_divergence(Ledger& ledger) {
  ledger.group = "KL(N(m, e^s) || N(0, 1))";
  constexpr struct {
    double m, s, kl;
    const char* claim;
  } known[] = {{0, 0, 0, "m = 0, s = 0"},
               {1, 0, 0.5, "m = 1, s = 0"},
               {-3, 1.5, 5.490844535169033, "m = -3, s = 1.5"},
               {0.001, -0.0005, 5.624895846352865e-07, "m = 0.001, s = -0.0005"},
               {0, -20, 9.500000001030577, "m = 0, s = -20"},
               {0, -40, 19.5, "m = 0, s = -40"},
               {5, 10, 11020.232897403357, "m = 5, s = 10"},
               {1e-6, 1e-6, 7.500000833333542e-13, "m = 1e-6, s = 1e-6"}};
  std::vector<Real> q;
  for (const auto& k : known) q.push_back(Real(k.m)), q.push_back(Real(k.s));
  const Tensor heads(ledger.device, {int(std::size(known)), 2}, q);
  const std::vector<Real> kl = sample_posterior(heads, {.seed = 1}).kl.read();
  for (std::size_t i = 0; i < kl.size(); ++i)
    ledger.add(known[i].claim, known[i].kl, double(kl[i]), 1e-5 * known[i].kl);
}

// ---- The bounds, where everything is known: one latent, one datum ----

/// The trapezoid rule, which converges faster than any power where f vanishes at both ends.
template <class F>
double integral(double low, double high, int steps, F&& f) {
  const double h = (high - low) / steps;
  double sum = 0;
  for (int i = 0; i <= steps; ++i) sum += f(low + i * h);
  return sum * h;
}

double log_normal(double x, double mean, double deviation) {
  return Gaussian{.floor = 0}.log_prob(x, Vec<2, double>{mean, 2 * std::log(deviation)});
}

/// p(z) = N(0, 1), p(x | z) = N(z, 1), q(z) = N(m, σ²).
namespace sandwich {

constexpr double x = 1.5, m = 0.5, sigma = 0.8;

double log_likelihood(double z) { return FixedGaussian{1}.log_prob(x, Vec<1, double>{z}); }
double log_joint(double z) { return log_likelihood(z) + log_normal(z, 0, 1); }
double log_q(double z) { return log_normal(z, m, sigma); }

template <class F>
double mean_under_q(F&& f) {
  return integral(m - 12 * sigma, m + 12 * sigma, 200,
                  [&](double z) { return std::exp(log_q(z)) * f(z); });
}

/// E log (w₁ + … + w_S)/S, w = p(x, z)/q(z).
///
/// By log a = ∫ (e^-t - e^-at) dt/t and independence, with L(t) = E e^-wt and t = e^u, it is
/// ∫ (exp(-e^u) - L(e^u/S)^S) du, whatever S is.
double importance_weighted_bound(int samples) {
  return integral(-40, 14, 270, [&](double u) {
    const double t = std::exp(u), each = t / samples;
    const double laplace =
        mean_under_q([&](double z) { return std::exp(-each * std::exp(log_joint(z) - log_q(z))); });
    return std::exp(-t) - std::pow(laplace, samples);
  });
}

}  // namespace sandwich

struct Estimate {
  double mean, standard_error;
};
Estimate estimate(const std::vector<double>& values) {
  const double n = double(values.size());
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  for (const double v : values) squares += square(v - sum / n);
  return {sum / n, std::sqrt(squares / n / n)};
}

/// The estimates of one datum by so many independent groups of S draws, on the device.
Estimate estimated_bound(const Device& device, int groups, int samples) {
  using namespace sandwich;
  const Tensor q(device, {groups, 2}, repeated(posterior(m, sigma), groups));
  const Tensor data(device, {groups, 1}, repeated({Real(x)}, groups));
  std::vector<double> bounds;
  if (samples == 1) {
    const auto [z, kl] = sample_posterior(q, {.seed = 1});
    const Tensor terms = add(log_prob(FixedGaussian{1}, data, z), kl, 1, -1);
    for (const Real v : terms.read()) bounds.push_back(double(v));
    return estimate(bounds);
  }
  const auto [z, log_ratio] = sample_many(q, {.seed = 1, .samples = samples});
  const std::vector<Real> log_w = add(log_prob(FixedGaussian{1}, data, z), log_ratio).read();
  for (int g = 0; g < groups; ++g) {
    double sum = 0;
    for (int s = 0; s < samples; ++s) sum += std::exp(double(log_w[std::size_t(g) * samples + s]));
    bounds.push_back(std::log(sum / samples));
  }
  return estimate(bounds);
}

void check_sandwich(Ledger& ledger) {
  using namespace sandwich;
  ledger.group = "bounds: p(z) = N(0,1), p(x|z) = N(z,1), x = 1.5, q = N(0.5, 0.8^2)";
  constexpr double exact = 1e-9;
  const double reconstruction = mean_under_q(log_likelihood);
  const double kl = mean_under_q([](double z) { return log_q(z) - log_normal(z, 0, 1); });
  const double elbo = mean_under_q([](double z) { return log_joint(z) - log_q(z); });
  const double log_p =
      std::log(integral(-12, 13.5, 400, [](double z) { return std::exp(log_joint(z)); }));
  ledger.add("reconstruction, by quadrature", -1.738938533205, reconstruction, exact);
  ledger.add("KL, by quadrature", 0.168143551314, kl, exact);
  ledger.add("ELBO, by quadrature", -1.907082084519, elbo, exact);
  ledger.add("ELBO = reconstruction - KL", reconstruction - kl, elbo, exact);
  ledger.add("IWAE of 2 draws, by quadrature", -1.8606581276539786, importance_weighted_bound(2),
             exact);
  ledger.add("IWAE of 3 draws, by quadrature", -1.8484965806445435, importance_weighted_bound(3),
             exact);
  ledger.add("log p, by quadrature", -1.8280121234846454, log_p, exact);

  const int rows = ledger.draws(1 << 17);
  double last = -std::numeric_limits<double>::infinity();
  int falls = 0;
  for (const int samples : {1, 2, 3, 10, 100}) {
    const double bound = samples == 1 ? elbo : importance_weighted_bound(samples);
    falls += !(bound >= last && bound <= log_p), last = bound;
    const Estimate got = estimated_bound(ledger.device, rows / samples, samples);
    const std::string name =
        samples == 1 ? "ELBO" : "IWAE of " + std::to_string(samples) + " draws";
    ledger.add(name + ", on the device", bound, got.mean, 3 * got.standard_error);
  }
  ledger.add("ELBO < IWAE of 2, 3, 10, 100 < log p: exceptions", 0, falls, 0);
}

void check_decomposition(Ledger& ledger) {
  ledger.group = "mean KL = I(x; z) + KL(q(z) || p(z)), four data";
  constexpr std::array<double, 4> means{-2, -0.5, 0.5, 2}, deviations{0.3, 0.5, 0.5, 0.3};
  const auto log_aggregate = [&](double z) {
    double q = 0;
    for (int i = 0; i < 4; ++i) q += std::exp(log_normal(z, means[i], deviations[i])) / 4;
    return std::log(q);
  };
  // E of f(log q, z) under a density q.
  const auto mean = [](auto&& log_q, auto&& f) {
    return integral(-8, 8, 1600, [&](double z) { return std::exp(log_q(z)) * f(log_q(z), z); });
  };
  const auto to_prior = [](double log_q, double z) { return log_q - log_normal(z, 0, 1); };
  double kl = 0, information = 0;
  for (int i = 0; i < 4; ++i) {
    const auto log_q = [&](double z) { return log_normal(z, means[i], deviations[i]); };
    kl += mean(log_q, to_prior) / 4;
    information += mean(log_q, [&](double l, double z) { return l - log_aggregate(z); }) / 4;
  }
  const double aggregate = mean(log_aggregate, to_prior);
  ledger.add("mean KL, by quadrature", 1.596059992443, kl, 1e-9);
  ledger.add("I(x; z), by quadrature", 1.127153190825, information, 1e-9);
  ledger.add("KL(q(z) || p(z)), by quadrature", 0.468906801618, aggregate, 1e-9);
  ledger.add("their sum", kl, information + aggregate, 1e-9);
  ledger.add("I(x; z) beyond log 4 = 1.386294361", 0, std::max(0.0, information - std::log(4.0)),
             0);
  double on_device = 0;
  for (int i = 0; i < 4; ++i) {
    const Tensor q(ledger.device, {1, 2}, posterior(means[i], deviations[i]));
    on_device += double(sample_posterior(q, {.seed = 1}).kl.item()) / 4;
  }
  ledger.add("mean KL, on the device", kl, on_device, 1e-5 * kl);
}

// ---- Principal components ----

/// Data ±√(5λ_c) e_c of covariance diag λ.  At the maximum of the likelihood σ² is the mean of the
/// λ left out, the decoder x = W z has the columns √(λ_j - σ²) e_j, and the posterior is Gaussian
/// with means √(λ_j - σ²) x_j/λ_j and variances σ²/λ_j: every importance weight is p(x) itself.
/// Tipping & Bishop, Probabilistic Principal Component Analysis (1999).
void check_principal_components(Ledger& ledger) {
  ledger.group = "probabilistic PCA, covariance diag(4, 2, 1, 0.5, 0.25), k components";
  constexpr int C = 5, rows = 2 * C;
  constexpr std::array<double, C> lambda{4, 2, 1, 0.5, 0.25};
  constexpr struct {
    int k;
    double log_p, kl, squared_error;
  } known[] = {{1, -7.658762804308166, 0.7254164411287308, 3.75},
               {2, -7.32591868576425, 1.578717271572605, 1.75},
               {3, -7.153584183851555, 2.510964650357507, 0.75}};
  const Device& device = ledger.device;
  std::vector<Real> values(rows * C);
  for (int r = 0; r < rows; ++r)
    values[r * C + r / 2] = Real((r % 2 ? -1 : 1) * std::sqrt(5 * lambda[r / 2]));
  const Tensor x(device, {rows, C}, values);

  for (const auto& [k, log_p, kl, squared_error] : known) {
    const std::string of_k = ", k = " + std::to_string(k);
    double variance = 0;
    for (int c = k; c < C; ++c) variance += lambda[c] / (C - k);
    std::vector<Real> encoder(2 * k * C), log_variances(2 * k), decoder(C * k), projector(k * C),
        back(C * k);
    for (int j = 0; j < k; ++j) {
      const double loading = std::sqrt(lambda[j] - variance);
      encoder[2 * j * C + j] = Real(loading / lambda[j]);
      log_variances[2 * j + 1] = Real(std::log(variance / lambda[j]));
      decoder[j * k + j] = Real(loading);
      projector[j * C + j] = back[j * k + j] = 1;
    }
    const auto linear = [&](const Tensor& in, int outputs, const std::vector<Real>& weight,
                            const std::vector<Real>& bias) {
      return dense(Identity{}, in, Tensor(device, {outputs, in.columns()}, weight),
                   Tensor(device, {1, outputs}, bias));
    };
    const auto none = [](int outputs) { return std::vector<Real>(std::size_t(outputs)); };
    const Tensor q = linear(x, 2 * k, encoder, log_variances);
    const int draws = ledger.draws(100);
    const auto [z, log_ratio] = sample_many(q, {.seed = 1, .samples = draws});
    const FixedGaussian noise{Real(std::sqrt(variance))};
    const Tensor log_weights = add(log_prob(noise, x, linear(z, C, decoder, none(C))), log_ratio);
    const Tensor divergence = sample_posterior(q, {.seed = 1}).kl;
    const std::vector<Real> got = log_weights.read(), kls = divergence.read();
    Worst worst;
    double mean = 0, mean_kl = 0;
    for (int r = 0; r < rows; ++r) {
      double of_datum = 0;  // log N(x; 0, W Wᵀ + σ² I)
      for (int c = 0; c < C; ++c) {
        const double v = c < k ? lambda[c] : variance;
        of_datum -= (law::log_2_pi + std::log(v) + (c == r / 2 ? 5 * lambda[c] / v : 0)) / 2;
      }
      for (int s = 0; s < draws; ++s) {
        const double log_w = double(got[std::size_t(r) * draws + s]);
        worst.see(of_datum, log_w, log_prob_tolerance(of_datum));
        mean += log_w / rows / draws;
      }
      mean_kl += double(kls[r]) / rows;
    }
    worst.tell(ledger, "log p(x,z)/q(z|x) = log p(x), worst" + of_k);
    ledger.add("log p(x), mean over data" + of_k, log_p, mean, log_prob_tolerance(log_p));
    ledger.add("KL, mean over data" + of_k, kl, mean_kl, 1e-5 * kl);

    const Tensor copied = linear(linear(x, k, projector, none(k)), C, back, none(C));
    double off = 0;  // log N(x; x̂, 1) = -½ (C log 2π + |x - x̂|²)
    for (const Real v : log_prob(FixedGaussian{1}, x, copied).read())
      off += (-2 * double(v) - C * law::log_2_pi) / rows;
    ledger.add("squared error of the autoencoder" + of_k, squared_error, off,
               1e-5 * (squared_error + C * law::log_2_pi));
  }
}

// ---- Gradient estimators ----

/// Two estimators of ∂E[z²], z = μ + σε: through the path (the library's backward pass), 2z and
/// 2zε; and by the score of q, z² ε/σ and z² (ε² - 1)/σ.  Mohamed et al. (2020).
void check_gradient_variances(Ledger& ledger) {
  ledger.group = "variances of gradient estimators of E[z^2], z ~ N(mu, sigma^2)";
  constexpr int rows = 1 << 14, columns = 64, estimators = 4;
  constexpr const char* names[] = {"path, d/dmu", "path, d/dsigma", "score, d/dmu",
                                   "score, d/dsigma"};
  constexpr struct {
    double mu, sigma, variances[estimators];
    const char* where;
  } known[] = {{1, 1, {4, 12, 30, 136}, ", mu = 1, sigma = 1"},
               {2, 0.5, {1, 18, 123.75, 386.5}, ", mu = 2, sigma = 0.5"}};
  const Tensor zero(ledger.device, {rows, columns});
  for (const auto& [mu, sigma, variances, where] : known) {
    const auto of_noise = [&](double e) {
      const double z = mu + sigma * e;
      return std::array<double, estimators>{2 * z, 2 * z * e, z * z * e / sigma,
                                            z * z * (e * e - 1) / sigma};
    };
    Tensor q(ledger.device, {rows, 2 * columns}, repeated(posterior(mu, sigma), rows * columns));
    q.track();
    std::array<double, estimators> sums{}, squares{};
    const int batches = ledger.draws(4);
    for (int batch = 0; batch < batches; ++batch) {
      q.drop_gradient();
      const Tensor z = sample_posterior(q, {.seed = std::uint64_t(batch)}).z;
      // z² = -2 log N(0; z, 1) - log 2π
      backward(objective({{log_prob(FixedGaussian{1}, zero, z), {.factor = -2 * Real(rows)}}}));
      const std::vector<Real> drawn = z.read(), dq = q.gradient().read();
      for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto of_draw = of_noise((double(drawn[i]) - mu) / sigma);
        of_draw[0] = double(dq[2 * i]), of_draw[1] = double(dq[2 * i + 1]) * 2 / sigma;
        for (int k = 0; k < estimators; ++k)
          sums[k] += of_draw[k], squares[k] += square(of_draw[k]);
      }
    }
    const double n = double(batches) * rows * columns;
    for (int k = 0; k < estimators; ++k) {
      const auto moment = [&](double centre, int power) {
        return integral(-14, 14, 280, [&](double e) {
          return std::exp(log_normal(e, 0, 1)) * std::pow(of_noise(e)[k] - centre, power);
        });
      };
      const double mean = moment(0, 1), fourth = moment(mean, 4);
      const double standard_error = std::sqrt((fourth - square(variances[k])) / n);
      ledger.add(std::string(names[k]) + where, variances[k], squares[k] / n - square(sums[k] / n),
                 3 * standard_error);
    }
  }
}

// ---- Random numbers and bits ----

void check_random_numbers(Ledger& ledger) {
  ledger.group = "Philox4x32-10 and its normals";
  constexpr std::uint32_t ones = ~0u;
  constexpr std::array<std::uint32_t, 4> at_zero{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  constexpr std::array<std::uint32_t, 4> at_ones{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  const Philox zero = Philox::at(0, 0, 0, 0, 0);
  const Philox one = Philox::at(ones, ones, ones, ones, ~std::uint64_t(0));
  ledger.add("words at counter 0, key 0 that agree", 4,
             double(std::inner_product(at_zero.begin(), at_zero.end(), zero.word, 0, std::plus<>(),
                                       std::equal_to<>())),
             0);
  ledger.add("words at counter and key of ones that agree", 4,
             double(std::inner_product(at_ones.begin(), at_ones.end(), one.word, 0, std::plus<>(),
                                       std::equal_to<>())),
             0);
  // Seed, stream, datum, sample and epoch 0: the first block, by Box and Muller.
  const auto normals = [&](int rows, int columns, const Noise& noise) {
    return sample_posterior(Tensor(ledger.device, {rows, 2 * columns}), noise).z.read();
  };
  const std::vector<Real> first = normals(1, 4, {.seed = 0, .stream = 0});
  Worst worst;
  for (int i = 0; i < 4; ++i) {
    const auto uniform = [&](int w) { return (double(at_zero[w]) + 0.5) * 0x1p-32; };
    const double radius = std::sqrt(-2 * std::log(uniform(i & 2)));
    const double angle = 2 * pi * uniform((i & 2) + 1);
    const double normal = radius * (i & 1 ? std::sin(angle) : std::cos(angle));
    // The angle, up to 2π, is rounded twice; the rest four times.
    worst.see(normal, double(first[i]), unit * (4 * pi * radius + 4 * std::abs(normal)));
  }
  worst.tell(ledger, "first four normals, on the device, worst");

  const int rows = ledger.draws(1000);
  std::vector<Real> sorted = normals(rows, 100, {.seed = 2});
  std::sort(sorted.begin(), sorted.end());
  const double n = double(sorted.size());
  double sum = 0, squares = 0, distance = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double v = double(sorted[i]), below = std::erfc(-v / std::numbers::sqrt2) / 2;
    sum += v, squares += v * v;
    distance = std::max({distance, below - double(i) / n, double(i + 1) / n - below});
  }
  ledger.add("mean of device normals", 0, sum / n, 3 / std::sqrt(n));
  ledger.add("variance of device normals", 1, squares / n, 3 * std::sqrt(2 / n));
  // Exceeded by one in a thousand (Kolmogorov 1933).
  ledger.add("Kolmogorov-Smirnov distance to N(0, 1)", 0, distance, 1.95 / std::sqrt(n));
}

void check_bits(Ledger& ledger) {
  ledger.group = "the same training twice gives the same bits";
  struct Trained {
    double elbo;
    std::vector<Real> weights;
  };
  const Dataset digits = read_dataset("builtin:digits?n=128");
  const auto train = [&] {
    Vae vae(ledger.device, {.observed = digits.columns, .hidden = {32}, .latent = 4});
    Batches batches(ledger.device, digits, 1);
    Trainer trainer(vae, batches, {.batch = 64});
    trainer.epoch();
    Trained trained{trainer.epoch().elbo, {}};
    for (const Parameter& p : parameters(vae)) {
      const std::vector<Real> part = p.tensor.read();
      trained.weights.insert(trained.weights.end(), part.begin(), part.end());
    }
    return trained;
  };
  const Trained once = train(), again = train();
  int differ = 0;
  for (std::size_t i = 0; i < once.weights.size(); ++i)
    differ += once.weights[i] != again.weights[i];
  ledger.add("ELBO of the second epoch", once.elbo, again.elbo, 0);
  ledger.add("weights that differ, of " + std::to_string(once.weights.size()), 0, differ, 0);
}

}  // namespace

std::vector<Check> certify(const Device& device, const CertifyOptions& options,
                           const std::function<void(const Check&)>& made) {
  Ledger ledger{device, options, made, {}, {}};
  check_likelihoods(ledger);
  check_total_mass(ledger);
  check_limits(ledger);
  check_divergence(ledger);
  check_sandwich(ledger);
  check_decomposition(ledger);
  check_principal_components(ledger);
  check_gradient_variances(ledger);
  check_random_numbers(ledger);
  check_bits(ledger);
  return std::move(ledger.checks);
}

}  // namespace elbo
