// Principal components, the Gaussian model behind them, and the distance of two sets of points.
#include "models/pca.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <string>

#include "kernels/math/philox.h"
#include "models/frechet.h"
#include "runtime/error.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / double(values.size());
}

Dataset table(long rows, int columns, std::vector<float> values) {
  Dataset data;
  data.source = "table", data.rows = rows, data.columns = columns;
  data.floats = std::move(values);
  return data;
}

/// Normal numbers of given deviations along the axes, at a fixed seed.
Dataset normal(long rows, const std::vector<double>& deviations, std::uint32_t stream = 0) {
  std::vector<float> values;
  for (long r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < deviations.size(); ++c)
      values.push_back(
          float(deviations[c] *
                Philox::at(std::uint32_t(c) / 4, std::uint32_t(r), stream, 0, 5).normal(c % 4)));
  return table(rows, int(deviations.size()), std::move(values));
}

/// What the roundings of double may take from a sum of n numbers of that magnitude.
double rounding(double n, double magnitude) { return 8 * tolerance::sum_in_double(n, magnitude); }

TEST(Pca, of_a_rectangles_corners_is_its_sides) {
  // (±2, ±1) turned by the angle of (0.6, 0.8), about (5, 7): variances 4 and 1.
  const Pca pca(table(
      4, 2,
      {float(5 + 1.2 - 0.8), float(7 + 1.6 + 0.6), float(5 + 1.2 + 0.8), float(7 + 1.6 - 0.6),
       float(5 - 1.2 - 0.8), float(7 - 1.6 + 0.6), float(5 - 1.2 + 0.8), float(7 - 1.6 - 0.6)}));
  const double near = 20 * tolerance::of_floats(1, 10);  // as the corners are rounded
  EXPECT_NEAR(pca.mean()[0], 5, near);
  EXPECT_NEAR(pca.mean()[1], 7, near);
  EXPECT_NEAR(pca.variances()[0], 4, near);
  EXPECT_NEAR(pca.variances()[1], 1, near);
  EXPECT_NEAR(std::abs(pca.direction(0)[0] * 0.6 + pca.direction(0)[1] * 0.8), 1, near);
  const Dataset other = table(1, 2, {5 + 0.8f * 3, 7 - 0.6f * 3});  // 3 along the short side
  EXPECT_NEAR(pca.squared_errors(other, 1)[0], 9, 6 * near);
}

TEST(Pca, leaves_the_variance_of_the_directions_that_it_drops_and_none_where_it_drops_none) {
  const Dataset data = normal(700, {3, 2, 1, 0.5, 0.25});  // more than a block
  const Pca pca(data);
  double left = 0;
  for (int k = 5; k >= 1; --k) {
    EXPECT_NEAR(mean_of(pca.squared_errors(data, k)), left, rounding(700, 15)) << k;
    left += pca.variances()[std::size_t(k - 1)];
  }
  const std::vector<double> again = pca.reconstruct(pca.project(data, 5), 5);
  for (std::size_t i = 0; i < again.size(); ++i)
    ASSERT_NEAR(again[i], data.floats[i], rounding(10, 15));
}

TEST(Pca, of_compressed_rows_is_that_of_all_their_values) {
  Dataset sparse = table(3, 2, {2, 1, 4});
  const Pca dense(table(3, 2, {0, 2, 0, 0, 1, 4}));
  sparse.type = Dataset::Type::csr, sparse.starts = {0, 1, 1, 3}, sparse.indices = {1, 0, 1};
  const Pca pca(sparse);
  EXPECT_EQ(pca.variances(), dense.variances());
  EXPECT_EQ(pca.project(sparse, 2), dense.project(table(3, 2, {0, 2, 0, 0, 1, 4}), 2));
}

TEST(Pca, names_what_it_cannot_take) {
  EXPECT_THROW(Pca(table(1, 2, {0, 1})), Error);
  EXPECT_THROW(Pca(table(2, 2, {0, NAN, 1, 2})), Error);
  const Pca pca(normal(9, {1, 1}));
  EXPECT_THROW(pca.project(normal(9, {1, 1, 1}), 1), Error);
  EXPECT_THROW(pca.project(normal(9, {1, 1}), 3), Error);
  EXPECT_THROW(ProbabilisticPca(pca, 2), Error);
  EXPECT_THROW(ProbabilisticPca(Pca(table(2, 2, {0, 0, 1, 1})), 1), Error);  // a line
}

TEST(ProbabilisticPca, has_the_density_of_its_gaussian) {
  const Dataset data = normal(300, {2, 1.5, 0.7, 0.4, 0.3});
  const Pca pca(data);
  for (const int k : {1, 3, 4}) {
    const ProbabilisticPca model(pca, k);
    // W by its columns: E[x | z] of unit latents, less that of 0.
    const Eigen::Map<const Eigen::VectorXd> m(pca.mean().data(), 5);
    Eigen::MatrixXd w(5, k);
    for (int i = 0; i < k; ++i) {
      std::vector<double> z(std::size_t(k), 0.0);
      z[std::size_t(i)] = 1;
      w.col(i) = Eigen::Map<const Eigen::VectorXd>(model.decode(z).data(), 5) - m;
    }
    const Eigen::MatrixXd c = w * w.transpose() + model.noise() * Eigen::MatrixXd::Identity(5, 5);
    const double log_determinant = std::log(c.determinant());
    const std::vector<double> log_p = model.log_likelihoods(data);
    for (long r = 0; r < 300; r += 17) {
      Eigen::VectorXd x(5);
      for (int i = 0; i < 5; ++i) x[i] = data.value(r, i);
      const double expected = -0.5 * (5 * std::log(2 * std::numbers::pi) + log_determinant +
                                      (x - m).dot(c.ldlt().solve(x - m)));
      // The solution's digits shrink by the covariance's condition, about (2/0.3)².
      EXPECT_NEAR(log_p[std::size_t(r)], expected, rounding(25, 45 * std::abs(expected) + 45));
    }
  }
}

