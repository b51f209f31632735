#pragma once
#include "models/config.h"
#include "nn/layers.h"

namespace elbo {

/// The two terms of the evidence lower bound, one row a datum, in nats.  A model without a
/// posterior has no kl.
struct Terms {
  Tensor log_likelihood, kl;
};

/// Variational autoencoder: posterior q(z|x) = N(μ(x), diag σ²(x)), prior N(0, I).
///
///     ELBO = E_q[log p(x | z)] - KL(q(z|x) ‖ p(z))
///
/// Kingma & Welling, Auto-Encoding Variational Bayes (2014); β-VAE: Higgins et al. (2017).
struct Vae {
  Mlp encoder, decoder;
  Likelihood likelihood;
  Tensor log_variance;  // [1,C] or [1,1], of a Gaussian whose σ the decoder does not give

  Vae(const Device&, const ModelConfig&, Initialiser&);
  Vae(const Device& device, const ModelConfig& config, Initialiser&& initialiser = Initialiser(0))
      : Vae(device, config, initialiser) {}

  /// [B,2D]: (μ, log σ²) of each unit
  Tensor encode(const Tensor& x, const Pass& pass = {}) const { return encoder(x, pass); }
  /// [B,K·C]: raw parameters
  Tensor decode(const Tensor& z, const Pass& pass = {}) const { return decoder(z, pass); }
  Tensor log_likelihood(const Tensor& x, const Tensor& theta) const {
    return log_prob(likelihood, x, theta, log_variance);
  }
  Terms operator()(const Tensor& x, const Pass& pass) const {
    const auto [z, kl] = sample_posterior(encode(x, pass), pass.noise);
    return {log_likelihood(x, decode(z, pass)), kl};
  }
  void parts(auto visit) {
    visit("encoder", encoder), visit("decoder", decoder), visit("log_variance", log_variance);
  }
};

}  // namespace elbo
