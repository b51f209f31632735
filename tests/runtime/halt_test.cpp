// A loss that is not finite halts the training on the device, whatever is enqueued behind it.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "models/model.h"
#include "models/trainer.h"
#include "runtime/error.h"
#include "tests/runtime/grey_images.h"
#include "tests/runtime/kernel_devices.h"

namespace elbo {
namespace {

constexpr int rows = 85, batch = 16, steps = 6;  // 5 batches of 16 and one of 5
constexpr std::uint64_t seed = 3, bad = 3;       // the step of the datum that is planted
constexpr float bright = 60;
/// times the sum of 33 numbers: of up to 1 it is a number, and so are the sums of 85 of about 1/2;
/// of `bright` ones it is none.
constexpr Real huge = std::numeric_limits<Real>::max() / 1500;

/// Grey images, one of which is far too bright: a datum of step `bad`.
Dataset images(int columns) {
  Dataset data = grey_images(rows, columns);
  data.floats = data.values();
  data.type = Dataset::Type::f32, data.scale = 1, data.bytes.clear();
  Batches order(Device::cpu(), data, seed);
  order.shuffle(0, 0, 0);
  const std::uint32_t planted = order.data_at(batch * (bad - 1), batch)[7];
  std::fill_n(data.floats.begin() + long(planted) * columns, columns, bright);
  return data;
}

using Bits = std::vector<std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>>;

/// An autoencoder of which nothing but the loss ceases to be finite, at the planted datum: a term
/// of weight 0 is proportional to the datum's sum.  So weights and moments stay numbers, and would
/// go on.
struct Planted {
  Dataset data;
  Model model;
  Batches batches;
  Trainer trainer;

  Planted(const Device& device, const ModelConfig& config, TrainingOptions options)
      : data(images(config.observed)),
        model(device, config, 1),
        batches(device, data, seed),
        trainer(
            [this](const Tensor& x, const Pass& pass) {
              return Terms{model(x, pass).log_likelihood, affine(row_sums(x), huge)};
            },
            model.parameters(), batches, with(options)) {}
  static TrainingOptions with(TrainingOptions options) {
    options.batch = batch, options.rate = Constant{Real(1e-2)}, options.beta = Constant{0};
    return options;
  }

  /// All weights, running estimates and moments, bit by bit, and the sums.
  std::pair<Bits, std::vector<std::uint64_t>> state() const {
    std::pair<Bits, std::vector<std::uint64_t>> all;
    const auto note = [&](const Tensor& t) {
      if (t)
        for (const Real x : t.read()) all.first.push_back(std::bit_cast<Bits::value_type>(x));
    };
    const Optimizer& optimizer = trainer.optimizer();
    for (std::size_t i = 0; i < optimizer.parameters().size(); ++i)
      note(optimizer.parameters()[i].tensor), note(optimizer.first_moment(i)),
          note(optimizer.second_moment(i));
    for (const double sum : trainer.totals())
      all.second.push_back(std::bit_cast<std::uint64_t>(sum));
    return all;
  }
};

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const NotFinite& error) {
    return error.what();
  }
  return "";
}

ModelConfig autoencoder() {
  ModelConfig config{.observed = 33, .hidden = {37}, .latent = 5};
  config.model = "ae";
  return config;
}

struct Named {
  const char* name;
  ModelConfig config;
  TrainingOptions options{};
  bool phases = true;  // it can be a persistent kernel
};
std::vector<Named> kinds() {
  const ModelConfig plain = autoencoder();
  ModelConfig normed = plain;
  normed.norm = "batch";
  return {{"updates with the gradients", plain},
          {"running estimates", normed},
          {"updates from stored gradients", plain, {.clip = 1}, false},
          {"as it was recorded", plain, {.plan = Program::Plan::composed}, false}};
}

void each_training(const std::function<void(const Device&, const Named&, Tier)>& check) {
  std::vector<Device> devices = kernel_devices();
  devices.insert(devices.begin(), Device::cpu());
  for (const Named& kind : kinds())
    for (const Device& device : devices)
      for (const Tier tier : {Tier::graph, Tier::persistent}) {
        if (tier == Tier::persistent && (device.name() == "cpu" || !kind.phases)) continue;
        SCOPED_TRACE(std::string(kind.name) + " on " + device.name() +
                     (tier == Tier::persistent ? ", persistent" : ""));
        check(device, kind, tier);
      }
}

