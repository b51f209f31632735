// Likelihoods (kernels/math/likelihoods.h) against values computed elsewhere, against what a law
// must satisfy, and against their own samplers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/math/likelihoods.h"
#include "kernels/math/philox.h"
#include "tests/golden/likelihoods.h"

namespace elbo {
namespace {

// ---- One interface to narrow and wide laws ----

template <class T>
constexpr double epsilon = std::numeric_limits<T>::epsilon();

template <class Law>
int parameters(const Law& law) {
  if constexpr (Narrow<Law>) return Law::parameters;
  else return law.parameters();
}

/// p as the law takes it.
template <class T, class Law>
auto packed(const Law&, const std::vector<double>& p) {
  if constexpr (Narrow<Law>) {
    Vec<Law::parameters, T> v;
    for (int k = 0; k < Law::parameters; ++k) v[k] = T(p[k]);
    return v;
  } else {
    return std::vector<T>(p.begin(), p.end());
  }
}

template <class T, class Law>
double log_prob(const Law& law, double x, const std::vector<double>& p) {
  return law.log_prob(T(x), packed<T>(law, p));
}
template <class T, class Law>
std::vector<double> score(const Law& law, double x, const std::vector<double>& p) {
  if constexpr (Narrow<Law>) {
    const Vec<Law::parameters, T> s = law.score(T(x), packed<T>(law, p));
    return {s.v, s.v + Law::parameters};
  } else {
    std::vector<T> s(p.size());
    law.score(T(x), packed<T>(law, p), s);
    return {s.begin(), s.end()};
  }
}
template <class T, class Law>
double mean(const Law& law, const std::vector<double>& p) {
  return law.mean(packed<T>(law, p));
}

std::string text(double x, const std::vector<double>& p) {
  std::ostringstream out;
  out.precision(9);
  out << "x " << x << ", p";
  for (const double v : p) out << ' ' << v;
  return out.str();
}

// ---- The laws and their known points ----

const Real floor_scale = Real(1e-3f);  // that of the known points, a float also in double builds

/// Calls f(law, point) for every known point of every law, with the law's name to be seen.
template <class F>
void at_known_points(F&& f) {
  const auto each = [&](const char* name, const auto& law, const auto& table) {
    SCOPED_TRACE(name);
    for (const auto& point : table) f(law, point);
  };
  each("Bernoulli", Bernoulli{}, golden::bernoulli);
  each("ContinuousBernoulli", ContinuousBernoulli{}, golden::continuous_bernoulli);
  for (const golden::FixedGaussianPoint& point : golden::fixed_gaussian) {
    SCOPED_TRACE("FixedGaussian of " + std::to_string(point.sigma));
    f(FixedGaussian{.sigma = Real(float(point.sigma))}, point.at);
  }
  each("Gaussian", Gaussian{.floor = floor_scale}, golden::gaussian);
  each("Laplace", Laplace{.floor = floor_scale}, golden::laplace);
  each("StudentT of 1", StudentT{.degrees = 1, .floor = floor_scale}, golden::student_t_1);
  each("StudentT of 4", StudentT{.degrees = 4, .floor = floor_scale}, golden::student_t_4);
  each("StudentT of 30", StudentT{.degrees = 30, .floor = floor_scale}, golden::student_t_30);
  each("Beta", Beta{}, golden::beta);
  each("Poisson", Poisson{}, golden::poisson);
  each("NegativeBinomial", NegativeBinomial{}, golden::negative_binomial);
  each("ZeroInflatedNegativeBinomial", ZeroInflatedNegativeBinomial{},
       golden::zero_inflated_negative_binomial);
  each("DiscretisedLogistic", DiscretisedLogistic{}, golden::discretised_logistic);
  each("DiscretisedLogisticMixture", DiscretisedLogisticMixture{.components = 3},
       golden::discretised_logistic_mixture);
  each("Categorical of 4", Categorical{.classes = 4}, golden::categorical_4);
  each("Categorical of 20", Categorical{.classes = 20}, golden::categorical_20);
}

/// The floats that a point's decimals mean.
template <int K>
std::vector<double> raw(const golden::Point<K>& point) {
  std::vector<double> p;
  for (const double v : point.p) p.push_back(float(v));
  return p;
}

/// What is promised of a log-probability: 1e-5 · max(1, |log p|) in float, that is 84 roundings; as
/// many in double.
template <class T>
double promised(double log_prob) {
  return 1e-5 * (epsilon<T> / epsilon<float>)*std::max(1.0, std::fabs(log_prob));
}

TEST(Likelihoods, in_float_have_their_known_log_probabilities) {
  at_known_points([]<int K>(const auto& law, const golden::Point<K>& point) {
    const double x = float(point.x);
    EXPECT_NEAR(log_prob<float>(law, x, raw(point)), point.log_prob, promised<float>(point.log_prob))
        << text(x, raw(point));
  });
}

TEST(Likelihoods, in_float_have_their_known_scores_relative_to_the_score_itself) {
  at_known_points([]<int K>(const auto& law, const golden::Point<K>& point) {
    const double x = float(point.x);
    const std::vector<double> s = score<float>(law, x, raw(point));
    for (int k = 0; k < K; ++k) {
      const double size = std::fabs(point.score[k]), least = std::numeric_limits<float>::min();
      const double bound = (1e-5 + point.condition[k] * epsilon<float>)*size;
      // Below the smallest normal float there are no relative errors.
      EXPECT_NEAR(s[k], point.score[k], size < least ? least : bound)
          << "score " << k << " (condition " << point.condition[k] << ") at " << text(x, raw(point));
    }
  });
}

TEST(Likelihoods, in_double_have_their_known_log_probabilities) {
  at_known_points([]<int K>(const auto& law, const golden::Point<K>& point) {
    const double x = float(point.x);
    EXPECT_NEAR(log_prob<double>(law, x, raw(point)), point.log_prob,
                promised<double>(point.log_prob))
        << text(x, raw(point));
  });
}

TEST(Likelihoods, in_double_have_their_known_scores) {
  at_known_points([]<int K>(const auto& law, const golden::Point<K>& point) {
    const double x = float(point.x);
    const std::vector<double> s = score<double>(law, x, raw(point));
    for (int k = 0; k < K; ++k) {
      const double by_inputs = point.condition[k] * epsilon<double>* std::fabs(point.score[k]);
      EXPECT_NEAR(s[k], point.score[k], promised<double>(point.score[k]) + by_inputs)
          << "score " << k << " (condition " << point.condition[k] << ") at " << text(x, raw(point));
    }
  });
}

TEST(Likelihoods, have_scores_that_are_central_differences_in_double) {
  long compared = 0, all = 0;
  at_known_points([&]<int K>(const auto& law, const golden::Point<K>& point) {
    const double x = float(point.x), h = 0x1p-14;  // p ± 2 h is exact, p being a float
    const std::vector<double> p = raw(point), s = score<double>(law, x, p);
    for (int k = 0; k < K; ++k) {
      const auto at = [&](double step) {
        std::vector<double> moved = p;
        moved[k] += step;
        return log_prob<double>(law, x, moved);
      };
      const double up = at(h), down = at(-h);
      const double narrow = (up - down) / (2 * h), wide = (at(2 * h) - at(-2 * h)) / (4 * h);
      // With step 2 h the error c h² + … is four times that of h, so that the two differ by three
      // times h's error, less what log_prob's roundings make of both.
      const double rounding = promised<double>(std::max(std::fabs(up), std::fabs(down))) / h;
      const double bound = std::fabs(wide - narrow) + 2 * rounding;
      ++all;
      if (bound > 1e-3 * std::max(1e-3, std::fabs(s[k]))) continue;  // would show nothing
      ++compared;
      EXPECT_NEAR(s[k], narrow, bound) << "score " << k << " at " << text(x, p);
    }
  });
  EXPECT_GT(compared, all / 2);
}

// ---- What every law must satisfy ----

struct Node {
  double x, weight;
};
using Nodes = std::vector<Node>;

Nodes whole_numbers(int count) {
  Nodes nodes;
  for (int x = 0; x < count; ++x) nodes.push_back({double(x), 1});
  return nodes;
}

/// Of an integral over the real line that is smooth on both sides of `middle` and has a tail of any
/// power: the trapezoid rule after |x - middle| = scale · exp(π/2 sinh t) (Takahasi & Mori 1974).
Nodes real_line(double middle, double scale) {
  Nodes nodes;
  const double h = 0x1p-6, half_pi = std::numbers::pi / 2;
  for (double t = -4; t <= 3.75; t += h) {
    const double distance = scale * std::exp(half_pi * std::sinh(t));
    const double weight = h * half_pi * std::cosh(t) * distance;
    nodes.push_back({middle - distance, weight});
    nodes.push_back({middle + distance, weight});
  }
  return nodes;
}

/// Of an integral over (0, 1) with singular ends: tanh-sinh.
Nodes unit_interval() {
  Nodes nodes;
  const double h = 0x1p-6, half_pi = std::numbers::pi / 2;
  for (double t = -5; t <= 5; t += h) {
    const double x = 1 / (1 + std::exp(-2 * half_pi * std::sinh(t)));
    const double rest = 1 / (1 + std::exp(2 * half_pi * std::sinh(t)));
    nodes.push_back({x, h * 2 * half_pi * std::cosh(t) * x * rest});
  }
  return nodes;
}

/// Sums over the nodes in double, of a law in T.
struct Moments {
  double mass = 0, first = 0;  // Σ w e^{log p}, Σ w e^{log p} (x - middle)
  double absolute = 0;         // Σ w e^{log p} |x - middle|
  double promised = 0;         // Σ w e^{log p} times what is promised of log p
  double promised_first = 0;   // that times |x - middle|
  std::vector<double> score, promised_score;
};

template <class T, class Law>
Moments moments(const Law& law, const std::vector<double>& p, const Nodes& nodes, double middle) {
  Moments m;
  m.score.resize(p.size()), m.promised_score.resize(p.size());
  for (const Node& node : nodes) {
    const double x = T(node.x);
    if (!law.valid(Real(x))) continue;
    const double log_p = log_prob<T>(law, x, p), density = node.weight * std::exp(log_p);
    if (density == 0) continue;
    const double apart = x - middle, error = density * promised<T>(log_p);
    const std::vector<double> s = elbo::score<T>(law, x, p);
    m.mass += density, m.first += density * apart, m.absolute += density * std::fabs(apart);
    m.promised += error, m.promised_first += error * std::fabs(apart);
    for (std::size_t k = 0; k < p.size(); ++k) {
      m.score[k] += density * s[k];
      m.promised_score[k] += 2 * (error + density * promised<T>(0)) * std::fabs(s[k]);
    }
  }
  return m;
}
}  // namespace
}  // namespace elbo
