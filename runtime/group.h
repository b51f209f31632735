#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "kernels/ops/group_sum.h"
#include "runtime/device.h"

namespace elbo {

/// Processes that train one model together, each with a part of every batch (TrainingOptions).
/// All of them make the same calls in the same order.
struct Group {
  virtual ~Group() = default;
  virtual int rank() const = 0;  // 0 … size() - 1
  virtual int size() const = 0;

  /// Every number becomes its sum over the processes, of the same bits in each.
  virtual void sum(float* numbers, std::size_t count) = 0;
  virtual void sum(double* numbers, std::size_t count) = 0;
  /// The text that process 0 has.
  virtual std::string of_first(const std::string&) = 0;

  /// Whether it is so in any process.
  bool any(bool here) {
    double count = here;
    sum(&count, 1);
    return count > 0;
  }
};

/// Sums by the group itself, in the host's memory: what lies on a GPU is copied there and back.
class SumsByHost : public GroupSums {
 public:
  SumsByHost(Device device, Group& group) : device_(std::move(device)), group_(group) {}
  void run(const GroupSum&) override;
  bool enqueues() const override { return false; }

 private:
  Device device_;
  Group& group_;
  std::vector<Real> staged_;
  std::vector<double> totals_;
};

}  // namespace elbo
