#pragma once
#include <cstdint>
#include <vector>

namespace elbo {

/// How a mixture is fitted.
struct MixtureOptions {
  int components = 10;
  int iterations = 200;  // at most
  double gain = 1e-5;    // less than that, in nats a point, ends it
  std::uint64_t seed = 0;
};

/// A mixture of Gaussians with full covariances, fitted to points by expectation-maximisation:
///
///     p(z) = Σ_k π_k N(z; m_k, Σ_k)
///
/// The start is k-means++'s (Arthur & Vassilvitskii 2007).  No variance in any direction is let
/// below 1e-6 of the points' own mean variance: of all Σ that obey this, the covariance with its
/// small eigenvalues lifted has the largest likelihood, which so never falls from step to step.
///
/// Source: Dempster, Laird & Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm
/// (1977).  As the aggregate posterior of an autoencoder: Ghosh et al., From Variational to
/// Deterministic Autoencoders (2020), section 4.
class GaussianMixture {
 public:
  /// One Gaussian of the mixture.
  struct Component {
    double weight = 0;
    std::vector<double> mean;       // [D]
    std::vector<double> axes;       // [D,D], orthonormal columns, column by column
    std::vector<double> variances;  // [D], along the axes
  };

  /// points [N,D], row-major.  Errors: not whole rows; fewer points than components; numbers that
  /// are not finite.
  GaussianMixture(const std::vector<float>& points, int units, const MixtureOptions& = {});

  int units() const { return units_; }
  const std::vector<Component>& components() const { return components_; }
  /// The mean log-density of the points, in nats: of the start, and after each step.
  const std::vector<double>& log_likelihoods() const { return log_likelihoods_; }

  /// log p(z) of each point [N,D], in nats.
  std::vector<double> log_densities(const std::vector<float>& points) const;
  /// Draws [count,D], of which each is a function of seed and its number; every component's
  /// deviations are multiplied by `temperature`.
  std::vector<float> draw(long count, std::uint64_t seed, double temperature = 1) const;

 private:
  int units_;
  std::vector<Component> components_;
  std::vector<double> log_likelihoods_;
};

}  // namespace elbo