TEST(ProbabilisticPca, is_the_gaussian_itself_where_it_drops_one_of_two_equal_variances) {
  // Corners of a square: σ² = 1, both directions alike, so p(x) = N(0, I) whatever the first is.
  const Pca pca(table(4, 2, {1, 1, 1, -1, -1, 1, -1, -1}));
  const ProbabilisticPca model(pca, 1);
  EXPECT_EQ(model.noise(), 1);
  for (const double log_p : model.log_likelihoods(table(1, 2, {3, 4})))
    EXPECT_NEAR(log_p, -std::log(2 * std::numbers::pi) - 12.5, rounding(4, 13));
}

std::string images(const std::string& name) {
  const char* folder = std::getenv("ELBO_DATA");
  return folder ? std::string(folder) + "/mnist/" + name : "";
}

TEST(Pca, of_mnist_has_the_errors_and_likelihoods_computed_elsewhere) {
  if (images("").empty()) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const Dataset train = read_dataset(images("train-images-idx3-ubyte.gz")),
                test = read_dataset(images("t10k-images-idx3-ubyte.gz"));
  const Pca pca(train);
  // A grey level v is v · fl(1/255) here, off by up to two roundings of float: as much of a
  // squared error, twice; of a log-density once a column.
  const double unit = 0x1p-24, scale = 2 * unit;
  struct Known {
    int k;
    double train, test, noise, log_p_train, log_p_test;
  };
  for (const Known& known : {Known{2, 43.866919, 43.644881, .0560958, 12.427659, 14.360079},
                             Known{10, 26.98732, 26.713872, .03486734, 182.154681, 186.024072},
                             Known{50, 9.2455, 9.004254, .01259605, 507.905384, 517.603329}}) {
    // Beside the last digit that each known value is given to.
    const auto error_near = [&](double v) { return 2 * scale * v + 1e-6; };
    EXPECT_NEAR(mean_of(pca.squared_errors(train, known.k)), known.train, error_near(known.train));
    EXPECT_NEAR(mean_of(pca.squared_errors(test, known.k)), known.test, error_near(known.test));
    const ProbabilisticPca model(pca, known.k);
    EXPECT_NEAR(model.noise(), known.noise, 1e-7);
    const double near = 784 * scale + 1e-6;
    EXPECT_NEAR(mean_of(model.log_likelihoods(train)), known.log_p_train, near);
    EXPECT_NEAR(mean_of(model.log_likelihoods(test)), known.log_p_test, near);
  }
}

std::vector<double> corners(double m, double a, double b) {
  return {m + a, b, m + a, -b, m - a, b, m - a, -b};  // mean (m, 0), covariance diag(a², b²)
}

TEST(FrechetDistance, of_gaussians_along_the_same_axes_is_that_of_means_and_deviations) {
  // (3 - 1)² + (2 - 5)² + (4 - 1)²
  EXPECT_NEAR(frechet_distance(corners(3, 2, 4), corners(1, 5, 1), 2), 22, rounding(8, 60));
  EXPECT_NEAR(frechet_distance(corners(3, 2, 4), corners(3, 2, 4), 2), 0, rounding(8, 60));
}

TEST(FrechetDistance, of_covariances_that_do_not_commute_is_known_in_two_dimensions) {
  // tr (C₁C₂)^½ = (tr C₁C₂ + 2 √(|C₁||C₂|))^½; C₂ is diag(9, 1) turned by the angle of (0.6, 0.8).
  std::vector<double> turned;
  for (const auto& [u, v] : {std::pair{3., 1.}, {3., -1.}, {-3., 1.}, {-3., -1.}})
    turned.push_back(0.6 * u - 0.8 * v), turned.push_back(0.8 * u + 0.6 * v);
  const double trace = 4 * (9 * 0.36 + 0.64) + 1 * (9 * 0.64 + 0.36);
  const double expected = 4 + 1 + 9 + 1 - 2 * std::sqrt(trace + 2 * std::sqrt(4 * 1 * 9 * 1));
  EXPECT_NEAR(frechet_distance(corners(0, 2, 1), turned, 2), expected, rounding(8, 60));
  EXPECT_NEAR(frechet_distance(turned, corners(0, 2, 1), 2), expected, rounding(8, 60));
}

TEST(FrechetDistance, of_points_on_a_line_takes_the_root_of_a_covariance_without_full_rank) {
  EXPECT_NEAR(frechet_distance(corners(0, 2, 0), corners(0, 1, 3), 2), 1 + 9, rounding(8, 60));
  EXPECT_THROW(frechet_distance({1, 2, 3}, corners(0, 1, 1), 2), Error);
}

TEST(FrechetDistance, in_all_coordinates_of_a_pca_is_that_of_the_data) {
  const Dataset a = normal(200, {2, 1, 0.5}), b = normal(150, {1, 1, 2}, 1);
  const std::vector<double> left(a.floats.begin(), a.floats.end()),
      right(b.floats.begin(), b.floats.end());
  const double all = frechet_distance(left, right, 3);
  EXPECT_NEAR(frechet_distance(Pca(a), a, b, 3), all, rounding(200, 20));
  EXPECT_LT(frechet_distance(Pca(a), a, b, 1), all);
}

}  // namespace
}  // namespace elbo
