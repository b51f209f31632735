#include "models/frechet.h"

#include <Eigen/Dense>
#include <cmath>

#include "runtime/error.h"

namespace elbo {

namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Moments {
  Eigen::RowVectorXd mean;
  Eigen::MatrixXd covariance;

  Moments(const std::vector<double>& points, int k) {
    require(k > 0 && points.size() % std::size_t(k) == 0 && points.size() >= 2 * std::size_t(k),
            "frechet: ", points.size(), " numbers, expected at least 2 whole rows of ", k);
    const Eigen::Map<const Rows> x(points.data(), long(points.size()) / k, k);
    mean = x.colwise().mean();
    const Eigen::MatrixXd centred = x.rowwise() - mean;
    covariance = centred.transpose() * centred / double(x.rows());
  }
};

/// Of a symmetric matrix whose eigenvalues are at least 0, but for rounding.
Eigen::MatrixXd square_root(const Eigen::MatrixXd& a) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(a);
  const Eigen::VectorXd roots = solved.eigenvalues().cwiseMax(0).cwiseSqrt();
  return solved.eigenvectors() * roots.asDiagonal() * solved.eigenvectors().transpose();
}

}  // namespace

double frechet_distance(const std::vector<double>& a, const std::vector<double>& b, int k) {
  const Moments first(a, k), second(b, k);
  const Eigen::MatrixXd root = square_root(first.covariance);
  const Eigen::MatrixXd middle = root * second.covariance * root;
  const Eigen::VectorXd squares =
      Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(middle, Eigen::EigenvaluesOnly).eigenvalues();
  return (first.mean - second.mean).squaredNorm() + first.covariance.trace() +
         second.covariance.trace() - 2 * squares.cwiseMax(0).cwiseSqrt().sum();
}

double frechet_distance(const Pca& pca, const Dataset& a, const Dataset& b, int k) {
  return frechet_distance(pca.project(a, k), pca.project(b, k), k);
}

}  // namespace elbo
