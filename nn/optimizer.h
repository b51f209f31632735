#pragma once
#include <vector>

#include "nn/module.h"

namespace elbo {

/// The step counter and the place in the data, in device memory: what differs between two calls
/// of a planned step.
class Progress {
 public:
  explicit Progress(const Device& device)
      : memory_(std::make_shared<DeviceArray<StepState>>(device, 1)) {}
  StepState* state() const { return memory_->data(); }
  StepState read() const {
    StepState state;
    memory_->read(&state, 1);
    return state;
  }
  void write(const StepState& state) const { memory_->write(&state, 1); }

 private:
  std::shared_ptr<DeviceArray<StepState>> memory_;
};

/// Records that a step is over: the counters move on by one step and `rows` data, and before them a
/// weight that is found, if there is one.
void advance(const Device&, const Progress&, int rows, const Ascent& = {});

/// Changes the trained parameters by their gradients (Adam, AdamW, SGD;
/// kernels/math/update_rules.h).
///
/// step() is recorded once and takes the gradients that backward() left; its rate is the
/// schedule's at the step counter.  With `clip` > 0 all gradients are scaled by
/// min(1, clip / their joint norm) first, which keeps them from being fused into their products.
class Optimizer {
 public:
  Optimizer(std::vector<Parameter>, UpdateRule, Schedule rate, Progress, Real clip = 0);
  void step();

  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// The rule's memory of parameter i, of its shape; empty if it is not trained.
  const Tensor& first_moment(std::size_t i) const { return moments_[i].first; }
  const Tensor& second_moment(std::size_t i) const { return moments_[i].second; }

 private:
  std::vector<Parameter> parameters_;
  UpdateRule rule_;
  Schedule rate_;
  Progress progress_;
  Real clip_;
  std::vector<std::pair<Tensor, Tensor>> moments_;
};

}  // namespace elbo
