// What steps come to, as the host reads it beside them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "models/model.h"
#include "models/trainer.h"
#include "runtime/outcomes.h"
#include "tests/runtime/grey_images.h"
#include "tests/runtime/kernel_devices.h"

namespace elbo {
namespace {

std::vector<Device> all_devices() {
  std::vector<Device> devices = kernel_devices();
  devices.insert(devices.begin(), Device::cpu());
  return devices;
}

/// A VAE's steps of 16 data, which leave outcomes.
struct Steps {
  static constexpr int batch = 16;
  Dataset data = grey_images(21 * batch, 33);
  Model model;
  Batches batches;
  Optimizer optimizer;
  DeviceArray<double> totals;
  Outcomes outcomes;
  Tensor loss;
  Step step;

  Steps(const Device& device, Tier tier)
      : model(device, {.observed = 33, .hidden = {37}, .latent = 5}, 1),
        batches(device, data, 3),
        optimizer(model.parameters(), Adam{}, Constant{Real(1e-2)}, batches.progress()),
        totals(device, 3),
        outcomes(device),
        step(
            device,
            [&] {
              const Noise noise{.seed = 3, .batch = batches.batch(), .given = {}};
              const Terms terms = model(batches.next(batch), {.training = true, .noise = noise});
              loss = objective(
                  {{terms.log_likelihood, {.factor = -1}}, {terms.kl, {.factor = Real(0.5)}}},
                  totals.data(), batches.progress().state(), outcomes.ring());
              backward(loss);
              optimizer.step();
              advance(device, batches.progress(), batch);
            },
            Program::Plan::unchained, tier) {}
  std::vector<double> sums() const {
    std::vector<double> sums(3);
    totals.read(sums.data(), sums.size());
    return sums;
  }
};

TEST(Outcomes, are_what_the_sums_and_the_loss_say_after_each_step) {
  for (const Device& device : all_devices())
    for (const Tier tier : {Tier::graph, Tier::persistent}) {
      if (tier == Tier::persistent && device.name() == "cpu") continue;
      SCOPED_TRACE(device.name() + (tier == Tier::persistent ? ", persistent" : ""));
      constexpr int count = 20;
      // Step by step, from sums of 0: each sum is the step's own.
      Steps one(device, tier);
      std::vector<std::vector<double>> terms;
      std::vector<Real> losses;
      for (int s = 0; s < count; ++s) {
        const std::vector<double> none(3);
        one.totals.write(none.data(), none.size());
        one.step();
        terms.push_back(one.sums()), losses.push_back(one.loss.item());
      }
      // At once, as graphs of 16 and single ones, or in one launch.
      Steps all(device, tier);
      all.step(count);
      const std::vector<double> end = all.sums();
      std::vector<Outcome> came;
      all.outcomes.take([&](const Outcome& outcome) { came.push_back(outcome); });
      ASSERT_EQ(came.size(), std::size_t(count));
      std::vector<double> sums(3);
      for (int s = 0; s < count; ++s) {
        const Outcome& outcome = came[std::size_t(s)];
        EXPECT_EQ(outcome.step, std::uint64_t(s + 1));
        EXPECT_EQ(Real(outcome.loss), losses[std::size_t(s)]);
        for (int i = 0; i < 2; ++i) EXPECT_EQ(outcome.terms[i], terms[std::size_t(s)][i]);
        for (int i = 0; i < 3; ++i)
          EXPECT_EQ(outcome.totals[i], sums[std::size_t(i)] += terms[std::size_t(s)][i]);
      }
      EXPECT_EQ(sums, end);
      EXPECT_EQ(all.outcomes.last(), std::uint64_t(count));
      EXPECT_EQ(all.outcomes.missed(), 0u);
      // There are no more, and the next is the next.
      all.outcomes.take([](const Outcome&) { ADD_FAILURE(); });
      all.step();
      device.backend().wait();
      all.outcomes.take([](const Outcome& next) { EXPECT_EQ(next.step, count + 1u); });
      EXPECT_EQ(all.outcomes.last(), count + 1u);
    }
}

/// Steps that are nothing but an objective, of one number: that of the step.
struct Counted {
  Device device;
  Progress progress;
  Outcomes outcomes;
  DeviceArray<Real> number, loss;
  Objective objective;

  explicit Counted(const Device& on)
      : device(on), progress(on), outcomes(on), number(on, 1), loss(on, 1) {
    objective.count = 1;
    objective.terms[0] = {number.data(), 1, 1, 1}, objective.loss = {loss.data(), 1, 1, 1};
    objective.state = progress.state(), objective.outcomes = outcomes.ring();
  }
  void run(std::uint64_t step) {
    const Real value = Real(step);
    number.write(&value, 1);
    device.backend().ops().run(objective);
    device.backend().ops().run(Advance{progress.state(), 1});
  }
};

TEST(Outcomes, that_are_taken_too_late_are_counted) {
  for (const Device& device : all_devices()) {
    SCOPED_TRACE(device.name());
    Counted steps(device);
    constexpr std::uint64_t few = 5, late = 300, first = Outcome::kept + few + late;
    std::vector<std::uint64_t> came;
    const auto take = [&] {
      came.clear();
      device.backend().wait();
      steps.outcomes.take([&](const Outcome& outcome) {
        came.push_back(outcome.step);
        EXPECT_EQ(outcome.terms[0], double(outcome.step));
        EXPECT_EQ(outcome.loss, double(outcome.step));
      });
    };
    const auto sequence = [](std::uint64_t from, std::uint64_t to) {
      std::vector<std::uint64_t> all;
      for (; from <= to; ++from) all.push_back(from);
      return all;
    };
    std::uint64_t step = 0;
    while (step < few) steps.run(++step);
    take();
    EXPECT_EQ(came, sequence(1, few));
    while (step < first) steps.run(++step);
    take();
    EXPECT_EQ(came, sequence(first - Outcome::kept + 1, first));
    EXPECT_EQ(steps.outcomes.missed(), late);
    // As many as are kept are not too many.
    while (step < first + Outcome::kept) steps.run(++step);
    take();
    EXPECT_EQ(came, sequence(first + 1, first + Outcome::kept));
    EXPECT_EQ(steps.outcomes.missed(), late);
    // A training that goes back counts from there.
    steps.progress.write({few, 0, 0});
    steps.outcomes.restart(few);
    take();
    EXPECT_TRUE(came.empty());
    steps.run(few + 1);
    take();
    EXPECT_EQ(came, sequence(few + 1, few + 1));
    EXPECT_EQ(steps.outcomes.missed(), 0u);
  }
}

TEST(Outcomes, are_whole_or_none_for_a_thread_that_reads_meanwhile) {
  Counted steps(Device::cpu());
  constexpr std::uint64_t all = 200'000;
  std::atomic<bool> over = false;
  std::uint64_t taken = 0, wrong = 0;
  std::thread reader([&] {
    const auto each = [&](const Outcome& outcome) {
      ++taken;
      wrong += outcome.terms[0] != double(outcome.step) || outcome.loss != double(outcome.step);
      // Now and then it is too slow.
      if (taken % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    };
    for (bool last = false; !last;) {
      last = over;
      steps.outcomes.take(each);
    }
  });
  for (std::uint64_t step = 1; step <= all; ++step) steps.run(step);
  over = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(taken + steps.outcomes.missed(), all);
  EXPECT_GE(taken, std::uint64_t(Outcome::kept));
}

}  // namespace
}  // namespace elbo
