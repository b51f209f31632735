// A mixture of Gaussians finds the one that points were drawn from.
#include "models/gaussian_mixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/math/philox.h"
#include "runtime/error.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

double normal(std::uint32_t datum, int i) { return Philox::at(0, datum, 0, 0, 11).normal(i); }

/// Three tenths about (-4, 0) with correlated coordinates, seven about (3, 2).
constexpr int many = 6000;
std::vector<float> two_clouds() {
  std::vector<float> z;
  for (int n = 0; n < many; ++n) {
    const double a = normal(std::uint32_t(n), 0), b = normal(std::uint32_t(n), 1);
    if (n % 10 < 3) z.insert(z.end(), {float(-4 + a), float(0.8 * a + 0.6 * b)});
    else z.insert(z.end(), {float(3 + 0.5 * a), float(2 + 1.5 * b)});
  }
  return z;
}

double covariance(const GaussianMixture::Component& c, int i, int j) {
  double sum = 0;
  for (std::size_t a = 0; a < c.variances.size(); ++a)
    sum += c.variances[a] * c.axes[a * c.variances.size() + std::size_t(i)] *
           c.axes[a * c.variances.size() + std::size_t(j)];
  return sum;
}

TEST(GaussianMixture, finds_the_two_clouds_that_points_come_from) {
  const GaussianMixture mixture(two_clouds(), 2, {.components = 2, .seed = 1});
  std::vector<GaussianMixture::Component> c = mixture.components();
  std::sort(c.begin(), c.end(), [](const auto& a, const auto& b) { return a.mean[0] < b.mean[0]; });
  // Five standard errors of 1800 points' moments, of deviations up to 1.5; the clouds lie 7 apart
  // at deviations of at most 1, so that no point is doubtful by more than one in a thousand.
  const double near = 5 / std::sqrt(1800.0), doubt = 1e-3;
  EXPECT_NEAR(c[0].weight, 0.3, doubt);
  EXPECT_NEAR(c[0].mean[0], -4, near);
  EXPECT_NEAR(c[0].mean[1], 0, near);
  EXPECT_NEAR(c[1].mean[0], 3, near);
  EXPECT_NEAR(c[1].mean[1], 2, 1.5 * near);
  const double of_variance = std::sqrt(2.0) * near;
  EXPECT_NEAR(covariance(c[0], 0, 0), 1, of_variance);
  EXPECT_NEAR(covariance(c[0], 0, 1), 0.8, of_variance);
  EXPECT_NEAR(covariance(c[0], 1, 1), 1, of_variance);
  EXPECT_NEAR(covariance(c[1], 0, 0), 0.25, of_variance);
  EXPECT_NEAR(covariance(c[1], 0, 1), 0, of_variance);
  EXPECT_NEAR(covariance(c[1], 1, 1), 2.25, 2.25 * of_variance);
}

TEST(GaussianMixture, has_a_likelihood_that_never_falls) {
  for (const int components : {1, 3, 9}) {
    const GaussianMixture mixture(two_clouds(), 2,
                                  {.components = components, .gain = 1e-9, .seed = 3});
    const std::vector<double>& l = mixture.log_likelihoods();
    ASSERT_GE(l.size(), components == 1 ? 2u : 5u);
    for (std::size_t i = 1; i < l.size(); ++i)
      EXPECT_GE(l[i], l[i - 1] - tolerance::sum_in_double(many, 10))
          << components << ", step " << i;
  }
}

TEST(GaussianMixture, of_one_component_is_the_points_mean_and_covariance_and_density) {
  const std::vector<float> corners{3, 1, 3, -1, -3, 1, -3, -1};
  const GaussianMixture mixture(corners, 2, {.components = 1});
  const double near = tolerance::sum_in_double(8, 90);
  EXPECT_NEAR(covariance(mixture.components()[0], 0, 0), 9, near);
  EXPECT_NEAR(covariance(mixture.components()[0], 0, 1), 0, near);
  EXPECT_NEAR(covariance(mixture.components()[0], 1, 1), 1, near);
  // -log 2π - ½ log 9 - ½ (9/9 + 1/1)
  for (const double log_p : mixture.log_densities(corners))
    EXPECT_NEAR(log_p, -std::log(2 * 3.14159265358979324) - std::log(3.0) - 1, near);
}

TEST(GaussianMixture, draws_what_it_was_fitted_to_and_less_of_its_spread_when_cold) {
  const GaussianMixture mixture(two_clouds(), 2, {.components = 2, .seed = 1});
  const std::vector<float> drawn = mixture.draw(many, 4);
  double left = 0, sum = 0, squares = 0, product = 0;
  for (std::size_t n = 0; n < drawn.size(); n += 2)
    if (drawn[n] < 0) {
      ++left, sum += drawn[n], squares += (drawn[n] + 4.0) * (drawn[n] + 4.0);
      product += (drawn[n] + 4.0) * drawn[n + 1];
    }
  // Five standard errors of the draws and of what was fitted.
  EXPECT_NEAR(left / many, 0.3, 5 * std::sqrt(0.21 / many));
  EXPECT_NEAR(sum / left, -4, 7 / std::sqrt(left));
  EXPECT_NEAR(squares / left, 1, 10 / std::sqrt(left));
  EXPECT_NEAR(product / left, 0.8, 10 / std::sqrt(left));
  const std::vector<float> means = mixture.draw(50, 4, 0);
  for (std::size_t n = 0; n < means.size(); n += 2)
    EXPECT_LT(std::min(std::hypot(means[n] + 4, means[n + 1]),
                       std::hypot(means[n] - 3, means[n + 1] - 2)),
              0.3);
  const std::vector<float> few = mixture.draw(7, 4);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), drawn.begin()));
}

TEST(GaussianMixture, stays_finite_where_points_coincide_and_names_what_is_no_number) {
  std::vector<float> same(40, 1.f);
  same[7] = 2;
  const GaussianMixture mixture(same, 1, {.components = 5});
  for (const double log_p : mixture.log_densities(same)) EXPECT_TRUE(std::isfinite(log_p));
  EXPECT_THROW(GaussianMixture({1, 2}, 1, {.components = 3}), Error);
  EXPECT_THROW(GaussianMixture({1, 2, 3}, 2, {.components = 1}), Error);
  EXPECT_THROW(GaussianMixture({1, std::numeric_limits<float>::infinity()}, 1, {.components = 1}),
               Error);
}

}  // namespace
}  // namespace elbo
