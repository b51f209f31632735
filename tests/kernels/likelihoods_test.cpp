// Likelihoods (kernels/math/likelihoods.h) against values computed elsewhere, against what a law
// must satisfy, and against their own samplers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
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
  each("StudentT of 1", StudentT(1, floor_scale), golden::student_t_1);
  each("StudentT of 4", StudentT(4, floor_scale), golden::student_t_4);
  each("StudentT of 30", StudentT(30, floor_scale), golden::student_t_30);
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
    EXPECT_NEAR(log_prob<float>(law, x, raw(point)), point.log_prob,
                promised<float>(point.log_prob))
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
          << "score " << k << " (condition " << point.condition[k] << ") at "
          << text(x, raw(point));
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
      const double by_inputs = point.condition[k] * epsilon<double> * std::fabs(point.score[k]);
      EXPECT_NEAR(s[k], point.score[k], promised<double>(point.score[k]) + by_inputs)
          << "score " << k << " (condition " << point.condition[k] << ") at "
          << text(x, raw(point));
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

/// Of a sum over a support, or of an integral.
struct Node {
  double x, weight;
};
using Nodes = std::vector<Node>;

Nodes whole_numbers(int count) {
  Nodes nodes;
  for (int x = 0; x < count; ++x) nodes.push_back({double(x), 1});
  return nodes;
}

/// Of an integral over the real line that is smooth on both sides of `middle` and has tails of any
/// power: the trapezoid rule after |x - middle| = scale · exp(π/2 sinh t) (Takahasi & Mori 1974).
Nodes real_line(double middle, double scale) {
  Nodes nodes;
  const double h = 0x1p-6, half_pi = std::numbers::pi / 2;
  const auto add = [&](double t, double side) {
    const double distance = scale * std::exp(half_pi * std::sinh(t));
    nodes.push_back({middle + side * distance, h * half_pi * std::cosh(t) * distance});
  };
  for (double t = 3.75; t >= -4; t -= h) add(t, -1);
  for (double t = -4; t <= 3.75; t += h) add(t, 1);
  return nodes;
}

/// Of an integral over (0, 1) with singular ends: tanh-sinh.
Nodes unit_interval() {
  Nodes nodes;
  const double h = 0x1p-9, pi = std::numbers::pi;
  for (double t = -4.5; t <= 4.5; t += h) {
    const double x = 1 / (1 + std::exp(-pi * std::sinh(t)));
    const double rest = 1 / (1 + std::exp(pi * std::sinh(t)));
    if (x < 1) nodes.push_back({x, h * pi * std::cosh(t) * x * rest});
  }
  return nodes;
}

