#include "kernels/math/special_functions.h"

#include <gtest/gtest.h>

#include "tests/golden/special_functions.h"

namespace elbo {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// The distance of two neighbouring floats where exact lies.
double ulp(double exact) {
  int exponent = 0;
  std::frexp(std::max(std::fabs(exact), double(std::numeric_limits<float>::min())), &exponent);
  return std::ldexp(1, exponent - 24);
}

constexpr auto log_of = [](auto x) { return elbo::log(x); };
constexpr auto log1p_of = [](auto x) { return elbo::log1p(x); };
constexpr auto expm1_of = [](auto x) { return elbo::expm1(x); };

/// f(float) within the 2 ulp that the header promises, f(double) within 1e-14 of the exact value.
template <class F, std::size_t n>
void expect_known_values(F f, const golden::FunctionPoint (&points)[n]) {
  for (const golden::FunctionPoint& p : points) {
    EXPECT_NEAR(f(float(p.x)), p.value, 2 * ulp(p.value)) << p.x;
    EXPECT_NEAR(f(p.x), p.value, 1e-14 * std::fabs(p.value)) << p.x;
  }
}

TEST(SpecialFunctions, log_log1p_and_expm1_have_their_known_values) {
  expect_known_values(log_of, golden::log);
  expect_known_values(log1p_of, golden::log1p);
  expect_known_values(expm1_of, golden::expm1);
}

/// Every 997th float from `from` to `to` (of one sign): f(float) against f(double), whose own error
/// is nothing beside an ulp of a float.
template <class F>
void expect_ulp(F f, float from, float to, int most = 2) {
  const std::uint32_t last = std::bit_cast<std::uint32_t>(to);
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(from); bits <= last; bits += 997) {
    const float x = std::bit_cast<float>(bits);
    const double exact = f(double(x));
    ASSERT_NEAR(f(x), exact, most * ulp(exact)) << x;
  }
}

TEST(SpecialFunctions, log_log1p_and_expm1_err_by_at_most_2_ulp_over_all_floats) {
  const float least = std::numeric_limits<float>::denorm_min();
  const float greatest = std::numeric_limits<float>::max();
  expect_ulp(log_of, least, greatest);
  expect_ulp([](auto x) { return elbo::log_from_one(x); }, 1, greatest);
  expect_ulp(log1p_of, least, greatest);
  expect_ulp(log1p_of, -least, -0.99999994f);
  expect_ulp(expm1_of, least, 88.72283f);
  expect_ulp(expm1_of, -least, -greatest);
}

TEST(SpecialFunctions, expm1_minus_errs_by_at_most_4_ulp_over_all_floats) {
  const auto f = [](auto x) { return elbo::expm1_minus(x); };
  expect_ulp(f, 1e-18f, 88.7f, 4);
  expect_ulp(f, -1e-18f, -std::numeric_limits<float>::max(), 4);
  EXPECT_EQ(f(0.f), 0);
  EXPECT_TRUE(std::isnan(f(nan)));
}

TEST(SpecialFunctions, exp_errs_by_at_most_2_ulp_over_all_floats) {
  const auto exp_of = [](auto x) { return elbo::exp(x); };
  const auto of_negative = [](auto x) { return elbo::exp_of_negative(x); };
  const float least = std::numeric_limits<float>::denorm_min();
  expect_ulp(exp_of, least, 88.72283f);
  expect_ulp(exp_of, -least, -infinity);
  expect_ulp(of_negative, -least, -infinity);
  EXPECT_EQ(elbo::exp_of_negative(0.f), 1);
  EXPECT_EQ(elbo::exp_of_negative(-0.f), 1);
  EXPECT_TRUE(std::isnan(elbo::exp_of_negative(nan)));
}

TEST(SpecialFunctions, tanh_errs_by_at_most_2_ulp_over_all_floats) {
  const auto tanh_of = [](auto x) { return elbo::tanh(x); };
  const float least = std::numeric_limits<float>::denorm_min();
  for (const float sign : {1.f, -1.f}) expect_ulp(tanh_of, sign * least, sign * infinity);
  EXPECT_TRUE(std::isnan(elbo::tanh(nan)));
}

TEST(SpecialFunctions, sine_and_cosine_of_a_turn_err_by_at_most_2_ulp) {
  const auto sine = [](auto u) { return turn(u).sine; };
  const auto cosine = [](auto u) { return turn(u).cosine; };
  // From the least uniform of Philox on; where the exact value is 0, double has 2e-16 of 2π u.
  const float least = 0x1p-33f;
  for (const auto& [from, to] :
       {std::pair{least, 0.2499f}, {0.2501f, 0.4999f}, {0.5001f, 0.7499f}, {0.7501f, 0.9999f}}) {
    expect_ulp(sine, from, to);
    expect_ulp(cosine, from, to);
  }
  EXPECT_EQ(turn(0.25f).cosine, 0);
  EXPECT_EQ(turn(0.5f).sine, 0);
  EXPECT_EQ(turn(1.f).sine, 0);
  EXPECT_EQ(turn(1.f).cosine, 1);
}

