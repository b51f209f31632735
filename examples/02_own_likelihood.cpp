// A likelihood of one's own, spelt out in functions of tensors, on whatever device there is.
#include <elbo/elbo.h>
#include <cmath>
#include <cstdio>

using namespace elbo;

/// Σ_c log p(x_c) of a Cauchy law with median m and scale e^s: grey values far from what the
/// decoder expects cost it little.
///
///     log p(x | m, s) = -log π - s - log(1 + u²),   u = (x - m) e^-s
Tensor cauchy_log_prob(const Tensor& x, const Tensor& m, const Tensor& s) {
  const Tensor u = (x - m) * pointwise(Exp{}, -s);
  return row_sums(-s - pointwise(Log1p{}, u * u) + Real(-std::log(std::acos(-1.0))));
}

/// A VAE whose decoder has a head for each of the law's parameters.
struct CauchyVae {
  Mlp encoder, hidden;
  Linear median, log_scale;

  CauchyVae(const Device& device, int observed, int width, int latent, Initialiser random)
      : encoder(device, observed, {width}, latent, /*heads=*/2, Relu{}, random),
        hidden(device, latent, {width}, width, 1, Relu{}, random),
        median(device, width, observed, Identity{}, random),
        log_scale(device, width, observed, Softplus{}, random) {}

  Terms operator()(const Tensor& x, const Pass& pass) const {
    const auto [z, kl] = sample_posterior(encoder(x, pass), pass.noise);
    const Tensor h = hidden(z, pass);
    return {cauchy_log_prob(x, median(h), affine(log_scale(h), 1, -5)),
            kl};  // a scale of e^-5 or more
  }
  void parts(auto visit) {
    visit("encoder", encoder), visit("hidden", hidden);
    visit("median", median), visit("log_scale", log_scale);
  }
};

int main() {
  const Device device = Device::named("auto", Precision::tf32);
  const Dataset digits = read_dataset("builtin:digits?n=4000");
  CauchyVae vae(device, digits.columns, 200, 10, Initialiser(0));
  Batches batches(device, digits, /*seed=*/0);
  Trainer trainer(vae, batches, {.batch = 128});
  std::printf("%s", trainer.program().describe().c_str());
  for (int epoch = 1; epoch <= 3; ++epoch)
    std::printf("epoch %d: ELBO %.2f nats per image\n", epoch, trainer.epoch().elbo);
}
