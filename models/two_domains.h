#pragma once
#include "models/vae.h"
#include "runtime/error.h"

namespace elbo {

/// Variational autoencoder of what is seen in two ways, A and B, each with an encoder, a decoder
/// and a law of its own, that share their latents.  A datum is x = (x_A | x_B), the columns of A
/// before those of B; a domain all of whose entries are missing is absent from it.
///
///     p(x_A, x_B, z) = p(z) p(x_A | z) p(x_B | z)
///     q(z | x) ∝ p(z) Π q̃_i(z | x_i)                over the domains i that are there
///     bound = ELBO(x_A, x_B) + ELBO(x_A) + ELBO(x_B)
///
/// so that each domain alone has a posterior that was trained: q(z | x_A) and the decoder of B
/// translate.  Of a datum without B the first two are bounds of the same, the third is 0.
///
/// Wu & Goodman, Multimodal Generative Models for Scalable Weakly-Supervised Learning (2018).
struct TwoDomains {
  Vae a, b;
  int columns_a = 0, columns_b = 0;

  /// Errors: an encoder that takes its input plain.
  TwoDomains(const Device&, const ModelConfig&, Initialiser&);
  TwoDomains(const Device& device, const ModelConfig& config,
             Initialiser&& initialiser = Initialiser(0))
      : TwoDomains(device, config, initialiser) {}

  Tensor of_a(const Tensor& x) const { return columns(x, 0, columns_a); }
  Tensor of_b(const Tensor& x) const { return columns(x, columns_a, columns_b); }

  /// [B,2D]: (μ, log σ²) of each unit
  Tensor encode(const Tensor& x, const Pass& pass = {}) const {
    const Tensor x_a = of_a(x), x_b = of_b(x);
    return product_of_experts(a.encode(x_a, pass), b.encode(x_b, pass), count_present(x_a),
                              count_present(x_b));
  }
  /// The raw parameters of A beside those of B.
  Tensor decode(const Tensor& z, const Pass& pass = {}) const {
    return join(a.decode(z, pass), b.decode(z, pass));
  }
  Tensor log_likelihood(const Tensor& x, const Tensor& z, const Pass& pass = {}) const {
    return add(a.log_likelihood(of_a(x), z, pass), b.log_likelihood(of_b(x), z, pass));
  }
  /// The terms of ELBO(x_A, x_B), and in training the bound, whose KL terms weigh pass.kl_weight.
  Terms operator()(const Tensor& x, const Pass& pass) const;

  void parts(auto visit) { visit("a", a), visit("b", b); }
};

}  // namespace elbo
