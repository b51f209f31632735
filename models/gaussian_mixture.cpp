#include "models/gaussian_mixture.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

#include "data/counter_hash.h"
#include "kernels/math/philox.h"
#include "runtime/error.h"

namespace elbo {

namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Component = GaussianMixture::Component;

constexpr double log_2_pi = 1.8378770664093454836;

double uniform(std::uint64_t seed, std::uint64_t index, std::uint64_t draw) {
  return double(counter_hash(seed, index, draw) >> 11) * 0x1p-53;
}

Rows rows_of(const std::vector<float>& points, int units) {
  require(units > 0 && points.size() % std::size_t(units) == 0, "gaussian mixture: ", points.size(),
          " numbers are not whole rows of ", units);
  for (const float v : points)
    require(std::isfinite(v), "gaussian mixture: ", v, " is no place in the latent space");
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const Floats>(points.data(), long(points.size()) / units, units).cast<double>();
}

/// For each point the centre it is nearest to; each further centre is a point drawn with
/// probability proportional to its squared distance from those before.
std::vector<int> nearest_centres(const Rows& points, int centres, std::uint64_t seed) {
  std::vector<int> nearest(std::size_t(points.rows()), 0);
  Eigen::VectorXd distance =
      Eigen::VectorXd::Constant(points.rows(), std::numeric_limits<double>::infinity());
  for (int k = 0; k < centres; ++k) {
    const double u = uniform(seed, 0, std::uint64_t(k));
    long chosen = std::min(points.rows() - 1, long(u * double(points.rows())));
    if (k > 0 && distance.sum() > 0) {
      double left = u * distance.sum();
      for (chosen = 0; chosen + 1 < points.rows() && left >= distance[chosen]; ++chosen)
        left -= distance[chosen];
    }
    const Eigen::RowVectorXd centre = points.row(chosen);
    for (long n = 0; n < points.rows(); ++n) {
      const double d = (points.row(n) - centre).squaredNorm();
      if (d < distance[n]) distance[n] = d, nearest[std::size_t(n)] = k;
    }
  }
  return nearest;
}

/// What the points, each counted as often as its share says, make the component.
void maximise(Component& c, const Rows& points, const Eigen::VectorXd& share, double floor) {
  const long units = points.cols();
  const double count = share.sum();
  c.weight = count / double(points.rows());
  if (!(count > 0)) return;  // it stays where it was, and counts for nothing
  const Eigen::RowVectorXd mean = share.transpose() * points / count;
  const Rows centred = points.rowwise() - mean;
  const Eigen::MatrixXd covariance =
      centred.transpose() * (centred.array().colwise() * share.array()).matrix() / count;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(covariance);
  const Eigen::VectorXd variances = solved.eigenvalues().cwiseMax(floor);
  c.mean.assign(mean.data(), mean.data() + units);
  c.axes.assign(solved.eigenvectors().data(), solved.eigenvectors().data() + units * units);
  c.variances.assign(variances.data(), variances.data() + units);
}

/// log (π N(z; m, Σ)) of each point.
Eigen::VectorXd log_joint(const Component& c, const Rows& points) {
  const long units = points.cols();
  if (c.mean.empty() || !(c.weight > 0))
    return Eigen::VectorXd::Constant(points.rows(), -std::numeric_limits<double>::infinity());
  const Eigen::Map<const Eigen::RowVectorXd> mean(c.mean.data(), units);
  const Eigen::Map<const Eigen::MatrixXd> axes(c.axes.data(), units, units);
  const Eigen::Map<const Eigen::RowVectorXd> variances(c.variances.data(), units);
  const Rows along = (points.rowwise() - mean) * axes;
  const Eigen::VectorXd squares =
      (along.array().square().rowwise() / variances.array()).rowwise().sum();
  const double constant =
      std::log(c.weight) - 0.5 * (double(units) * log_2_pi + variances.array().log().sum());
  return (constant - 0.5 * squares.array()).matrix();
}

/// log p(z) of each point; `shares` become those of the components.
Eigen::VectorXd expect(const std::vector<Component>& components, const Rows& points,
                       Eigen::MatrixXd& shares) {
  shares.resize(points.rows(), long(components.size()));
  for (std::size_t k = 0; k < components.size(); ++k)
    shares.col(long(k)) = log_joint(components[k], points);
  const Eigen::VectorXd largest = shares.rowwise().maxCoeff();
  shares = (shares.colwise() - largest).array().exp();
  const Eigen::VectorXd sums = shares.rowwise().sum();
  shares.array().colwise() /= sums.array();
  return largest.array() + sums.array().log();
}

}  // namespace

GaussianMixture::GaussianMixture(const std::vector<float>& z, int units,
                                 const MixtureOptions& options)
    : units_(units), components_(std::size_t(std::max(0, options.components))) {
  const Rows points = rows_of(z, units);
  require(options.components > 0 && points.rows() >= options.components,
          "gaussian mixture: ", options.components, " components of ", points.rows(),
          " points, expected 1 to as many as there are points");
  const Eigen::RowVectorXd middle = points.colwise().mean();
  const double spread = (points.rowwise() - middle).squaredNorm() / double(points.size());
  const double floor = std::max(1e-6 * spread, 1e-12);
  const std::vector<int> nearest = nearest_centres(points, options.components, options.seed);
  for (std::size_t k = 0; k < components_.size(); ++k) {
    Eigen::VectorXd share(points.rows());
    for (long n = 0; n < points.rows(); ++n) share[n] = nearest[std::size_t(n)] == int(k);
    maximise(components_[k], points, share, floor);
  }
  Eigen::MatrixXd shares;
  log_likelihoods_.push_back(expect(components_, points, shares).mean());
  for (int i = 0; i < options.iterations; ++i) {
    for (std::size_t k = 0; k < components_.size(); ++k)
      maximise(components_[k], points, shares.col(long(k)), floor);
    log_likelihoods_.push_back(expect(components_, points, shares).mean());
    if (log_likelihoods_.back() - log_likelihoods_[log_likelihoods_.size() - 2] < options.gain)
      break;
  }
}

std::vector<double> GaussianMixture::log_densities(const std::vector<float>& z) const {
  Eigen::MatrixXd shares;
  const Eigen::VectorXd log_p = expect(components_, rows_of(z, units_), shares);
  return {log_p.data(), log_p.data() + log_p.size()};
}

std::vector<float> GaussianMixture::draw(long count, std::uint64_t seed, double temperature) const {
  std::vector<float> z;
  for (long n = 0; n < count; ++n) {
    double left = uniform(seed, std::uint64_t(n), 0);
    std::size_t k = 0;
    for (; k + 1 < components_.size() && left >= components_[k].weight; ++k)
      left -= components_[k].weight;
    const Component& c = components_[k];
    Eigen::VectorXd along(units_);
    for (int d = 0; d < units_; ++d)
      along[d] = temperature * std::sqrt(c.variances[std::size_t(d)]) *
                 Philox::at(std::uint32_t(d) / 4, std::uint32_t(n),
                            std::uint32_t(Stream::prior) << 24, 0, seed)
                     .normal(d % 4);
    const Eigen::VectorXd at =
        Eigen::Map<const Eigen::VectorXd>(c.mean.data(), units_) +
        Eigen::Map<const Eigen::MatrixXd>(c.axes.data(), units_, units_) * along;
    for (int d = 0; d < units_; ++d) z.push_back(float(at[d]));
  }
  return z;
}

}  // namespace elbo