/// Calls f(law, p, nodes, slack) for a dozen p or more of every law, its support being in nodes;
/// its mean() is E[x] within slack (infinite where there is no E[x]).
template <class F>
void at_some_parameters(F&& f) {
  const double infinite = std::numeric_limits<double>::infinity();
  const auto call = [&](const char* name, const auto& law, const std::vector<double>& decimals,
                        const Nodes& nodes, double slack = 0) {
    std::vector<double> p;
    for (const double v : decimals) p.push_back(float(v));
    SCOPED_TRACE(std::string(name) + " of" + text(0, p).substr(3));
    f(law, p, nodes, slack);
  };
  for (const double l : {-90.0, -30.0, -8.0, -2.5, -0.3, 0.0, 1e-5, 0.04, 1.0, 3.0, 12.0, 60.0}) {
    call("Bernoulli", Bernoulli{}, {l}, whole_numbers(2));
    call("ContinuousBernoulli", ContinuousBernoulli{}, {l}, unit_interval());
  }
  for (const double m : {0.0, -0.125})
    for (const double s : {-60.0, -11.0, -3.0, 0.0, 2.5}) {
      const double sigma = std::sqrt(1e-6 + std::exp(s)), scale = 1e-3 + std::exp(s);
      call("FixedGaussian", FixedGaussian{.sigma = Real(float(sigma))}, {m}, real_line(m, sigma));
      call("Gaussian", Gaussian{}, {m, s}, real_line(m, sigma));
      call("Laplace", Laplace{}, {m, s}, real_line(m, scale));
      for (const int nu : {1, 4, 30})
        call("StudentT", StudentT(Real(nu)), {m, s}, real_line(m, scale), nu == 1 ? infinite : 0);
    }
  // At β < 1 too much lies within a float's unit of 1, where it has no x.
  for (const double alpha : {0.3, 0.9, 1.0, 2.5, 40.0, 3000.0})
    for (const double beta : {1.0, 3.0, 500.0})
      call("Beta", Beta{}, {std::log(alpha), std::log(beta)}, unit_interval());
  for (const double rate : {1e-7, 1e-3, 0.3, 1.0, 4.5, 12.0, 80.0, 700.0, 5e3, 1e5})
    call("Poisson", Poisson{}, {std::log(rate)},
         whole_numbers(int(rate + 12 * std::sqrt(rate) + 40)));
  for (const double mu : {1e-6, 0.05, 1.0, 20.0, 300.0})
    for (const double theta : {0.2, 1.0, 30.0, 1e6}) {
      // Its tail falls by e every 1 + μ/θ.
      const int count = int(mu + 12 * std::sqrt(mu) + 40 * (1 + mu / theta));
      call("NegativeBinomial", NegativeBinomial{}, {std::log(mu), std::log(theta)},
           whole_numbers(count));
      for (const double l : {-30.0, -1.0, 5.0})
        call("ZeroInflatedNegativeBinomial", ZeroInflatedNegativeBinomial{},
             {std::log(mu), l, std::log(theta)}, whole_numbers(count));
    }
  // Bins move the mean by less than 2c π / sinh(2π² c), its characteristic function at 2π, and by
  // less than ½; open ends by what lies beyond them.
  const auto moved = [](double m, double c) {
    const double wide = 2 * std::numbers::pi * c, mean = 127.5 + 128 * m;
    return std::min(0.5, wide / std::sinh(std::min(300.0, std::numbers::pi * wide))) +
           c * (std::log1p(std::exp(-mean / c)) + std::log1p(std::exp((mean - 255) / c)));
  };
  for (const double m : {-0.9, 0.0, 0.4})
    for (const double c : {0.02, 0.3, 1.0, 2.0, 40.0, 300.0})
      call("DiscretisedLogistic", DiscretisedLogistic{}, {m, std::log(c / 128)}, whole_numbers(256),
           moved(m, c));
  for (const double c : {0.05, 1.0, 2.5, 30.0})
    for (const double w : {-8.0, 0.0, 1.5}) {
      const double s = std::log(c / 128);
      call("DiscretisedLogisticMixture", DiscretisedLogisticMixture{.components = 3},
           {w, -0.5, s, 0.25, 0.1, s, 1, 0.4, s}, whole_numbers(256), moved(-0.5, c));
    }
  for (const double width : {0.0, 0.5, 3.0, 20.0}) {
    call("Categorical", Categorical{.classes = 4}, {width, -width, width / 3, 1}, whole_numbers(4));
    std::vector<double> p;
    for (int k = 0; k < 20; ++k) p.push_back(width * std::sin(k * k));
    call("Categorical", Categorical{.classes = 20}, p, whole_numbers(20));
  }
}

/// E[1], E[x], E|x - E[x]| and E[score] of a law in T, summed in double, and how far off they may
/// be: by every term times what is promised of log p (of a score as well), by what rounding x to T
/// changes, and by the terms whose x this takes out of the support.
struct Moments {
  double mass = 0, mass_error = 0, mean = 0, mean_error = 0, spread = 0;
  std::vector<double> score, score_error;
};

template <class T, class Law>
Moments moments(const Law& law, const std::vector<double>& p, const Nodes& nodes) {
  const double middle = elbo::mean<double>(law, p);
  Moments m;
  m.mean = middle;
  m.score.resize(p.size()), m.score_error.resize(p.size());
  for (const Node& node : nodes) {
    const double x = T(node.x), log_p = log_prob<T>(law, x, p);
    const double exact = log_prob<double>(law, x, p);
    const bool inside = std::isfinite(exact);
    const double unrounded = log_prob<double>(law, node.x, p);
    const double moved = inside ? std::fabs(unrounded - exact) : 1;
    const double density = inside ? node.weight * std::exp(log_p) : 0;
    const double error = node.weight * std::exp(unrounded) * (promised<T>(unrounded) + moved);
    m.mass += density, m.mass_error += error, m.spread += density * std::fabs(x - middle);
    m.mean += density * (x - middle), m.mean_error += error * std::fabs(x - middle);
    const std::vector<double> s = elbo::score<T>(law, inside ? x : 0.5, p);
    const std::vector<double> size = elbo::score<double>(law, node.x, p);
    for (std::size_t k = 0; k < p.size(); ++k) {
      m.score[k] += density * s[k];
      m.score_error[k] += (error + density * promised<T>(0)) * std::fabs(size[k]);
    }
  }
  return m;
}

