// The likelihood must suit the data: on data drawn from each family, the family itself explains
// held-out data best.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/math/likelihoods.h"
#include "kernels/math/philox.h"
#include "tests/models/long_training.h"

namespace elbo {
namespace {

using Parameters = std::vector<double>;

double log_prob(const Likelihood& any, double x, const Parameters& p) {
  return open(any, [&]<class Law>(const Law& law) -> double {
    if constexpr (Narrow<Law>) {
      Vec<Law::parameters, double> v;
      for (int k = 0; k < Law::parameters; ++k) v[k] = p[k];
      return law.log_prob(x, v);
    } else {
      return law.log_prob(x, p.data());
    }
  });
}

Parameters score(const Likelihood& any, double x, const Parameters& p) {
  Parameters out(p.size());
  open(any, [&]<class Law>(const Law& law) {
    if constexpr (Narrow<Law>) {
      Vec<Law::parameters, double> v;
      for (int k = 0; k < Law::parameters; ++k) v[k] = p[k];
      const auto s = law.score(x, v);
      for (int k = 0; k < Law::parameters; ++k) out[k] = s[k];
    } else {
      law.score(x, p.data(), out.data());
    }
    return 0;
  });
  return out;
}

struct Draw {
  std::uint64_t seed;
  std::uint32_t datum, drawn = 0;
  Philox next() { return Philox::at(drawn++, datum, 77, 0, seed); }
  Real uniform() { return next().uniform(0); }
  Real normal() { return next().normal(0); }
};

std::vector<double> draws(const Likelihood& any, const Parameters& p, int count,
                          std::uint64_t seed) {
  std::vector<double> x;
  for (int i = 0; i < count; ++i) {
    Draw draw{seed, std::uint32_t(i)};
    open(any, [&]<class Law>(const Law& law) {
      if constexpr (Narrow<Law>) {
        Vec<Law::parameters> v;
        for (int k = 0; k < Law::parameters; ++k) v[k] = Real(p[k]);
        x.push_back(law.sample(v, draw));
      } else {
        const std::vector<Real> v(p.begin(), p.end());
        x.push_back(law.sample(v.data(), draw));
      }
      return 0;
    });
  }
  return x;
}

double total(const Likelihood& law, const std::vector<double>& x, const Parameters& p) {
  double sum = 0;
  for (const double v : x) sum += log_prob(law, v, p);
  return sum;
}

/// Maximum likelihood by steps of g / Σ s sᵀ (Berndt, Hall, Hall & Hausman 1974), halved until they
/// climb.
Parameters fit(const Likelihood& law, const std::vector<double>& x, Parameters p) {
  if (std::holds_alternative<Categorical>(
          law)) {  // in closed form, half a count for a class unseen
    std::vector<double> counts(p.size(), 0.5);
    for (const double v : x) ++counts[std::size_t(v)];
    std::transform(counts.begin(), counts.end(), p.begin(), [](double c) { return std::log(c); });
    return p;
  }
  const int K = int(p.size());
  double here = total(law, x, p);
  for (int iteration = 0; iteration < 300; ++iteration) {
    Eigen::VectorXd g = Eigen::VectorXd::Zero(K);
    Eigen::MatrixXd h = 1e-9 * double(x.size()) * Eigen::MatrixXd::Identity(K, K);
    for (const double v : x) {
      const Parameters s = score(law, v, p);
      const Eigen::Map<const Eigen::VectorXd> at(s.data(), K);
      g += at, h += at * at.transpose();
    }
    const Eigen::VectorXd step = h.ldlt().solve(g);
    double length = std::min(1.0, 2 / step.cwiseAbs().maxCoeff());
    double there = here;
    Parameters q = p;
    for (; length > 1e-6; length /= 2) {
      for (int k = 0; k < K; ++k) q[k] = p[k] + length * step[k];
      there = total(law, x, q);
      if (there > here) break;
    }
    if (!(there > here)) break;
    const double gained = there - here;
    p = q, here = there;
    if (gained < 1e-6) break;
  }
  return p;
}

Parameters start(const Likelihood& law, const std::vector<double>& x) {
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / double(x.size());
  for (const double v : x) variance += (v - mean) * (v - mean) / double(x.size());
  const double sd = std::sqrt(variance) + 1e-3;
  if (std::holds_alternative<Gaussian>(law)) return {mean, std::log(variance + 1e-3)};
  if (std::holds_alternative<Poisson>(law)) return {std::log(mean)};
  if (std::holds_alternative<NegativeBinomial>(law)) return {std::log(mean), 0};
  if (std::holds_alternative<ZeroInflatedNegativeBinomial>(law)) return {std::log(mean), -2, 0};
  if (std::holds_alternative<Laplace>(law) || std::holds_alternative<StudentT>(law))
    return {mean, std::log(sd)};
  if (const auto* d = std::get_if<DiscretisedLogistic>(&law))
    return {(mean - (d->levels - 1) / 2.0) / d->half(), std::log(sd / d->half())};
  if (const auto* d = std::get_if<DiscretisedLogisticMixture>(&law)) {
    Parameters p;
    const DiscretisedLogistic one{d->levels};
    for (int j = 0; j < d->components; ++j) {
      const double at = mean + sd * (2.0 * j / (d->components - 1) - 1);
      p.insert(p.end(),
               {0, (at - (d->levels - 1) / 2.0) / one.half(), std::log(sd / one.half() / 2)});
    }
    return p;
  }
  return Parameters(std::size_t(parameters_of(law)));
}

struct Family {
  std::string name;
  Likelihood law;
  Parameters truth;                   // of the data drawn from it
  std::vector<std::string> rivals;    // that do not contain it
  std::vector<std::string> contains;  // families that contain it
};

const std::vector<Family>& families() {
  static const std::vector<Family> all{
      {"gaussian", Gaussian{}, {1, 0.5}, {"laplace", "student_t"}, {}},
      {"fixed_gaussian", FixedGaussian{.sigma = 2}, {1}, {"laplace", "student_t"}, {"gaussian"}},
      {"laplace", Laplace{}, {-1, 0.2}, {"gaussian", "student_t"}, {}},
      {"student_t", StudentT(4), {0.5, -0.3}, {"gaussian", "laplace"}, {}},
      {"beta", Beta{}, {1, 0.3}, {"continuous_bernoulli", "gaussian", "laplace"}, {}},
      {"continuous_bernoulli", ContinuousBernoulli{}, {3}, {"beta", "gaussian", "laplace"}, {}},
      {"bernoulli", Bernoulli{}, {0.4}, {"poisson", "negative_binomial"}, {"categorical_2"}},
      {"poisson", Poisson{}, {1.2}, {"gaussian"}, {"negative_binomial", "zinb"}},
      {"negative_binomial", NegativeBinomial{}, {1.5, 0}, {"poisson"}, {"zinb"}},
      {"zinb",
       ZeroInflatedNegativeBinomial{},
       {2, -0.5, 1.5},
       {"poisson", "negative_binomial"},
       {}},
      {"discretised_logistic",
       DiscretisedLogistic{256},
       {0.1, -2.5},
       {"poisson", "negative_binomial"},
       {"logistic_mixture", "categorical_256"}},
      {"logistic_mixture",
       DiscretisedLogisticMixture{2, 256},
       {0, -0.4, -3, 0.5, 0.5, -2.5},
       {"discretised_logistic", "negative_binomial"},
       {"categorical_256"}},
      {"categorical_4",
       Categorical{4},
       {0.5, -1.5, 0.2, -0.4},
       {"discretised_logistic_4", "poisson", "negative_binomial"},
       {}},
      {"categorical_2", Categorical{2}, {}, {}, {}},
      {"categorical_256", Categorical{256}, {}, {}, {}},
      {"discretised_logistic_4", DiscretisedLogistic{4}, {}, {}, {}},
  };
  return all;
}

const Family& family(const std::string& name) {
  return *std::find_if(families().begin(), families().end(),
                       [&](const Family& f) { return f.name == name; });
}

/// The difference of held-out log-likelihoods, and its standard error over the (paired) data.
struct Difference {
  double mean, standard_error;
};
Difference ahead(const Family& of, const Parameters& a, const Family& other,
                 const std::vector<double>& train, const std::vector<double>& held_out) {
  const Parameters b = fit(other.law, train, start(other.law, train));
  double sum = 0, squares = 0;
  for (const double x : held_out) {
    const double d = log_prob(of.law, x, a) - log_prob(other.law, x, b);
    sum += d, squares += d * d;
  }
  const double n = double(held_out.size()), mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / n)};
}

