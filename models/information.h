#pragma once
#include <vector>

#include "models/evaluation.h"

namespace elbo {

/// A number and the standard error of its estimate.
struct Estimate {
  double value = 0, standard_error = 0;
};

/// What the KL term of the bound is made of, in nats per datum.
///
/// With the aggregate posterior q(z) = 1/N Σ_n q(z | x_n) over all N data, and q(z_d) its
/// marginals:
///
///     R = 1/N Σ_n KL(q(z | x_n) ‖ p(z))          the rate: the bound's KL
///       = I(x; z) + KL(q(z) ‖ p(z))
///       = I(x; z) + TC + Σ_d KL(q(z_d) ‖ p(z_d))
///
///     I(x; z) = E[log q(z | x) - log q(z)]       0 ≤ I ≤ log N, for q(z) ≥ q(z | x_n) / N
///     TC      = KL(q(z) ‖ Π_d q(z_d)) = E[log q(z) - Σ_d log q(z_d)]
///
/// R is exact; its standard error takes the data for a sample.  The expectations are estimated from
/// draws z_m ~ q(z | x_m); their standard errors are those of the draws, for these data.
///
/// Control: what is drawn for R, r_m = log q(z_m | x_m) - log p(z_m), has the known mean R.  A term
/// is estimated by mean(t) - c (mean(r) - R) with c = cov(t, r) / var(r), which lowers its variance
/// by the squared correlation of t and r.  Terms that add up to r have coefficients that add up to
/// 1, so both identities above hold to rounding.  Each draw's log q(z | x) - log q(z) is at most
/// log N; should the control lift their mean above it, I is estimated without (c = 0).  A small
/// term may come out below 0 by a few of its standard errors.
///
/// Sources: Hoffman & Johnson, ELBO surgery (2016); Chen et al., Isolating Sources of
/// Disentanglement in VAEs (2018), equation 2; active units: Burda et al., Importance Weighted
/// Autoencoders (2016), section 5.
struct Information {
  long count = 0;  // N
  int samples = 0;
  Estimate rate, mutual_information, aggregate_kl, total_correlation, dimension_kl;

  /// What is known of one latent unit.
  struct Unit {
    Estimate kl;             // mean over data of KL(q(z_d | x) ‖ p(z_d))
    Estimate mean_variance;  // variance over data of E[z_d | x]
    bool active = false;     // that variance is above 0.01
  };
  std::vector<Unit> units;
  int active_units() const;
  double log_count() const;  // log N, the most that I(x; z) can be
};

/// How the terms are estimated.
struct InformationOptions {
  int samples = 0;  // draws; 0: min(N, 2000), at least 3
  std::uint64_t seed = 0;
  long limit = 0;  // the first so many data; 0: all
};

/// Of a model on data.  The draws are spread evenly over the data, one at random in each of
/// `samples` parts of them; where there are more draws than data, a datum gets several.
/// Errors: the model has no posterior; fewer than 3 draws, or more than 2^24 a datum.
Information information(const Model&, Batches&, const InformationOptions& = {});
/// Of posteriors that are known; their `sample` is not used.
Information information(const Device&, const Encoded&, const InformationOptions& = {});

}  // namespace elbo