TEST(Likelihoods, in_double_sum_to_one_and_expect_their_mean_and_a_score_of_zero) {
  at_some_parameters(
      [](const auto& law, const std::vector<double>& p, const Nodes& nodes, double slack) {
        const Moments m = moments<double>(law, p, nodes);
        const double mean = elbo::mean<double>(law, p);
        EXPECT_NEAR(m.mass, 1, 1e-6);
        if (std::isfinite(slack)) {
          EXPECT_NEAR(m.mean, mean, slack + 1e-6 * (m.spread + std::fabs(mean)));
        }
        for (std::size_t k = 0; k < p.size(); ++k)
          EXPECT_NEAR(m.score[k], 0, 1e-6 / promised<double>(0) * m.score_error[k]);
      });
}

TEST(Likelihoods, in_float_sum_to_one_and_expect_their_mean_and_a_score_of_zero) {
  at_some_parameters(
      [](const auto& law, const std::vector<double>& p, const Nodes& nodes, double slack) {
        const Moments m = moments<float>(law, p, nodes);
        const double exact = elbo::mean<double>(law, p);
        EXPECT_NEAR(m.mass, 1, m.mass_error);
        EXPECT_NEAR(elbo::mean<float>(law, p), exact, promised<float>(0) * std::fabs(exact));
        if (std::isfinite(slack)) {
          EXPECT_NEAR(m.mean, exact, slack + m.mean_error);
        }
        for (std::size_t k = 0; k < p.size(); ++k) EXPECT_NEAR(m.score[k], 0, m.score_error[k]);
      });
}

// ---- Samplers ----

/// Uniform and normal numbers as a model draws them for a scalar of a datum.
struct Draw {
  std::uint32_t datum, drawn = 0;
  Philox next() {
    return Philox::at(0, datum, std::uint32_t(Stream::observation) << 24, drawn++, 20240229);
  }
  Real uniform() { return next().uniform(0); }
  Real normal() { return next().normal(0); }
};

constexpr int draws = 100000;

template <class Law>
std::vector<double> drawn(const Law& law, const std::vector<double>& p) {
  std::vector<double> x;
  for (int i = 0; i < draws; ++i) {
    Draw u{std::uint32_t(i)};
    x.push_back(law.sample(packed<Real>(law, p), u));
    EXPECT_TRUE(law.valid(Real(x.back()))) << x.back();
  }
  return x;
}

/// The probability of a larger χ² by Wilson and Hilferty's approximation (1931).
double beyond_chi_squared(double chi_squared, int freedom) {
  const double v = 2.0 / (9 * freedom);
  return std::erfc((std::cbrt(chi_squared / freedom) - (1 - v)) / std::sqrt(2 * v)) / 2;
}

/// The probability of a larger distance of n draws' distribution from theirs (Kolmogorov 1933,
/// with Stephens' correction for n).
double beyond_kolmogorov(double distance, double n) {
  const double lambda = (std::sqrt(n) + 0.12 + 0.11 / std::sqrt(n)) * distance;
  if (lambda < 0.3) return 1;
  double sum = 0;
  for (int j = 1; j < 100; ++j) sum += (j % 2 ? 2 : -2) * std::exp(-2 * square(j * lambda));
  return sum;
}

/// Of neighbouring nodes pooled until 10 draws are expected; what is left joins the last pool.
double chi_squared_test(const std::vector<double>& x, const std::vector<double>& expected) {
  std::vector<double> found(expected.size());
  double outside = 0;
  for (const double v : x) {
    if (v < double(found.size())) ++found[std::size_t(v)];
    else ++outside;
  }
  struct Pool {
    double found = 0, expected = 0;
  };
  std::vector<Pool> pools(1);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (pools.back().expected >= 10) pools.emplace_back();
    pools.back().found += found[i], pools.back().expected += draws * expected[i];
  }
  pools.back().found += outside;
  if (pools.back().expected < 10 && pools.size() > 1) {
    const Pool last = pools.back();
    pools.pop_back();
    pools.back().found += last.found, pools.back().expected += last.expected;
  }
  double chi_squared = 0;
  for (const Pool& pool : pools) chi_squared += square(pool.found - pool.expected) / pool.expected;
  if (pools.size() == 1) return std::fabs(pools[0].found - draws) < 0.5;
  return beyond_chi_squared(chi_squared, int(pools.size()) - 1);
}

