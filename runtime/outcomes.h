#pragma once
#include <functional>

#include "kernels/state.h"
#include "runtime/device.h"

namespace elbo {

/// What the steps of a training came to, read by the host while later steps run: a ring in memory
/// that both reach (Outcome in kernels/state.h), written by the steps' objective.
///
/// Nothing here waits for the device or holds it up.  Whoever reads too seldom misses some; they
/// are counted.
class Outcomes {
 public:
  explicit Outcomes(const Device&);
  ~Outcomes();
  Outcomes(const Outcomes&) = delete;

  /// For objective().
  Outcome* ring() const { return ring_; }

  /// What came is forgotten; the next step to come is steps + 1.  Waits for the device.
  void restart(std::uint64_t steps);
  /// Calls `each` with the outcome of every step that has ended since the last call and is still
  /// kept, in their order.
  void take(const std::function<void(const Outcome&)>& each);

  /// The last step that has come, from 1; 0: none.
  std::uint64_t last() const { return last_; }
  /// How many steps came and were written over before they were taken.
  std::uint64_t missed() const { return missed_; }

 private:
  Device device_;
  Outcome* ring_;
  std::uint64_t last_ = 0, missed_ = 0;
};

}  // namespace elbo
