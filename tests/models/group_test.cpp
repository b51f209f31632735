// Threads in place of processes: the sums are the same, and so is what may go wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "models/trainer.h"
#include "runtime/nccl.h"
#include "tests/models/group_of_threads.h"
#include "tests/tolerance.h"

namespace elbo::test {
namespace {

Dataset some_data(long rows) {
  Dataset data;
  data.source = "some", data.rows = rows, data.columns = 13;
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < data.columns; ++c)
      data.floats.push_back(float(
          Philox::at(std::uint32_t(c), std::uint32_t(r), 0, 0, 7).normal(0) + (r % 3) * (c % 2)));
  return data;
}

ModelConfig small() {
  ModelConfig config{.observed = 13, .hidden = {9}, .latent = 3};
  config.likelihood = "gaussian", config.sigma = "datum", config.activation = "tanh";
  return config;
}

struct Trained {
  std::vector<Means> epochs;
  std::vector<std::vector<Real>> weights;
  double beta = 0;
};

Trained result(Trainer& trainer, const Model& model, std::vector<Means> epochs,
               const TrainingOptions& options) {
  Trained t{.epochs = std::move(epochs)};
  for (const Parameter& p : model.parameters()) t.weights.push_back(p.tensor.read());
  if (options.budget) t.beta = trainer.found_beta();
  return t;
}

/// What each of so many members has at the end.
std::vector<Trained> trained_by(int size, const Dataset& data, const TrainingOptions& given,
                                const ModelConfig& config = small(),
                                const std::string& device = "cpu", bool by_nccl = false) {
  std::vector<Trained> all(static_cast<std::size_t>(size));
  by_threads(size, [&](Group& group) {
    TrainingOptions options = given;
    if (size > 1) options.group = &group;
    const DeviceSums sums =
        by_nccl ? sums_by_nccl(group, std::to_string(group.rank()), nullptr, ELBO_NCCL)
                : DeviceSums{};
    require(!by_nccl || sums.sums, sums.why_not);
    options.sums = sums.sums.get();
    const Device own = Device::named(device, Precision::fp32);
    Batches batches(own, data, 5);
    const Model model(own, config, 5);
    Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
    std::vector<Means> epochs;
    for (int e = 0; e < options.epochs; ++e) epochs.push_back(trainer.epoch());
    all[std::size_t(group.rank())] = result(trainer, model, epochs, options);
  });
  return all;
}

/// The largest norm of the gradient of any datum in the first step.
double largest_gradient(const Dataset& data, const TrainingOptions& options,
                        const ModelConfig& config = small()) {
  const Device device = Device::cpu();
  Batches batches(device, data, 5);
  const Model model(device, config, 5);
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  batches.shuffle(0, 0, 0);
  double largest = 0;
  for (const std::uint32_t d : batches.data_at(0, options.batch)) {
    const Replayed r = trainer.replay(long(d));
    for (const auto& [name, norm] : r.gradients) largest = std::max(largest, norm);
  }
  return largest;
}

TEST(Group, takes_the_steps_of_one_process_but_for_rounding) {
  // 50 data in batches of 12: the last has 2, of which some processes have none.
  const Dataset data = some_data(50);
  const TrainingOptions options{
      .batch = 12, .epochs = 2, .rate = Constant{Real(0.01)}, .rule = Sgd{}, .seed = 5};
  const Trained one = trained_by(1, data, options)[0];
  // A gradient is a sum over the batch of products that a row's passes, forward and back, leave; at
  // this rate, steps and what they inherit add up; by the first step's norms, which do not grow.
  const double depth = 12 + 2 * (13 + 9 + 3 + 9), steps = 10, rate = 0.01;
  const double moved = 2 * rate * steps * tolerance::sum(depth, largest_gradient(data, options));
  for (const int size : {2, 3, 4}) {
    SCOPED_TRACE(size);
    const std::vector<Trained> members = trained_by(size, data, options);
    for (const Trained& member : members) {
      EXPECT_EQ(member.weights, members[0].weights);
      for (std::size_t e = 0; e < 2; ++e) {
        EXPECT_EQ(member.epochs[e].elbo, members[0].epochs[e].elbo);
        EXPECT_EQ(member.epochs[e].count, 50);
        // A loss changes by its gradient times that, in each of the weights.
        EXPECT_NEAR(member.epochs[e].elbo, one.epochs[e].elbo,
                    moved * std::sqrt(300) * largest_gradient(data, options));
      }
      for (std::size_t p = 0; p < one.weights.size(); ++p)
        for (std::size_t i = 0; i < one.weights[p].size(); ++i)
          ASSERT_NEAR(member.weights[p][i], one.weights[p][i], moved) << p << ' ' << i;
    }
  }
}

/// What tells the steps of one process from those of `many`: the largest difference of a number
/// of the model (its running estimates included), and of an epoch's ELBO; and what moved it all.
struct Apart {
  double weights = 0, elbo = 0, moved = 0;
};
Apart apart(const Trained& one, const std::vector<Trained>& many, const Trained& at_first) {
  Apart all;
  const auto largest = [](double& to, double difference) { to = std::max(to, difference); };
  for (const Trained& member : many) {
    EXPECT_EQ(member.weights, many[0].weights);
    for (std::size_t p = 0; p < one.weights.size(); ++p)
      for (std::size_t i = 0; i < one.weights[p].size(); ++i) {
        largest(all.weights, std::abs(double(member.weights[p][i]) - double(one.weights[p][i])));
        largest(all.moved, std::abs(double(one.weights[p][i]) - double(at_first.weights[p][i])));
      }
    for (std::size_t e = 0; e < one.epochs.size(); ++e) {
      EXPECT_EQ(member.epochs[e].count, one.epochs[e].count);
      EXPECT_EQ(member.epochs[e].elbo, many[0].epochs[e].elbo);
      largest(all.elbo, std::abs(member.epochs[e].elbo - one.epochs[e].elbo));
    }
  }
  return all;
}

TEST(Group, normalises_by_the_whole_batch) {
  // Batches of 12, and a last one of 2, of which some processes have a row and some none.
  const Dataset data = some_data(50);
  ModelConfig config = small();
  config.norm = "batch", config.norm_momentum = 1, config.norm_epsilon = 0.1;
  const TrainingOptions options{
      .batch = 12, .epochs = 2, .rate = Constant{Real(0.01)}, .rule = Sgd{}, .seed = 5};
  TrainingOptions none = options;
  none.epochs = 0;
  const Trained at_first = trained_by(1, data, none, config)[0];
  const Trained one = trained_by(1, data, options, config)[0];
  // As without a norm; and each of the two norms multiplies what rounding did to its argument, and
  // the gradient that comes back, by 1/σ ≤ 1/√ε, and adds to it x̂ ≤ √12 times as much.
  const double depth = 12 + 2 * (13 + 9 + 3 + 9), steps = 10, rate = 0.01;
  const double norms = square((1 + std::sqrt(12)) / std::sqrt(config.norm_epsilon));
  const double gradient = largest_gradient(data, options, config);
  const double moved = 2 * rate * steps * tolerance::sum(depth, gradient) * norms;
  for (const int size : {2, 3, 4}) {
    SCOPED_TRACE(size);
    const Apart there = apart(one, trained_by(size, data, options, config), at_first);
    EXPECT_LT(there.weights, moved);
    // A loss differs by its gradient times what the weights differ by, and by rounding of its own.
    EXPECT_LT(there.elbo, there.weights * std::sqrt(350) * gradient +
                              tolerance::sum(depth, 100) * std::sqrt(norms));
    EXPECT_GT(there.moved, 30 * moved) << "nothing was learnt";
  }
}

TEST(Group, holds_free_bits_over_the_whole_batch) {
  // A floor between the units' means: some are held, and which are is not the same in all parts.
  const Dataset data = some_data(50);
  TrainingOptions options{
      .batch = 12, .epochs = 2, .rate = Constant{Real(0.01)}, .rule = Sgd{}, .seed = 5};
  TrainingOptions none = options;
  none.epochs = 0;
  const Trained at_first = trained_by(1, data, none)[0];
  const double gradient = largest_gradient(data, options, small());
  const double depth = 12 + 2 * (13 + 9 + 3 + 9), steps = 10, rate = 0.01;
  const double moved = 2 * rate * steps * tolerance::sum(depth, gradient);
  const Trained without = trained_by(1, data, options)[0];
  options.free_bits = Real(0.1);
  const Trained one = trained_by(1, data, options)[0];
  EXPECT_GT(apart(one, {without}, at_first).weights, 30 * moved) << "no unit is free";
  for (const int size : {2, 3, 4}) {
    SCOPED_TRACE(size);
    const Apart there = apart(one, trained_by(size, data, options), at_first);
    EXPECT_LT(there.weights, moved);
    EXPECT_LT(there.elbo, there.weights * std::sqrt(300) * gradient + tolerance::sum(depth, 100));
  }
}

TEST(Group, sums_in_the_middle_of_a_step_on_any_device_and_however_it_is_planned) {
  // Importance-weighted, with dropout, clipped: what else a step may hold beside the norms.
  const Dataset data = some_data(40);
  ModelConfig config = small();
  config.norm = "batch", config.dropout = 0.3;
  TrainingOptions options{.batch = 16, .epochs = 1, .bound = Bound::iwae, .samples = 3};
  options.clip = 1, options.seed = 5;
  for (const char* const device : {"cpu", "simt"})
    for (const auto plan : {Program::Plan::fused, Program::Plan::composed}) {
      SCOPED_TRACE(device);
      options.plan = plan;
      const Trained one = trained_by(1, data, options, config, device)[0];
      const Trained two = trained_by(2, data, options, config, device)[1];
      // A norm adds x̂ ≤ √rows times an error to it.
      const double share = tolerance::sum(16 + 2 * 34, 100) * square(1 + std::sqrt(16 * 3));
      EXPECT_NEAR(two.epochs[0].elbo, one.epochs[0].elbo, share);
      EXPECT_NEAR(*two.epochs[0].bound, *one.epochs[0].bound, share);
    }
}

TEST(Group, clips_and_warms_up_and_finds_a_beta_as_one_process_does) {
  const Dataset data = some_data(60);
  TrainingOptions options{.batch = 20, .epochs = 3, .seed = 5};
  options.rule = Sgd{.momentum = Real(0.9)};
  options.clip = Real(0.5);
  for (const bool budget : {false, true}) {
    SCOPED_TRACE(budget);
    if (budget) options.budget = Budget{.nats = 1}, options.beta = Constant{1};
    else options.beta = WarmUp{.value = 1, .steps = 9};
    const Trained one = trained_by(1, data, options)[0], two = trained_by(2, data, options)[1];
    // Nine steps of 1e-3 times 0.5 / (1 - 0.9) at most, of which rounding has its share; the
    // losses lie within some tens of nats of each other.
    const double share = tolerance::sum(20 + 2 * 34, 100);
    for (std::size_t e = 0; e < 3; ++e) EXPECT_NEAR(two.epochs[e].elbo, one.epochs[e].elbo, share);
    EXPECT_NEAR(two.beta, one.beta, share);
    EXPECT_GT(std::abs(one.epochs[2].elbo - one.epochs[0].elbo), 10 * share);
  }
}

TEST(Group, goes_on_with_what_another_number_of_processes_left) {
  const Dataset data = some_data(48);
  const TrainingOptions options{.batch = 12, .rule = Sgd{}, .seed = 5};
  const Device device = Device::cpu();
  Batches batches(device, data, 5);
  const Model model(device, small(), 5);
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  trainer.run_to(6);
  const std::vector<double> totals = trainer.totals();
  std::vector<std::vector<Real>> stored;
  for (const Parameter& p : model.parameters()) stored.push_back(p.tensor.read());
  const Means whole = trainer.epoch();

  std::vector<Means> seen(3);
  by_threads(3, [&](Group& group) {
    TrainingOptions own = options;
    own.group = &group;
    const Device there = Device::cpu();
    Batches part(there, data, 5);
    const Model copy(there, small(), 5);
    for (std::size_t p = 0; p < stored.size(); ++p) copy.parameters()[p].tensor.write(stored[p]);
    Trainer goes_on(Trainer::terms_of(copy, own), copy.parameters(), part, own);
    goes_on.resume(1, 6, 24, totals);
    seen[std::size_t(group.rank())] = goes_on.epoch();
  });
  for (const Means& means : seen) {
    EXPECT_EQ(means.count, 48);
    EXPECT_NEAR(means.elbo, whole.elbo, tolerance::sum(12 + 2 * 34, 100));
  }
}

TEST(Group, sums_by_nccl_take_the_same_steps_as_through_the_host) {
  ModelConfig config = small();
  config.norm = "batch";
  const TrainingOptions options{.batch = 12, .epochs = 2, .free_bits = Real(0.1), .seed = 5};
  for (const int size : {2, 3}) {
    const std::vector<Trained> by_host = trained_by(size, some_data(50), options, config);
    const std::vector<Trained> by_nccl =
        trained_by(size, some_data(50), options, config, "cpu", true);
    for (std::size_t p = 0; p < by_host.size(); ++p) {
      EXPECT_EQ(by_nccl[p].weights, by_host[p].weights);
      EXPECT_EQ(by_nccl[p].epochs[1].elbo, by_host[p].epochs[1].elbo);
    }
  }
}

TEST(Nccl, sums_numbers_and_totals_where_they_lie) {
  by_threads(3, [](Group& group) {
    const DeviceSums by =
        sums_by_nccl(group, "gpu " + std::to_string(group.rank()), nullptr, ELBO_NCCL);
    ASSERT_TRUE(by.sums) << by.why_not;
    EXPECT_TRUE(by.sums->enqueues());
    const double rank = group.rank();
    std::vector<Real> a(8, Real(rank)), b(4, Real(rank * rank));
    const std::vector<double> own{rank, 1};
    std::vector<double> all(2);
    by.sums->run({.numbers = {{a.data(), 2, 3, 4}, {b.data(), 1, 4, 4}},
                  .own = own.data(),
                  .all = all.data(),
                  .count = 2,
                  .by = by.sums.get()});
    EXPECT_EQ(a, std::vector<Real>(8, 3));
    EXPECT_EQ(b, std::vector<Real>(4, 5));
    EXPECT_EQ(all, (std::vector<double>{3, 3}));
    EXPECT_EQ(own, (std::vector<double>{rank, 1}));
  });
}

TEST(Nccl, is_not_taken_where_one_cannot_and_all_know_why) {
  const auto why = [](int size, const std::vector<std::string>& gpus,
                      const std::function<std::string(int rank)>& library) {
    std::vector<std::string> all(static_cast<std::size_t>(size));
    by_threads(size, [&](Group& group) {
      const auto rank = std::size_t(group.rank());
      const DeviceSums by = sums_by_nccl(group, gpus[rank], nullptr, library(group.rank()));
      all[rank] = by.sums ? "all is well" : by.why_not;
    });
    for (const std::string& one : all) EXPECT_EQ(one, all[0]);
    return all[0];
  };
  const auto there = [](int) { return std::string(ELBO_NCCL); };
  EXPECT_EQ(why(2, {"", ""}, there), "");
  EXPECT_EQ(why(3, {"a", "b", "c"}, there), "all is well");
  EXPECT_EQ(why(3, {"a", "", "c"}, there), "process 1 has no GPU");
  EXPECT_EQ(why(3, {"a", "b", "a"}, there), "processes 0 and 2 share a GPU");
  EXPECT_EQ(why(4, {"a", "b", "c", "d"}, there),
            "process 0: ncclCommInitRank: invalid usage (of the stand-in)");
  const auto second = [](const std::string& name) {
    return [name](int rank) { return rank == 1 ? name : std::string(ELBO_NCCL); };
  };
  const std::string missing = why(2, {"a", "b"}, second("libnccl_of_nowhere.so"));
  EXPECT_EQ(missing.find("process 1: libnccl_of_nowhere.so: cannot open"), 0u) << missing;
  EXPECT_EQ(why(2, {"a", "b"}, second(ELBO_NCCL_WITHOUT_SUMS)),
            std::string("process 1: ") + ELBO_NCCL_WITHOUT_SUMS + " has no ncclAllReduce");
  EXPECT_EQ(
      why(2, {"a", "b"}, second(ELBO_NCCL_OLD)),
      std::string("process 1: ") + ELBO_NCCL_OLD + " is version 20804, expected 20906 or later");
}

TEST(Group, refuses_fewer_data_than_processes) {
  try {
    trained_by(2, some_data(40), {.batch = 1});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a batch of 1 for 2 processes"), std::string::npos);
  }
}

TEST(Group, tells_all_of_a_loss_that_is_not_finite) {
  const Dataset data = some_data(40);
  int told = 0;
  std::mutex counting;
  by_threads(2, [&](Group& group) {
    const Device device = Device::cpu();
    Batches batches(device, data, 5);
    const Model model(device, small(), 5);
    const TrainingOptions options{.batch = 10,
                                  .rate = Constant{std::numeric_limits<Real>::max()},
                                  .rule = Sgd{},
                                  .seed = 5,
                                  .group = &group};
    Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
    try {
      trainer.epoch([](const Means&) { return true; });
    } catch (const NotFinite&) {
      const std::lock_guard one(counting);
      ++told;
    }
  });
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace elbo::test
