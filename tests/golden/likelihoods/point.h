// Written by tests/golden/make_likelihoods.py with mpmath, 80 digits; not to be edited.
#pragma once

namespace elbo::golden {

/// x and the raw parameters p of a law, all of them floats; its log-probability in nats there; its
/// score ∂ log_prob / ∂p; and each score's condition Σ_j |p_j ∂score_k/∂p_j / score_k|.
template <int K>
struct Point {
  double x, p[K], log_prob, score[K], condition[K];
};

/// A law with a constant standard deviation.
struct FixedGaussianPoint {
  double sigma;
  Point<1> at;
};

}  // namespace elbo::golden
