#pragma once
#include <functional>

#include "runtime/program.h"

namespace elbo {

/// Operations that are recorded once, planned once, and then run as often as the step is called.
///
///     Step step(device, [&] { backward(model.loss(batch)); optimizer.step(); });
///     for (...) step();
///
/// The body runs at the construction, on the host, and computes nothing: it leaves the list of
/// operations.  Whatever changes between two calls is in device memory.  On a GPU the first call
/// launches the operations one by one, the second records them as a graph, every later one is a
/// single launch.
class Step {
 public:
  Step(Device, const std::function<void()>& body, Program::Plan = Program::Plan::fused);
  void operator()();
  const Program& program() const { return program_; }

 private:
  Program program_;
  bool warm_ = false, recordable_ = true;
  std::unique_ptr<elbo::Recording> recording_;
};

}  // namespace elbo
