// A model of one's own: a struct, its parts and a call operator.  Its step is planned like those of
// the library's models: the program prints the operations that it became.
#include <elbo/elbo.h>
#include <cstdio>

using namespace elbo;

/// A VAE whose decoder has a skip connection.
struct ResidualVae {
  Linear inner, posterior, widen, refine, output;

  ResidualVae(const Device& device, int observed, int hidden, int latent, Initialiser random)
      : inner(device, observed, hidden, Silu{}, random),
        posterior(device, hidden, 2 * latent, Identity{}, random, /*interleave=*/2),
        widen(device, latent, hidden, Silu{}, random),
        refine(device, hidden, hidden, Silu{}, random),
        output(device, hidden, observed, Identity{}, random) {}

  Tensor encode(const Tensor& x, const Pass&) const { return posterior(inner(x)); }
  Tensor log_likelihood(const Tensor& x, const Tensor& z, const Pass&) const {
    const Tensor h = widen(z);
    return log_prob(Bernoulli{}, x, output(add(h, refine(h))));
  }
  Terms operator()(const Tensor& x, const Pass& pass) const {
    const auto [z, kl] = sample_posterior(encode(x, pass), pass.noise);
    return {log_likelihood(x, z, pass), kl};
  }
  void parts(auto visit) {
    visit("inner", inner), visit("posterior", posterior), visit("widen", widen);
    visit("refine", refine), visit("output", output);
  }
};

int main() {
  const Device device = Device::named("auto", Precision::tf32);
  const Dataset digits = read_dataset("builtin:digits?n=2048");
  Batches batches(device, digits, /*seed=*/1);

  // The call operator gives the two terms of the ELBO; with encode and log_likelihood the same
  // model can be trained by the importance-weighted bound.
  for (const Bound bound : {Bound::elbo, Bound::iwae}) {
    ResidualVae model(device, digits.columns, 128, 8, Initialiser(1));
    Trainer trainer(model, batches,
                    {.batch = 64, .bound = bound, .samples = bound == Bound::iwae ? 5 : 1});
    std::printf("%s", trainer.program().describe().c_str());
    for (int epoch = 1; epoch <= 2; ++epoch) {
      const Means means = trainer.epoch();
      std::printf("epoch %d: %s %.2f nats per image\n", epoch,
                  bound == Bound::elbo ? "ELBO" : "bound of 5 draws",
                  means.bound.value_or(means.elbo));
    }
  }
}