/// At the nodes, whose sums are the distribution function: the trapezoid rule up to there.
double kolmogorov_test(std::vector<double> x, const Nodes& nodes,
                       const std::vector<double>& density) {
  std::sort(x.begin(), x.end());
  double below = 0, distance = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const double share = double(std::upper_bound(x.begin(), x.end(), nodes[i].x) - x.begin());
    distance = std::max(distance, std::fabs(share / draws - (below + density[i] / 2)));
    below += density[i];
  }
  return beyond_kolmogorov(distance, draws);
}

TEST(Likelihoods, draw_from_their_own_law) {
  at_some_parameters([]<class Law>(const Law& law, const std::vector<double>& p, const Nodes& nodes,
                                   double) {
    std::vector<double> density;
    for (const Node& node : nodes)
      density.push_back(node.weight * std::exp(log_prob<double>(law, node.x, p)));
    const bool continuous = nodes[1].x != 1;
    const std::vector<double> x = drawn(law, p);
    EXPECT_GT(continuous ? kolmogorov_test(x, nodes, density) : chi_squared_test(x, density), 1e-3);
  });
}

// ---- Limits, and what lies outside ----

template <class T>
class LikelihoodsIn : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LikelihoodsIn, Scalars);

TYPED_TEST(LikelihoodsIn, negative_binomial_of_large_inverse_dispersion_is_the_poisson) {
  using T = TypeParam;
  for (const double t : {13.0, 16.0})
    for (const double a : {-12.0, -1.0, 0.0, 2.5, 5.0})
      for (const double x : {0.0, 1.0, 2.0, 7.0, 30.0, 200.0}) {
        SCOPED_TRACE(text(x, {a, t}));
        // NB - Poisson = ((x-μ)² - x)/(2θ) + …, a term of third order over θ² left out.
        const double mu = std::exp(a), theta = std::exp(t);
        const double apart = (square(x - mu) - x) / (2 * theta);
        const double next = std::pow(x + mu + 1, 3) / square(theta);
        const double of_poisson = log_prob<T>(Poisson{}, x, {a});
        EXPECT_NEAR(log_prob<T>(NegativeBinomial{}, x, {a, t}), of_poisson + apart,
                    next + 2 * promised<T>(of_poisson));
        const double slope = score<T>(Poisson{}, x, {a})[0];
        EXPECT_NEAR(score<T>(NegativeBinomial{}, x, {a, t})[0], slope,
                    (mu / theta + promised<T>(0)) * std::fabs(slope) + promised<T>(0) * mu);
      }
}

TYPED_TEST(LikelihoodsIn, zero_inflated_negative_binomial_without_inflation_is_not_inflated) {
  using T = TypeParam;
  for (const double t : {-8.0, 0.0, 3.0, 15.0})
    for (const double a : {-12.0, -1.0, 0.0, 3.0})
      for (const double x : {0.0, 1.0, 7.0, 300.0}) {
        SCOPED_TRACE(text(x, {a, t}));
        const double of_count = log_prob<T>(NegativeBinomial{}, x, {a, t});
        const std::vector<double> slope = score<T>(NegativeBinomial{}, x, {a, t});
        EXPECT_NEAR(log_prob<T>(ZeroInflatedNegativeBinomial{}, x, {a, -80, t}), of_count,
                    4 * epsilon<T> * std::fabs(of_count));
        const std::vector<double> s = score<T>(ZeroInflatedNegativeBinomial{}, x, {a, -80, t});
        EXPECT_NEAR(s[0], slope[0], 4 * epsilon<T> * std::fabs(slope[0]));
        EXPECT_NEAR(s[2], slope[1], 4 * epsilon<T> * std::fabs(slope[1]));
      }
}

TYPED_TEST(LikelihoodsIn, student_t_of_many_degrees_of_freedom_is_the_gaussian) {
  using T = TypeParam;
  const double nu = 1e6;
  for (const double s : {-3.0, 0.0, 2.0})
    for (double y = -6; y <= 6; y += 0.75) {
      const double x = 1.5 + std::exp(s) * y;
      const double normal = log_prob<T>(Gaussian{.floor = 0}, x, {1.5, 2 * s});
      // log t - log N = (y⁴ - 2 y² - 1)/(4ν) + …, a term of sixth order over ν² left out.
      const double apart = (std::pow(y, 4) - 2 * y * y - 1) / (4 * nu);
      EXPECT_NEAR(log_prob<T>(StudentT(Real(nu), 0), x, {1.5, s}), normal + apart,
                  std::pow(std::fabs(y) + 1, 6) / square(nu) + 2 * promised<T>(normal))
          << text(x, {1.5, s});
    }
}

