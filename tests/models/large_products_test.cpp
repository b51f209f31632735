// A training whose large products a library multiplies, by algorithms that it chose.
#include <gtest/gtest.h>

#include "models/run_directory.h"
#include "models/trainer.h"
#include "tests/data/temporary_folder.h"
#include "tests/host_products.h"
#include "tests/runtime/grey_images.h"

namespace elbo {
namespace {

using test::HostProducts;

/// A training in progress.
struct Training {
  Batches batches;
  Model model;
  TrainingOptions options;
  Trainer trainer;

  Training(const Device& device, const Dataset& data, int hidden, std::uint64_t seed)
      : batches(device, data, 4),
        model(device, {.observed = data.columns, .hidden = {hidden}, .latent = 3}, seed),
        options{.batch = int(data.rows) / 2, .epochs = 3, .rate = Constant{Real(1e-2)}},
        trainer(Trainer::terms_of(model, options), model.parameters(), batches, options) {}

  std::vector<std::vector<Real>> numbers() const {
    std::vector<std::vector<Real>> all;
    for (const Parameter& p : model.parameters()) all.push_back(p.tensor.read());
    return all;
  }
};

Device by_loops(HostProducts::Order order, const std::string& version = "1") {
  return Device::simt(Precision::fp32,
                      std::make_shared<HostProducts>(Precision::fp32, 8, order, version));
}

/// Trains an epoch on `begun`, stops there and goes on elsewhere.
std::vector<std::vector<Real>> gone_on(const Device& begun, const Device& elsewhere,
                                       const Dataset& data, int hidden, std::string* remark) {
  const test::TemporaryFolder folder;
  const RunDirectory run(folder / "run");
  {
    Training first(begun, data, hidden, 1);
    first.trainer.epoch();
    run.save(Checkpoint{.epochs_done = first.trainer.epochs_done(),
                        .steps = first.trainer.steps(),
                        .choices = begun.backend().choices()},
             first.trainer.optimizer());
  }
  Training second(elsewhere, data, hidden, 99);
  const Checkpoint stored = run.load_checkpoint();
  *remark = elsewhere.backend().choose(stored.choices);
  run.restore(second.trainer.optimizer());
  second.trainer.resume(stored.epochs_done, stored.steps, 0, second.trainer.totals());
  second.trainer.epoch();
  return second.numbers();
}
std::vector<std::vector<Real>> straight(const Device& device, const Dataset& data, int hidden) {
  Training training(device, data, hidden, 1);
  training.trainer.epoch(), training.trainer.epoch();
  return training.numbers();
}

TEST(ChosenAlgorithms, are_kept_by_a_checkpoint_to_the_bit) {
  using enum HostProducts::Order;
  const Dataset data = grey_images(64, 33);
  const auto one = straight(by_loops(forward), data, 16),
             other = straight(by_loops(backward), data, 16);
  ASSERT_NE(one, other);  // the two algorithms differ in bits
  std::string remark;
  EXPECT_EQ(gone_on(by_loops(forward), by_loops(backward), data, 16, &remark), one);
  EXPECT_EQ(remark, "");
}

TEST(ChosenAlgorithms, of_another_version_are_ignored_with_a_word) {
  using enum HostProducts::Order;
  const Dataset data = grey_images(64, 33);
  std::string remark;
  const auto mixed = gone_on(by_loops(forward), by_loops(backward, "2"), data, 16, &remark);
  EXPECT_NE(remark.find("loops 1 on the host"), std::string::npos);
  EXPECT_NE(mixed, straight(by_loops(forward), data, 16));
}

TEST(ChosenAlgorithms, are_none_where_nothing_chooses) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    EXPECT_EQ(device.backend().choices(), "");
    EXPECT_EQ(device.backend().choose("of another device"), "");
    const test::TemporaryFolder folder;
    Training training(device, grey_images(8, 5), 4, 1);
    const RunDirectory run(folder / "run");
    run.save(Checkpoint{}, training.trainer.optimizer());
    EXPECT_EQ(run.load_checkpoint().choices, "");
  }
}

#ifdef ELBO_HAS_CUDA
TEST(ChosenAlgorithms, go_on_to_the_bit_on_a_gpu) {
  if (cuda_devices() == 0) GTEST_SKIP() << "no GPU";
  const Dataset data = grey_images(2 * 2048, 2048);
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const Device device = Device::cuda(0, precision);
    const auto whole = straight(device, data, 2048);
    if (device.backend().description().find("without cuBLASLt") != std::string::npos)
      GTEST_SKIP() << device.backend().description();
    EXPECT_NE(device.backend().choices(), "");
    std::string remark;
    EXPECT_EQ(gone_on(device, Device::cuda(0, precision), data, 2048, &remark), whole);
    EXPECT_EQ(remark, "");
  }
}
#endif

}  // namespace
}  // namespace elbo
