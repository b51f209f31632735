#pragma once
#include "models/pca.h"

namespace elbo {

/// The Fréchet distance of two sets of points, each taken for a Gaussian with its mean m and its
/// covariance C (divisor N):
///
///     |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)        tr (C₁ C₂)^½ = tr (C₁^½ C₂ C₁^½)^½
///
/// the least mean squared distance between partners when the two Gaussians are paired off, in
/// squared units of the points; 0 where mean and covariance agree, whatever else does not.
///
/// Shapes: [N₁,k], [N₂,k], row-major.  Errors: not whole rows; fewer than 2 points.
/// Sources: Dowson & Landau, The Fréchet Distance between Multivariate Normal Distributions
/// (1982); as a measure of generated data: Heusel et al., GANs Trained by a Two Time-Scale Update
/// Rule (2017).
double frechet_distance(const std::vector<double>& a, const std::vector<double>& b, int k);

/// Of two sets of data in the first k coordinates of principal components.
double frechet_distance(const Pca&, const Dataset& a, const Dataset& b, int k);

}  // namespace elbo