TEST(Halt, leaves_the_state_after_the_step_whose_loss_was_not_finite) {
  each_training([](const Device& device, const Named& kind, Tier tier) {
    TrainingOptions options = kind.options;
    options.tier = tier;
    const auto names_the_step = [](const std::string& message) {
      return message.find("epoch 1 is not finite at step 3;") != std::string::npos;
    };
    // All of the epoch is enqueued at once.
    Planted halted(device, kind.config, options);
    EXPECT_PRED1(names_the_step, message_of([&] { halted.trainer.epoch(); }));
    EXPECT_EQ(halted.trainer.steps(), bad);
    EXPECT_EQ(halted.trainer.position(), bad * batch);
    const StepState counters = halted.batches.progress().read();
    EXPECT_EQ(counters.halted, bad);
    EXPECT_EQ(counters.step, bad);
    EXPECT_EQ(counters.position, bad * batch);
    // The same steps and no more.
    Planted taken(device, kind.config, options);
    EXPECT_PRED1(names_the_step, message_of([&] { taken.trainer.run_to(bad); }));
    EXPECT_EQ(halted.state(), taken.state());
    for (const Parameter& p : halted.model.parameters())
      for (const Real x : p.tensor.read()) ASSERT_TRUE(std::isfinite(x)) << p.name;
    // A step less is another state, so that one more would have been.
    Planted before(device, kind.config, options);
    before.trainer.run_to(bad - 1);
    EXPECT_EQ(before.batches.progress().read().halted, 0u);
    EXPECT_NE(before.state().first, halted.state().first);

    // Who looks after each step hears of it there, and who goes on is told again.
    Planted watched(device, kind.config, options);
    const auto go_on = [](const Means&) { return true; };
    EXPECT_PRED1(names_the_step, message_of([&] { watched.trainer.epoch(go_on); }));
    EXPECT_PRED1(names_the_step, message_of([&] { watched.trainer.epoch(go_on); }));
    EXPECT_EQ(watched.state(), halted.state());
  });
}

TEST(Halt, ends_where_a_training_goes_back_to_a_state_before_it) {
  each_training([](const Device& device, const Named& kind, Tier tier) {
    TrainingOptions options = kind.options;
    options.tier = tier;
    Planted run(device, kind.config, options);
    EXPECT_NE(message_of([&] { run.trainer.epoch(); }), "");
    // From the second epoch's first step on; the planted datum is in another batch then or not.
    run.trainer.resume(1, steps, 0, std::vector<double>(4));
    run.trainer.run_to(steps);
    EXPECT_EQ(run.trainer.steps(), std::uint64_t(steps));
    const std::string again = message_of([&] { run.trainer.epoch(); });
    EXPECT_NE(again.find("the loss of epoch 2 is not finite at step "), std::string::npos) << again;
    EXPECT_GT(run.batches.progress().read().halted, std::uint64_t(steps));
    EXPECT_EQ(run.batches.progress().read().halted, run.trainer.steps());
  });
}

TEST(Halt, of_streamed_data_is_where_it_is_of_data_in_memory) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const ModelConfig config = autoencoder();
    const Dataset data = images(config.observed);
    Model model(device, config, 1);
    Batches batches(device, data, seed, 80 * 144);
    ASSERT_TRUE(batches.streamed().has_value());
    Trainer trainer(
        [&](const Tensor& x, const Pass& pass) {
          return Terms{model(x, pass).log_likelihood, affine(row_sums(x), huge)};
        },
        model.parameters(), batches, Planted::with({}));
    // The order of streamed data is another one: the step is that of the planted datum there.
    batches.shuffle(0, 0, 0);
    std::uint64_t expected = 0;
    const std::vector<std::uint32_t> order = batches.data_at(0, rows);
    for (int i = 0; i < rows; ++i)
      if (data.value(order[std::size_t(i)], 0) == bright) expected = std::uint64_t(i / batch + 1);
    const std::string message = message_of([&] { trainer.epoch(); });
    EXPECT_NE(message.find("at step " + std::to_string(expected) + ";"), std::string::npos)
        << message << ", expected step " << expected;
    EXPECT_EQ(trainer.steps(), expected);
    EXPECT_EQ(batches.progress().read().halted, expected);
  }
}

}  // namespace
}  // namespace elbo
