#pragma once
#include <vector>

#include "models/model.h"
#include "nn/batches.h"

namespace elbo {

/// How data are scored.
struct ScoreOptions {
  int samples = 50;       // S, draws a datum
  bool features = false;  // what each column has to do with it
  std::uint64_t seed = 0;
};

/// How unusual a model finds each datum: a number a datum, in nats.
///
///     log evidence    log 1/S Σ_s v_s,  v_s = p(x, z_s)/q(z_s | x),  z_s ~ q(z | x)   ≤ log p(x)
///     ELBO            1/S Σ_s log p(x | z_s) - KL(q(z | x) ‖ p(z))
///     reconstruction  Σ_s w_s (-log p(x | z_s)),  w_s = v_s / Σ v       E[-log p(x | z)] given x
///     of column c     Σ_s w_s (-log p(x_c | z_s)): these sum up to the reconstruction
///
/// An autoencoder has one draw, its code: log evidence is log p(x | decoder(encoder(x))), and there
/// is no ELBO.  What is missing contributes 0.  Memory is bounded whatever S is.
///
/// Sources: Burda et al., Importance Weighted Autoencoders (2016), equation 8; as a detector: An &
/// Cho, Variational Autoencoder based Anomaly Detection using Reconstruction Probability (2015).
struct Scores {
  std::vector<double> log_evidence, elbo, reconstruction;  // [N]
  std::vector<float> features;                             // [N,C]
};

/// Errors: fewer than one sample.
Scores scores(const Model&, Batches&, const ScoreOptions& = {});

}  // namespace elbo
