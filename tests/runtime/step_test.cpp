// A whole training step as the kernels that the device is asked to run: how many, which, and how
// many bytes they move.
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "kernels/cuda/traffic.h"
#include "kernels/simt/executor.h"
#include "models/trainer.h"
#include "tests/runtime/grey_images.h"
#include "tests/runtime/residual_vae.h"

namespace elbo {
namespace {

struct Size {
  int batch, observed, hidden, latent;
};
const Size sizes[] = {{16, 13, 11, 3}, {37, 70, 40, 5}};
constexpr int steps = 2;

int groups_of(std::size_t most, std::size_t all) { return int((all + most - 1) / most); }

/// What each operation may cost: one launch, and one more for every further table of layers or
/// parameters; clipping has a second kernel after the tables.
int launches_of(const Operation& operation) {
  if (const auto* op = std::get_if<WeightGradients>(&operation))
    return groups_of(tiling::layers_per_launch, op->layers.size());
  if (const auto* op = std::get_if<UpdateAll>(&operation))
    return groups_of(tiling::updates_per_launch, op->updates.size());
  if (const auto* op = std::get_if<ClipScale>(&operation))
    return 1 + groups_of(64, op->gradients.size());
  return 1;
}

/// What the product kernels of an operation must move; nothing for other operations.
std::optional<Traffic> product_traffic(const Operation& operation) {
  if (const auto* op = std::get_if<Product>(&operation)) return traffic(*op);
  if (const auto* op = std::get_if<Chain>(&operation)) return traffic(*op);
  if (const auto* op = std::get_if<WeightGradients>(&operation)) return traffic(*op);
  return {};
}

struct Trained {
  std::vector<simt::LaunchRecord> launches;  // of all steps
  std::vector<Operation> operations;         // of one
  std::string plan;
};

template <class M>
Trained train(const Device& device, M& model, const Size& size) {
  const Dataset data = grey_images(steps * size.batch, size.observed);
  Batches batches(device, data, 1);
  Trainer trainer(model, batches,
                  {.batch = size.batch, .beta = WarmUp{1, 100}, .tier = Tier::graph});
  simt::clear_launches();
  const Means means = trainer.epoch();
  EXPECT_LT(means.elbo, 0);
  return {simt::launches(), trainer.program().operations, trainer.program().describe()};
}

/// What a plan may cost.
struct Limits {
  int launches, composed;  // composed: of a kernel that reads a product's stored numbers
};
const Limits of_a_vae = {8, 0};
// Three layers' products more, and the sum of the skip connection; its gradient costs nothing.
const Limits of_a_skip_connection = {11, 0};

void each_training(const std::function<void(const Trained&, const Limits&)>& check) {
  for (const Precision precision : {Precision::fp32, Precision::tf32})
    for (const Size& size : sizes) {
      SCOPED_TRACE(testing::Message() << size.batch << " x " << size.observed << "-" << size.hidden
                                      << "-" << size.latent << ", precision " << int(precision));
      const Device device = Device::simt(precision);
      Vae vae(device, {.observed = size.observed, .hidden = {size.hidden}, .latent = size.latent});
      check(train(device, vae, size), of_a_vae);
      ResidualVae own(device, size.observed, size.hidden, size.latent, Initialiser(1));
      check(train(device, own, size), of_a_skip_connection);
    }
}

TEST(TrainingStep, launches_one_kernel_an_operation) {
  each_training([](const Trained& trained, const Limits& limits) {
    int expected = 0;
    for (const Operation& operation : trained.operations) expected += launches_of(operation);
    EXPECT_EQ(trained.launches.size(), std::size_t(steps * expected)) << trained.plan;
    EXPECT_LE(expected, limits.launches) << trained.plan;
  });
}

TEST(TrainingStep, stores_no_numbers_of_a_product_for_a_kernel_after_it) {
  each_training([](const Trained& trained, const Limits& limits) {
    std::size_t at = 0;
    int composed = 0;
    for (int step = 0; step < steps; ++step)
      for (const Operation& operation : trained.operations)
        for (int i = 0; i < launches_of(operation) && at < trained.launches.size(); ++i, ++at) {
          const simt::LaunchRecord& launch = trained.launches[at];
          // Products alone have dynamic shared memory.
          EXPECT_EQ(launch.shared_bytes > 0, product_traffic(operation).has_value())
              << launch.kernel << " in\n"
              << trained.plan;
          EXPECT_TRUE(launch.kernel.find("Work<") != std::string::npos ||
                      launch.kernel.find("Work>") != std::string::npos)
              << launch.kernel << ": kernels are told apart by their names";
          composed += launch.kernel.find("MapRowsWork<") != std::string::npos;
        }
    EXPECT_EQ(at, trained.launches.size());
    EXPECT_LE(composed, steps * limits.composed) << trained.plan;
  });
}

TEST(TrainingStep, asks_memory_for_what_its_products_must_move) {
  if (!simt::bytes_are_counted()) GTEST_SKIP() << "bytes are counted in the race build alone";
  each_training([](const Trained& trained, const Limits&) {
    std::size_t at = 0;
    for (int step = 0; step < steps; ++step)
      for (const Operation& operation : trained.operations) {
        const std::optional<Traffic> wanted = product_traffic(operation);
        double read = 0, written = 0;
        std::string kernels;
        for (int i = 0; i < launches_of(operation) && at < trained.launches.size(); ++i, ++at) {
          const simt::LaunchRecord& launch = trained.launches[at];
          read += double(launch.bytes_read), written += double(launch.bytes_written);
          kernels += launch.kernel + " ";
        }
        if (!wanted) continue;
        EXPECT_NEAR(read / wanted->read, 1, 0.05) << kernels << "reads " << read;
        EXPECT_NEAR(written / wanted->written, 1, 0.05) << kernels << "writes " << written;
      }
  });
}

}  // namespace
}  // namespace elbo