TYPED_TEST(LikelihoodsIn, mixture_of_one_discretised_logistic_is_that_one) {
  using T = TypeParam;
  for (const double m : {-0.8, 0.0, 0.6})
    for (const double c : {0.5, 3.0, 100.0})
      for (const double x : {0.0, 1.0, 100.0, 200.0, 255.0}) {
        const double s = std::log(c / 128);
        const double one = log_prob<T>(DiscretisedLogistic{}, x, {m, s});
        const DiscretisedLogisticMixture mixture{.components = 1};
        EXPECT_NEAR(log_prob<T>(mixture, x, {3, m, s}), one, epsilon<T> * std::fabs(one));
        const std::vector<double> slope = score<T>(DiscretisedLogistic{}, x, {m, s});
        const std::vector<double> of_mixture = score<T>(mixture, x, {3, m, s});
        EXPECT_EQ(of_mixture[0], 0);
        for (int k = 0; k < 2; ++k)
          EXPECT_NEAR(of_mixture[k + 1], slope[k],
                      (1 + std::fabs(one)) * epsilon<T> * std::fabs(slope[k]));
      }
}

TYPED_TEST(LikelihoodsIn, continuous_bernoulli_of_logit_zero_is_uniform) {
  using T = TypeParam;
  for (double x = 0; x <= 1; x += 0.125) {
    EXPECT_EQ(log_prob<T>(ContinuousBernoulli{}, x, {0}), 0);
    EXPECT_EQ(score<T>(ContinuousBernoulli{}, x, {0})[0], x - 0.5);
    for (const double l : {-1e-3, -1e-9, 1e-9, 1e-3})  // log p = (x - ½) l - l²/24 + …
      EXPECT_NEAR(log_prob<T>(ContinuousBernoulli{}, x, {l}), (x - 0.5) * l - l * l / 24,
                  std::pow(l, 4) + promised<T>(0) / 10);
  }
  EXPECT_EQ(mean<T>(ContinuousBernoulli{}, {0}), 0.5);
}

TEST(Likelihoods, say_what_lies_in_their_support) {
  const double infinite = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const auto expect = [](const auto& law, const std::vector<double>& in,
                         const std::vector<double>& out) {
    for (const double x : in) EXPECT_TRUE(law.valid(Real(x))) << law.data << ": " << x;
    for (const double x : out) EXPECT_FALSE(law.valid(Real(x))) << law.data << ": " << x;
  };
  const std::vector<double> outside_unit = {-1e-6, 1.0001, infinite, -infinite, nan};
  expect(Bernoulli{}, {0, 0.3, 1}, outside_unit);
  expect(ContinuousBernoulli{}, {0, 0.3, 1}, outside_unit);
  expect(Beta{}, {1e-30, 0.3, 0.9999}, {0, 1, -1, infinite, nan});
  expect(FixedGaussian{}, {0, -1e30, 1e30}, {infinite, -infinite, nan});
  expect(Gaussian{}, {0, -1e30, 1e30}, {infinite, -infinite, nan});
  expect(Laplace{}, {0, -1e30, 1e30}, {infinite, -infinite, nan});
  expect(StudentT{}, {0, -1e30, 1e30}, {infinite, -infinite, nan});
  const std::vector<double> no_count = {-1, 0.5, infinite, nan};
  expect(Poisson{}, {0, 1, 200000}, no_count);
  expect(NegativeBinomial{}, {0, 1, 200000}, no_count);
  expect(ZeroInflatedNegativeBinomial{}, {0, 1, 200000}, no_count);
  const std::vector<double> no_level = {-1, 0.5, 256, infinite, nan};
  expect(DiscretisedLogistic{}, {0, 128, 255}, no_level);
  expect(DiscretisedLogisticMixture{}, {0, 128, 255}, no_level);
  expect(Categorical{.classes = 4}, {0, 1, 3}, {-1, 4, 1.5, infinite, nan});
}

}  // namespace
}  // namespace elbo
