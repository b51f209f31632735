// A model with norms and dropout through training, a checkpoint and evaluation.
#include <gtest/gtest.h>

#include <cmath>

#include "models/run_directory.h"
#include "models/trainer.h"
#include "tests/data/temporary_folder.h"
#include "tests/runtime/grey_images.h"

namespace elbo {
namespace {

/// A VAE as scVI builds its networks: batch norm and dropout in every hidden layer.
Vae normed(const Device& device, std::uint64_t seed) {
  const ModelConfig config{.observed = 13, .hidden = {8}, .latent = 2};
  Initialiser initialiser(seed);
  Vae vae(device, config, initialiser);
  const HiddenOptions options{
      .norm = HiddenOptions::Norm::batch, .dropout = 0.1, .epsilon = 1e-3, .momentum = 0.01};
  vae.encoder = Mlp(device, 13, {8}, 2, 2, Relu{}, initialiser, options);
  vae.decoder = Mlp(device, 2, {8}, 13, 1, Relu{}, initialiser, options);
  return vae;
}

TrainingOptions options() {
  return {.batch = 16, .epochs = 3, .rate = Constant{Real(1e-2)}, .seed = 4};
}

std::vector<std::vector<Real>> numbers(Vae& vae) {
  std::vector<std::vector<Real>> all;
  for (const Parameter& p : parameters(vae)) all.push_back(p.tensor.read());
  return all;
}

TEST(NormedVae, goes_on_from_a_checkpoint_to_the_bit) {
  const test::TemporaryFolder folder;
  const Dataset data = grey_images(70, 13);
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    Vae straight = normed(device, 4);
    Batches batches(device, data, 4);
    Trainer trainer(straight, batches, options());
    for (int e = 0; e < 3; ++e) trainer.epoch();

    Vae first = normed(device, 4);
    Batches first_batches(device, data, 4);
    Trainer before(first, first_batches, options());
    before.epoch(), before.epoch();
    const RunDirectory run(folder / device.name());
    run.save(Checkpoint{.epochs_done = before.epochs_done(), .steps = before.steps()},
             before.optimizer());

    Vae second = normed(device, 99);
    Batches second_batches(device, data, 4);
    Trainer after(second, second_batches, options());
    run.restore(after.optimizer());
    after.resume(before.epochs_done(), before.steps(), before.position(), before.totals());
    after.epoch();
    EXPECT_EQ(numbers(straight), numbers(second)) << device.name();
  }
}

TEST(NormedVae, trains_on_a_datum_more_than_whole_batches) {
  const Device device = Device::cpu();
  TrainingOptions of = options();
  const Dataset data = grey_images(2 * of.batch + 1, 13);
  Vae vae = normed(device, 1);
  Batches batches(device, data, 1);
  Trainer trainer(vae, batches, of);
  EXPECT_EQ(trainer.epoch().count, data.rows);
  EXPECT_EQ(trainer.steps(), 2u);
}

TEST(NormedVae, moves_its_estimates_in_training_alone) {
  const Device device = Device::cpu();
  const Dataset data = grey_images(48, 13);
  Vae vae = normed(device, 1);
  Batches batches(device, data, 1);
  const Tensor& mean = vae.encoder.batch_norms[0].running_mean;
  const Tensor x = Tensor(device, {3, 13}, std::vector<Real>(39, Real(0.5)));
  Trainer trainer(vae, batches, options());
  EXPECT_EQ(mean.read(), std::vector<Real>(8)) << "recording a step computes nothing";
  trainer.epoch();
  const auto moved = mean.read();
  EXPECT_NE(moved, std::vector<Real>(8));
  const auto decoded = [&] { return vae.decode(sample_posterior(vae.encode(x), {}).z).read(); };
  const auto once = decoded(), twice = decoded();
  EXPECT_EQ(once, twice);
  EXPECT_EQ(mean.read(), moved);
}

}  // namespace
}  // namespace elbo
