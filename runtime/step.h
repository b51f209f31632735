#pragma once
#include <functional>

#include "runtime/fastest.h"
#include "runtime/program.h"

namespace elbo {

/// How a planned step is launched on a GPU.
///
/// automatic   graph; where the step can be phases of one kernel as well, as fast as any of the
///             others, which all end in the same bits: long calls try them in turns
/// graph       its operations as one graph, or several steps as one
/// persistent  as phases of one kernel that runs many steps (kernels/cuda/persistent.cuh): for
///             small models and batches, whose step is mostly launches.  Not for every step: see
///             Step.  A host has no launches to save; there the two are the same.
/// cluster     the same kernel on one cluster of thread blocks, 16 or 8 multiprocessors, which meet
///             between phases at the hardware's barrier: for the smallest steps, where meeting
///             costs more than the other multiprocessors bring.  From sm_90 on.
enum class Tier { automatic, graph, persistent, cluster };

/// Operations that are recorded once, planned once, and then run as often as the step is called.
///
///     Step step(device, [&] { backward(model.loss(batch)); optimizer.step(); });
///     for (...) step();
///
/// The body runs at the construction, on the host, and computes nothing: it leaves the list of
/// operations.  Whatever changes between two calls is in device memory.  On a GPU the first call
/// launches the operations one by one, the second records them as a graph, every later one is a
/// single launch; step(n) is the same as n calls, in fewer launches.  Sums over processes that pass
/// through the host (GroupSums::enqueues) stand between graphs.
///
/// An automatic step whose operations can be phases, of products of at most 512 rows, is planned
/// unchained, and tries its ways in calls of steps_a_trial or more; those of fewer leave it a
/// graph.
///
/// Errors: a persistent step, of the grid or a cluster, on the cpu, in bf16, or of an operation
/// that is no phase: clipped gradients, products of the large tile or a library's, composed
/// operations, sums over processes; a cluster on a device without.
class Step {
 public:
  static constexpr int steps_a_graph = 16, steps_a_trial = 1 + 3 * steps_a_graph;

  Step(Device, const std::function<void()>& body, Program::Plan = Program::Plan::fused,
       Tier = Tier::automatic, const Together& = {});
  void operator()(int times = 1);
  /// The same, launched as this tier says: one of tiers().
  void run(Tier, int times);
  const Program& program() const { return program_; }
  /// How it can be launched, and how the next call will launch it.
  const std::vector<Tier>& tiers() const { return tiers_; }
  Tier tier() const { return tiers_[std::size_t(fastest_.way())]; }

 private:
  /// Operations first … last - 1, so many times; a recording of them, unless the host is needed.
  struct Stretch {
    std::size_t first, last;
    int times = 1;
    bool recordable = true;
    std::unique_ptr<elbo::Recording> recording{};
  };
  void run(Stretch&);
  double seconds_of_trial(Tier);

  Program program_;
  std::vector<Tier> tiers_;
  Fastest fastest_{1};
  bool warm_ = false;
  std::vector<Stretch> one_, several_;  // steps; the latter empty where the host is needed
  std::unique_ptr<Phases> phases_;
  std::unique_ptr<DeviceArray<unsigned char>> table_;
  std::unique_ptr<DeviceArray<unsigned>> arrived_;
};

}  // namespace elbo