TEST(Likelihoods, that_drew_the_data_beat_every_rival_on_held_out_data_19_times_of_20) {
  if (too_long) GTEST_SKIP() << too_long;
  constexpr int size = 2000, trials = 20;
  for (const Family& truth : families()) {
    if (truth.truth.empty()) continue;
    std::map<std::string, int> won, level;
    for (int trial = 0; trial < trials; ++trial) {
      const std::vector<double> all = draws(truth.law, truth.truth, 2 * size, 1000 + trial);
      const std::vector<double> train(all.begin(), all.begin() + size),
          held_out(all.begin() + size, all.end());
      // The truth knows nothing but its family either: all are fitted.
      const Parameters own = fit(truth.law, train, start(truth.law, train));
      for (const std::string& name : truth.rivals)
        won[name] += ahead(truth, own, family(name), train, held_out).mean > 0;
      for (const std::string& name : truth.contains) {
        const Difference d = ahead(truth, own, family(name), train, held_out);
        level[name] += d.mean >= -2 * d.standard_error;
      }
    }
    for (const auto& [name, count] : won) EXPECT_GE(count, 19) << truth.name << " against " << name;
    // One that contains it may win by chance beyond two standard errors once in 40 at each side.
    for (const auto& [name, count] : level)
      EXPECT_GE(count, 19) << truth.name << " against " << name << ", which contains it";
  }
}

}  // namespace
}  // namespace elbo
