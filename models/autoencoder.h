#pragma once
#include "models/vae.h"

namespace elbo {

/// Autoencoder: a copier through a bottleneck, z = encoder(x), trained to maximise
/// log p(x | decoder(z)).  With a Gaussian of σ = 1 that is ½ the squared error, and without hidden
/// layers the optimum spans the principal components (Baldi & Hornik 1989).
struct Autoencoder {
  Mlp encoder, decoder;
  DataModel data;

  Autoencoder(const Device&, const ModelConfig&, Initialiser&);
  Autoencoder(const Device& device, const ModelConfig& config,
              Initialiser&& initialiser = Initialiser(0))
      : Autoencoder(device, config, initialiser) {}

  /// [B,D]
  Tensor encode(const Tensor& x, const Pass& pass = {}) const {
    return encoder(data.seen(x, pass), pass);
  }
  Tensor decode(const Tensor& z, const Pass& pass = {}) const {
    return decoder(data.told(z, pass), pass);
  }
  Tensor log_likelihood(const Tensor& x, const Tensor& z, const Pass& pass = {}) const {
    return data.log_likelihood(x, decode(z, pass));
  }
  Terms operator()(const Tensor& x, const Pass& pass) const {
    return {log_likelihood(x, encode(x, pass), pass), {}};
  }
  void parts(auto visit) {
    visit("encoder", encoder), visit("decoder", decoder), visit(data.side_name, data.side);
  }
};

}  // namespace elbo
