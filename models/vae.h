#pragma once
#include "models/config.h"
#include "nn/layers.h"

namespace elbo {

/// The two terms of the evidence lower bound, in nats: log_likelihood [B·S,1], S = noise.samples
/// draws a datum, and kl [B,1].  A model without a posterior has no kl; where there is another
/// bound [B,1] to train, the two are only counted.
struct Terms {
  Tensor log_likelihood, kl, bound{};
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

  Tensor encode(const Tensor& x) const { return encoder(x); }  // [B,2D]: (μ, log σ²) of each unit
  Tensor decode(const Tensor& z) const { return decoder(z); }  // [B,K·C]: raw parameters
  Tensor log_likelihood(const Tensor& x, const Tensor& theta) const {
    return log_prob(likelihood, x, theta, log_variance);
  }
  Terms operator()(const Tensor& x, const Noise& noise) const {
    const auto [z, kl] = sample_posterior(encode(x), noise);
    return {log_likelihood(x, decode(z)), kl};
  }
  void parts(auto visit) {
    visit("encoder", encoder), visit("decoder", decoder), visit("log_variance", log_variance);
  }
};

}  // namespace elbo
