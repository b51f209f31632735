// Threads in place of processes: the sums are the same, and so is what may go wrong.
#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <thread>

#include "models/trainer.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

/// Members add up in the order of their ranks.
class Meeting {
 public:
  explicit Meeting(int size) : size(size), own_(std::size_t(size)), meet_(size) {}

  void sum(int rank, std::vector<double>& numbers) {
    own_[std::size_t(rank)] = &numbers;
    meet_.arrive_and_wait();
    std::vector<double> sum(numbers.size());
    for (const auto* part : own_)
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part->at(i);
    meet_.arrive_and_wait();
    numbers = sum;
  }

  const int size;

 private:
  std::vector<std::vector<double>*> own_;
  std::barrier<> meet_;
};

class Member : public Group {
 public:
  Member(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_.size; }
  void sum(float* numbers, std::size_t count) override { add(numbers, count); }
  void sum(double* numbers, std::size_t count) override { add(numbers, count); }
  std::string of_first(const std::string& text) override { return text; }

 private:
  template <class T>
  void add(T* numbers, std::size_t count) {
    std::vector<double> wide(numbers, numbers + count);
    meeting_.sum(rank_, wide);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = T(wide[i]);
  }
  Meeting& meeting_;
  int rank_;
};

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
std::vector<Trained> trained_by(int size, const Dataset& data, TrainingOptions options,
                                const ModelConfig& config = small(),
                                const std::string& device = "cpu") {
  Meeting meeting(size);
  std::vector<Trained> all(static_cast<std::size_t>(size));
  std::vector<std::string> errors(all.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank, options]() mutable {
      Member member(meeting, rank);
      if (size > 1) options.group = &member;
      try {
        const Device own = Device::named(device, Precision::fp32);
        Batches batches(own, data, 5);
        const Model model(own, config, 5);
        Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
        std::vector<Means> epochs;
        for (int e = 0; e < options.epochs; ++e) epochs.push_back(trainer.epoch());
        all[std::size_t(rank)] = result(trainer, model, epochs, options);
      } catch (const Error& error) {
        errors[std::size_t(rank)] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors)
    if (!error.empty()) fail(error);
  return all;
}

/// The largest norm of the gradient of any datum in the first step.
double largest_gradient(const Dataset& data, const TrainingOptions& options) {
  const Device device = Device::cpu();
  Batches batches(device, data, 5);
  const Model model(device, small(), 5);
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

  Meeting meeting(3);
  std::vector<Means> seen(3);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank)
    threads.emplace_back([&, rank] {
      Member member(meeting, rank);
      TrainingOptions own = options;
      own.group = &member;
      const Device there = Device::cpu();
      Batches part(there, data, 5);
      const Model copy(there, small(), 5);
      for (std::size_t p = 0; p < stored.size(); ++p) copy.parameters()[p].tensor.write(stored[p]);
      Trainer goes_on(Trainer::terms_of(copy, own), copy.parameters(), part, own);
      goes_on.resume(1, 6, 24, totals);
      seen[std::size_t(rank)] = goes_on.epoch();
    });
  for (std::thread& thread : threads) thread.join();
  for (const Means& means : seen) {
    EXPECT_EQ(means.count, 48);
    EXPECT_NEAR(means.elbo, whole.elbo, tolerance::sum(12 + 2 * 34, 100));
  }
}

TEST(Group, refuses_what_ties_the_data_of_a_batch_together) {
  const Dataset data = some_data(40);
  const auto said = [&](const TrainingOptions& options, const ModelConfig& config) {
    try {
      trained_by(2, data, options, config);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  ModelConfig normed = small();
  normed.norm = "batch";
  EXPECT_NE(said({.batch = 10}, normed).find("of a whole batch"), std::string::npos);
  EXPECT_NE(said({.batch = 10, .free_bits = Real(0.1)}, small()).find("of a whole batch"),
            std::string::npos);
  EXPECT_NE(said({.batch = 1}, small()).find("a batch of 1 for 2 processes"), std::string::npos);
  normed.norm = "layer";
  EXPECT_EQ(said({.batch = 10, .epochs = 1}, normed), "");
}

TEST(Group, tells_all_of_a_loss_that_is_not_finite) {
  const Dataset data = some_data(40);
  Meeting meeting(2);
  int told = 0;
  std::vector<std::thread> threads;
  std::mutex counting;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([&, rank] {
      Member member(meeting, rank);
      const Device device = Device::cpu();
      Batches batches(device, data, 5);
      const Model model(device, small(), 5);
      const TrainingOptions options{.batch = 10,
                                    .rate = Constant{std::numeric_limits<Real>::max()},
                                    .rule = Sgd{},
                                    .seed = 5,
                                    .group = &member};
      Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
      try {
        trainer.epoch([](const Means&) { return true; });
      } catch (const NotFinite&) {
        const std::lock_guard one(counting);
        ++told;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace elbo
