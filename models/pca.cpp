#include "models/pca.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/error.h"

namespace elbo {

namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Stored = Eigen::Map<const Rows>;

constexpr int most_columns = 8192;
constexpr double log_2_pi = 1.8378770664093454836;

}  // namespace

/// Calls f(first row, x - m [rows, C]) for consecutive blocks of the data.
template <class F>
void Pca::each_block(const Dataset& data, F&& f) const {
  constexpr long block = 512;
  require(data.columns == columns(), "pca: ", data.source, " has ", data.columns,
          " columns, expected ", columns());
  require(data.missing() == 0, "pca: ", data.source, " has ", data.missing(),
          " missing entries; principal components are of complete data");
  Rows x;
  for (long first = 0; first < data.rows; first += block) {
    const long rows = std::min(block, data.rows - first);
    x.setZero(rows, columns());
    for (long r = 0; r < rows; ++r)
      data.each_listed(first + r, [&](int c, float value) { x(r, c) = value; });
    x.rowwise() -= Eigen::Map<const Eigen::RowVectorXd>(mean_.data(), columns());
    f(first, std::as_const(x));
  }
}

Pca::Pca(const Dataset& data) {
  require(data.rows >= 2, "pca: ", data.source, " has ", data.rows, " data, expected at least 2");
  require(data.columns <= most_columns, "pca: ", data.source, " has ", data.columns,
          " columns, expected at most ", most_columns);
  const int columns = data.columns;
  mean_.assign(std::size_t(columns), 0.0);
  std::vector<double> sums(mean_.size(), 0.0);
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int c, float value) { sums[std::size_t(c)] += value; });
  for (std::size_t c = 0; c < sums.size(); ++c) mean_[c] = sums[c] / double(data.rows);

  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(columns, columns);
  each_block(data, [&](long, const Rows& x) {
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
  });
  covariance /= double(data.rows);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(covariance);
  require(solved.info() == Eigen::Success, "pca: the eigenvalues of ", data.source,
          " did not converge");
  directions_.resize(mean_.size() * mean_.size());
  for (int i = 0; i < columns; ++i) {
    const int from = columns - 1 - i;  // Eigen's ascend
    variances_.push_back(std::max(0.0, solved.eigenvalues()[from]));
    Eigen::Map<Eigen::VectorXd>(&directions_[std::size_t(i) * mean_.size()], columns) =
        solved.eigenvectors().col(from);
  }
}

std::vector<double> Pca::project(const Dataset& data, int k) const {
  require(k >= 1 && k <= columns(), "pca: ", k, " components, expected 1 to ", columns());
  const Stored u(directions_.data(), k, columns());
  std::vector<double> y(std::size_t(data.rows) * std::size_t(k));
  each_block(data, [&](long first, const Rows& x) {
    Eigen::Map<Rows>(&y[std::size_t(first) * std::size_t(k)], x.rows(), k).noalias() =
        x * u.transpose();
  });
  return y;
}

std::vector<double> Pca::reconstruct(const std::vector<double>& coordinates, int k) const {
  require(k >= 1 && k <= columns(), "pca: ", k, " components, expected 1 to ", columns());
  require(coordinates.size() % std::size_t(k) == 0, "pca: ", coordinates.size(),
          " numbers are not whole rows of ", k, " coordinates");
  const long rows = long(coordinates.size()) / k;
  std::vector<double> x(std::size_t(rows) * mean_.size());
  Eigen::Map<Rows> out(x.data(), rows, columns());
  out.noalias() = Stored(coordinates.data(), rows, k) * Stored(directions_.data(), k, columns());
  out.rowwise() += Eigen::Map<const Eigen::RowVectorXd>(mean_.data(), columns());
  return x;
}

std::vector<double> Pca::squared_errors(const Dataset& data, int k) const {
  require(k >= 1 && k <= columns(), "pca: ", k, " components, expected 1 to ", columns());
  const Stored u(directions_.data(), k, columns());
  std::vector<double> errors;
  each_block(data, [&](long, const Rows& x) {
    // The residual itself, not |x - m|² - |y|², which cancels where the fit is close.
    const Rows y = x * u.transpose(), residual = x - y * u;
    for (long r = 0; r < x.rows(); ++r) errors.push_back(residual.row(r).squaredNorm());
  });
  return errors;
}

ProbabilisticPca::ProbabilisticPca(const Pca& pca, int k) : pca_(pca), units_(k) {
  require(k >= 1 && k < pca.columns(), "probabilistic pca: ", k, " units of ", pca.columns(),
          " columns, expected 1 to ", pca.columns() - 1);
  const std::vector<double>& variances = pca.variances();
  for (std::size_t i = std::size_t(k); i < variances.size(); ++i) noise_ += variances[i];
  noise_ /= double(pca.columns() - k);
  require(noise_ > 0, "probabilistic pca: nothing varies beyond the first ", k, " directions");
}

std::vector<double> ProbabilisticPca::log_likelihoods(const Dataset& data) const {
  const std::vector<double> y = pca_.project(data, units_);
  std::vector<double> result = pca_.squared_errors(data, units_);
  double constant = pca_.columns() * log_2_pi + (pca_.columns() - units_) * std::log(noise_);
  for (int i = 0; i < units_; ++i) constant += std::log(pca_.variances()[std::size_t(i)]);
  for (std::size_t r = 0; r < result.size(); ++r) {
    double quadratic = result[r] / noise_;
    for (std::size_t i = 0; i < std::size_t(units_); ++i) {
      const double at = y[r * std::size_t(units_) + i];
      quadratic += at * at / pca_.variances()[i];
    }
    result[r] = -(constant + quadratic) / 2;
  }
  return result;
}

std::vector<double> ProbabilisticPca::decode(const std::vector<double>& latents) const {
  std::vector<double> y = latents;
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] *= std::sqrt(pca_.variances()[i % std::size_t(units_)] - noise_);
  return pca_.reconstruct(y, units_);
}

}  // namespace elbo
