#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "bench/cases.h"

namespace elbo {

long trained_numbers(const Model&);

/// A case as the trainer would run it, step by step.
class Training {
 public:
  struct Options {
    Program::Plan plan = Program::Plan::fused;
    Tier tier = Tier::graph;
    Real rate = Real(1e-3);  // 0: the weights stay as they are, whatever is run how often
    Real clip = 0;
  };
  Training(const Device&, const Case&, Options);
  Training(const Training&) = delete;

  /// Runs so many steps, beginning again at the first datum after the last.
  void run(int steps);
  /// So many steps, operation by operation: the seconds of each one's median.
  std::vector<double> profile(int steps);
  /// Puts the place in the data back to the first.
  void rewind();
  /// The mean loss, in nats per datum, of the steps since this was last asked.
  double loss();

  const Program& program() const { return step_->program(); }
  Tier tier() const { return step_->tier(); }
  long parameters() const { return trained_numbers(*model_); }

 private:
  /// The steps to the last datum, at most so many; and then the first again.
  void each_pass(int steps, const std::function<void(int)>& some);

  int batch_, samples_;
  std::uint64_t taken_ = 0;
  std::unique_ptr<Batches> batches_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::size_t terms_ = 0;
  std::unique_ptr<DeviceArray<double>> totals_;  // of each of `terms_`, then the rows of the first
  std::unique_ptr<Outcomes> outcomes_;
  std::unique_ptr<Step> step_;
};

}  // namespace elbo
