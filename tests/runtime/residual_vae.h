// A model that the library has not: a VAE whose decoder has a skip connection.
#pragma once
#include "models/vae.h"

struct ResidualVae {
  elbo::Linear inner, posterior, widen, refine, output;

  ResidualVae(const elbo::Device& device, int observed, int hidden, int latent,
              elbo::Initialiser random)
      : inner(device, observed, hidden, elbo::Silu{}, random),
        posterior(device, hidden, 2 * latent, elbo::Identity{}, random, /*interleave=*/2),
        widen(device, latent, hidden, elbo::Silu{}, random),
        refine(device, hidden, hidden, elbo::Silu{}, random),
        output(device, hidden, observed, elbo::Identity{}, random) {}

  elbo::Terms operator()(const elbo::Tensor& x, const elbo::Pass& pass) const {
    const auto [z, kl] = sample_posterior(posterior(inner(x)), pass.noise);
    const elbo::Tensor h = widen(z);
    return {log_prob(elbo::Bernoulli{}, x, output(add(h, refine(h)))), kl};
  }
  void parts(auto visit) {
    visit("inner", inner), visit("posterior", posterior), visit("widen", widen);
    visit("refine", refine), visit("output", output);
  }
};
