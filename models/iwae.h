#pragma once
#include "models/vae.h"
#include "runtime/error.h"

namespace elbo {

/// Importance-weighted autoencoder: the bound of a VAE tightened by S draws a datum,
///
///     L_S = E[log 1/S Σ_s p(x, z_s) / q(z_s | x)]           ELBO = L_1 ≤ L_S ≤ L_{S+1} ≤ log p(x)
///
/// with the ELBO's two terms beside it, which are counted and not trained.  S = noise.samples.
///
/// Burda et al., Importance Weighted Autoencoders (2016).
template <class M>
  requires requires(const M& model, const Tensor& x, const Pass& pass) {
    model.log_likelihood(x, model.encode(x, pass), pass);
  }
Terms importance_weighted(const M& model, const Tensor& x, const Pass& pass,
                          Gradient gradient = Gradient::standard) {
  if constexpr (requires { model.variational(); })
    require(model.variational(), "importance weighting: the model has no posterior to draw from");
  const Tensor q = model.encode(x, pass.of_data()), kl = posterior_kl(q);
  const auto [z, log_ratio] = sample_many(q, pass.noise, gradient);
  const Tensor log_p = model.log_likelihood(x, z, pass);
  return {log_p, kl, importance_bound(log_p, log_ratio, pass.noise.samples)};
}

}  // namespace elbo
