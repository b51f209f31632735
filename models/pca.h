#pragma once
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// Principal components of data: the directions U, orthonormal, and variances λ of
///
///     1/N Σ_n (x_n - m)(x_n - m)ᵀ = U diag(λ) Uᵀ        λ₁ ≥ λ₂ ≥ …
///
/// No linear map through k numbers has a smaller squared error on these data than x ↦ m + U_k U_kᵀ
/// (x - m), whose error there is the sum of the other λ.
///
/// All sums are in double, their order fixed; the data are taken in blocks, beside C² doubles.
/// Errors: missing entries; fewer than 2 data; more than 8192 columns.
/// Source: Hotelling, Analysis of a Complex of Statistical Variables into Principal Components
/// (1933); of the errors: Bishop, Pattern Recognition and Machine Learning (2006), section 12.1.
class Pca {
 public:
  explicit Pca(const Dataset&);

  int columns() const { return int(mean_.size()); }
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& variances() const { return variances_; }  // [C], none below 0
  const double* direction(int i) const { return &directions_[std::size_t(i) * mean_.size()]; }

  /// The first k coordinates of each datum, U_kᵀ (x - m)  →  [N,k].  Errors: another number of
  /// columns; missing entries; k not in 1 … C; and so below.
  std::vector<double> project(const Dataset&, int k) const;
  /// m + U_k y of coordinates y [N,k]  →  [N,C].
  std::vector<double> reconstruct(const std::vector<double>& coordinates, int k) const;
  /// |x - m - U_k U_kᵀ (x - m)|² of each datum, summed over its columns.
  std::vector<double> squared_errors(const Dataset&, int k) const;

 private:
  template <class F>
  void each_block(const Dataset&, F&&) const;

  std::vector<double> mean_, variances_, directions_;  // directions: [C,C], a row each
};

/// The Gaussian latent-variable model that principal components solve: z ~ N(0, I_k),
/// x | z ~ N(m + W z, σ² I), at its maximum of likelihood
///
///     σ² = mean of λ_{k+1} … λ_C        W = U_k (Λ_k - σ² I)^½
///     log p(x) = log N(x; m, W Wᵀ + σ² I)      exactly, in nats
///
/// Errors: k not in 1 … C - 1; nothing varies beyond the first k directions (σ² = 0).
/// Source: Tipping & Bishop, Probabilistic Principal Component Analysis (1999), section 3.2.
class ProbabilisticPca {
 public:
  ProbabilisticPca(const Pca&, int k);

  double noise() const { return noise_; }  // σ²
  std::vector<double> log_likelihoods(const Dataset&) const;
  /// E[x | z] = m + W z of latents [N,k]  →  [N,C].
  std::vector<double> decode(const std::vector<double>& latents) const;

 private:
  const Pca& pca_;
  int units_;
  double noise_ = 0;
};

}  // namespace elbo
