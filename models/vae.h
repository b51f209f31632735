#pragma once
#include "models/data_model.h"

namespace elbo {

/// Variational autoencoder: posterior q(z|x) = N(μ(x), diag σ²(x)), prior N(0, I).
///
///     ELBO = E_q[log p(x | z)] - KL(q(z|x) ‖ p(z))
///
/// Kingma & Welling, Auto-Encoding Variational Bayes (2014); β-VAE: Higgins et al. (2017); with
/// counts, library rates and batch norm: scVI, Lopez et al. (2018).
struct Vae {
  Mlp encoder, decoder;
  DataModel data;
  double posterior_sigma = 0;  // above 0: σ(x) is held at that

  Vae(const Device&, const ModelConfig&, Initialiser&);
  Vae(const Device& device, const ModelConfig& config, Initialiser&& initialiser = Initialiser(0))
      : Vae(device, config, initialiser) {}

  /// [B,2D]: (μ, log σ²) of each unit
  Tensor encode(const Tensor& x, const Pass& pass = {}) const {
    const Tensor q = encoder(data.seen(x, pass), pass);
    return posterior_sigma > 0 ? hold_spread(q, posterior_sigma) : q;
  }
  /// [B,K·C]: raw parameters
  Tensor decode(const Tensor& z, const Pass& pass = {}) const {
    return decoder(data.told(z, pass), pass);
  }
  Tensor log_likelihood(const Tensor& x, const Tensor& z, const Pass& pass = {}) const {
    return data.log_likelihood(x, decode(z, pass));
  }
  Terms operator()(const Tensor& x, const Pass& pass) const {
    const auto [z, kl] = sample_posterior(encode(x, pass.of_data()), pass.noise);
    return {log_likelihood(x, z, pass), kl};
  }
  void parts(auto visit) {
    visit("encoder", encoder), visit("decoder", decoder), visit(data.side_name, data.side);
  }
};

}  // namespace elbo