TEST(SpecialFunctions, log_log1p_and_expm1_take_infinities_and_NaN_as_the_C_library_does) {
  EXPECT_EQ(elbo::log(0.f), -infinity);
  EXPECT_EQ(elbo::log(-0.f), -infinity);
  EXPECT_EQ(elbo::log(infinity), infinity);
  EXPECT_TRUE(std::isnan(elbo::log(-1e-45f)));
  EXPECT_TRUE(std::isnan(elbo::log(-infinity)));
  EXPECT_TRUE(std::isnan(elbo::log(nan)));
  EXPECT_EQ(elbo::log_from_one(1.f), 0);
  EXPECT_EQ(elbo::log_from_one(infinity), infinity);
  EXPECT_TRUE(std::isnan(elbo::log_from_one(nan)));
  EXPECT_EQ(elbo::log1p(0.f), 0);
  EXPECT_EQ(elbo::log1p(-1.f), -infinity);
  EXPECT_EQ(elbo::log1p(infinity), infinity);
  EXPECT_TRUE(std::isnan(elbo::log1p(-1.0000001f)));
  EXPECT_TRUE(std::isnan(elbo::log1p(nan)));
  EXPECT_EQ(elbo::expm1(0.f), 0);
  EXPECT_EQ(elbo::expm1(88.8f), infinity);
  EXPECT_EQ(elbo::expm1(infinity), infinity);
  EXPECT_EQ(elbo::expm1(-infinity), -1);
  EXPECT_TRUE(std::isnan(elbo::expm1(nan)));
}

TEST(ExpParts, add_up_to_the_exponential_within_1e_8) {
  for (const golden::FunctionPoint& p : golden::exp) {
    const Parts<float> e = exp_parts(float(p.x));
    EXPECT_NEAR(double(e.high) + double(e.low), p.value, 1e-8 * p.value) << p.x;
    EXPECT_NEAR(exp_parts(p.x).high, p.value, 1e-14 * p.value) << p.x;
    EXPECT_EQ(exp_parts(p.x).low, 0);
  }
  for (int i = -800000; i <= 800000; i += 7) {
    const float x = float(i) * 1e-4f;
    const Parts<float> e = exp_parts(x);
    const double exact = std::exp(double(x));
    ASSERT_NEAR(double(e.high) + double(e.low), exact, 1e-8 * exact) << x;
    ASSERT_NEAR(e.high, exact, ulp(exact)) << x;
  }
}

TEST(ExpParts, run_from_zero_to_infinity_with_a_finite_rest) {
  for (const float x : {-infinity, -1e30f, -104.f, 89.f, 200.f, infinity}) {
    const Parts<float> e = exp_parts(x);
    EXPECT_EQ(e.high, x < 0 ? 0 : infinity);
    EXPECT_TRUE(std::isfinite(e.low)) << x;
  }
  EXPECT_TRUE(std::isnan(exp_parts(nan).high));
}

TEST(Log1pExcess, keeps_its_relative_accuracy_near_0_and_near_minus_1) {
  for (const golden::ExcessPoint& p : golden::log1p_excess) {
    EXPECT_NEAR(log1p_excess(float(p.y), float(p.w)), p.value, 5e-7 * p.value) << p.y;
    // Of y and w, rounded to floats, the one nearer 0 is exact.
    const double y = p.w < 0.5 ? p.w - 1 : p.y;
    const double w = p.w < 0.5 ? p.w : 1 + p.y;
    EXPECT_NEAR(log1p_excess(y, w), p.value, 1e-14 * p.value) << p.y;
  }
  for (double y = -0.9999; y < 20; y += 1e-4) {
    const double exact = log1p_excess(y, 1 + y);
    // y is rounded, which moves the value by y²/w times as much.
    const double moved = y * y / (1 + y) * ulp(1) / 4;
    ASSERT_NEAR(log1p_excess(float(y), float(1 + y)), exact, 5e-7 * exact + moved) << y;
  }
  EXPECT_EQ(log1p_excess(0.f, 1.f), 0);
  EXPECT_TRUE(std::isnan(log1p_excess(nan, nan)));
}

TEST(StirlingError, and_its_slope_have_their_known_values) {
  for (const golden::StirlingPoint& p : golden::stirling) {
    const float z = float(p.z);
    EXPECT_NEAR(stirling_error(z), p.error, 1e-6 * p.error) << z;
    EXPECT_NEAR(stirling_error(p.z), p.error, 1e-14 * p.error) << z;
    // Beyond 1e18 the slope, -1/(12 z²), has left the floats.
    const double lost = std::numeric_limits<float>::denorm_min();
    EXPECT_NEAR(stirling_error_slope(z), p.slope, 1e-6 * std::fabs(p.slope) + lost) << z;
    EXPECT_NEAR(stirling_error_slope(p.z), p.slope, 1e-14 * std::fabs(p.slope)) << z;
  }
}

TEST(StirlingError, and_its_slope_err_by_at_most_1e_6_over_45_decades) {
  for (double exponent = -30; exponent <= 15; exponent += 1e-4) {
    const float z = float(std::pow(10, exponent));
    const double error = stirling_error(double(z)), slope = stirling_error_slope(double(z));
    ASSERT_NEAR(stirling_error(z), error, 1e-6 * error) << z;
    ASSERT_NEAR(stirling_error_slope(z), slope, 1e-6 * std::fabs(slope)) << z;
  }
  EXPECT_TRUE(std::isnan(stirling_error(nan)));
  EXPECT_TRUE(std::isnan(stirling_error_slope(nan)));
}

TEST(StirlingError, gives_log_factorials) {
  double log_factorial = 0;
  for (int n = 1; n <= 170; ++n) {
    log_factorial += std::log(n);
    const double stirling = (n + 0.5) * std::log(n) - n + 0.5 * std::log(2 * M_PI);
    ASSERT_NEAR(stirling + stirling_error(double(n)), log_factorial, 1e-14 * (log_factorial + 1));
  }
}

}  // namespace
}  // namespace elbo
