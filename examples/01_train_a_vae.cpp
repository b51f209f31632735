// Trains a VAE on digit images that Elbo draws itself, and prints how the bound rises.
#include <elbo/elbo.h>
#include <cstdio>

int main() {
  using namespace elbo;
  const Device device = Device::named("auto", Precision::tf32);
  const Dataset digits = read_dataset("builtin:digits?n=4000");

  Vae vae(device, {.observed = digits.columns, .hidden = {400}, .latent = 20});
  Batches batches(device, digits, /*seed=*/0);
  Trainer trainer(vae, batches, {.batch = 128, .rate = Constant{1e-3}});

  for (int epoch = 1; epoch <= 3; ++epoch) {
    const Means means = trainer.epoch();
    std::printf("epoch %d: ELBO %.2f = %.2f (log-likelihood) - %.2f (KL), nats per image\n", epoch,
                means.elbo, means.log_likelihood, means.kl);
  }
}
