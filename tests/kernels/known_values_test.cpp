// Formulas (kernels/math) at points computed elsewhere, and properties that they must have.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <string>

#include "kernels/math/activations.h"
#include "kernels/math/divergences.h"
#include "tests/golden/activations.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

// Error bounds are counted in roundings.  A formula of n operations, each good to two units, errs
// by 2n units of its result where its terms do not cancel; a function of x also by what an x wrong
// by two units would change, 2 |x f'(x)| units (the condition of exp at -30 is 30).

template <class T>
constexpr double unit_of = std::numeric_limits<T>::epsilon() / 2;

template <class T>
double near(int operations, double value, double x, double slope) {
  return 2 * unit_of<T> * (operations * std::fabs(value) + std::fabs(x * slope)) +
         std::numeric_limits<T>::min();  // below that a float has fewer digits
}

// ---- Activations and what they stand on ----

struct NamedActivation {
  const char* name;
  Activation activation;
};
const NamedActivation named[] = {
    {"identity", Identity{}}, {"relu", Relu{}}, {"leaky_relu", LeakyRelu{}},
    {"elu", Elu{}},           {"tanh", Tanh{}}, {"sigmoid", Sigmoid{}},
    {"softplus", Softplus{}}, {"silu", Silu{}}, {"gelu", Gelu{}}};

Activation activation(const std::string& name) {
  for (const NamedActivation& a : named)
    if (name == a.name) return a.activation;
  ADD_FAILURE() << "no activation " << name;
  return Identity{};
}

template <class T>
class InEitherPrecision : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(InEitherPrecision, Scalars);

TYPED_TEST(InEitherPrecision, every_activation_has_its_known_value_and_slope) {
  using T = TypeParam;
  for (const golden::ActivationPoint& p : golden::activations) {
    SCOPED_TRACE(std::string(p.name) + " of " + std::to_string(p.x));
    const AnyActivation a{activation(p.name)};
    const T y = a.value(T(p.x));
    EXPECT_NEAR(y, p.value, near<T>(4, p.value, p.x, p.slope));
    // A slope is made of numbers in [-1, 1] that are rounded relative to 1, not to the slope; where
    // x is a factor of it, of x times those.
    const double size = 1 + (needs_input(a.activation) ? std::fabs(p.x) : 0);
    EXPECT_NEAR(a.slope(T(p.x), y), p.slope, near<T>(2, size, p.x, p.curvature));
  }
}

TEST(Activations, slopes_are_central_differences) {
  for (const NamedActivation& n : named)
    for (double x = -9.97; x < 10; x += 0.19) {
      SCOPED_TRACE(std::string(n.name) + " of " + std::to_string(x));
      const AnyActivation a{n.activation};
      // f‴ < 4 for all of these; a value is wrong by a few units of |x| at most.
      const double h = 1e-5, bound = 4 * h * h / 6 + 8 * unit_of<double> * (1 + std::fabs(x)) / h;
      EXPECT_NEAR(a.slope(x, a.value(x)), (a.value(x + h) - a.value(x - h)) / (2 * h), bound);
    }
}

TEST(Activations, pass_a_nan_on) {
  for (const NamedActivation& n : named)
    EXPECT_TRUE(std::isnan(AnyActivation{n.activation}.value(std::nan("")))) << n.name;
}

template <class T>
T function(const std::string& name, T x) {
  if (name == "exp") return elbo::exp(x);
  if (name == "softplus") return softplus(x);
  if (name == "sigmoid") return sigmoid(x);
  return expm1_minus(x);
}

TYPED_TEST(InEitherPrecision, functions_are_accurate_relative_to_their_values_in_100_around_0) {
  using T = TypeParam;
  for (const golden::FunctionPoint& p : golden::functions) {
    SCOPED_TRACE(std::string(p.name) + " of " + std::to_string(p.x));
    const T y = function(p.name, T(p.x));
    if (p.value > double(std::numeric_limits<T>::max())) {
      EXPECT_EQ(y, std::numeric_limits<T>::infinity());
    } else {
      EXPECT_NEAR(y, p.value, near<T>(4, p.value, 0, 0));
    }
    if (std::string(p.name) != "sigmoid") continue;
    const T slope = Softplus{}.slope(T(p.x), Softplus{}.value(T(p.x)));
    EXPECT_NEAR(slope, p.value, near<T>(6, p.value, 0, 0)) << "the slope of softplus";
  }
}

TEST(Functions, of_floats_follow_those_of_doubles_everywhere_in_100_around_0) {
  for (const std::string name : {"exp", "softplus", "sigmoid", "expm1_minus"})
    for (int i = -40000; i <= 40000; ++i) {
      const float x = float(i) * 0.0025f;
      const double y = function(name, double(x));
      if (y > double(std::numeric_limits<float>::max())) continue;
      ASSERT_NEAR(function(name, x), y, near<float>(4, y, 0, 0)) << name << " of " << x;
    }
}

// ---- The divergence ----

TEST(StandardNormalKl, has_its_known_values) {
  // Computed by mpmath with 40 digits, independently of Elbo; at the decimal inputs, which a float
  // rounds: KL changes by m² + |s (e^s - 1)| / 2 times that.
  constexpr struct {
    double m, s, kl;
  } known[] = {
      {0, 0, 0},
      {1, 0, 0.5},
      {-3, 1.5, 5.490844535169033},
      {0.001, -0.0005, 5.624895846352865e-07},
      {0, -20, 9.500000001030577},
      {0, -40, 19.5},
      {5, 10, 11020.232897403357},
      {1e-4, 1e-4, 7.500083335416708334027787698536707727164e-9},
  };
  for (const auto& k : known) {
    const double condition = k.m * k.m + std::fabs(k.s * std::expm1(k.s)) / 2;
    EXPECT_NEAR(StandardNormalKl{}.value(Real(k.m), Real(k.s)), k.kl,
                near<Real>(4, k.kl, 1, condition))
        << k.m << ", " << k.s;
  }
}

TEST(StandardNormalKl, is_positive_but_for_the_prior_itself) {
  const StandardNormalKl kl;
  EXPECT_EQ(kl.value(0, 0), 0);
  for (int i = -18; i <= 4; ++i)
    for (int j = -18; j <= 4; ++j)
      for (int signs = 0; signs < 4; ++signs) {
        const Real m = Real((signs & 1 ? -1 : 1) * std::ldexp(1.0, i));
        const Real s = Real((signs & 2 ? -1 : 1) * std::ldexp(1.0, j));
        ASSERT_GT(kl.value(m, s), 0) << m << ", " << s;
        ASSERT_GT(kl.value(m, 0), 0) << m;
        ASSERT_GT(kl.value(0, s), 0) << s;
      }
}

TEST(StandardNormalKl, is_what_quadrature_of_its_definition_gives) {
  for (const double m : {-1.5, 0.0, 0.25, 2.0})
    for (const double s : {-4.0, -0.5, 0.0, 1.0}) {
      // The trapezoid rule over a normal density errs by e^(-2π²/h²), h the step in deviations.
      double sum = 0;
      const double h = 0.25, sigma = std::exp(s / 2);
      for (double t = -12; t <= 12; t += h) {
        const double z = m + sigma * t;
        sum += h * std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi) * (z * z - t * t - s) / 2;
      }
      EXPECT_NEAR(StandardNormalKl{}.value(Real(m), Real(s)), sum,
                  tolerance::formula(8, m * m + std::exp(s) + std::fabs(s)))
          << m << ", " << s;
    }
}

}  // namespace
}  // namespace elbo
