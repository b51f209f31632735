#pragma once
#include <cstddef>
#include <vector>

#include "kernels/matrix.h"

namespace elbo {

struct GroupSum;

/// How processes add up what lies on their devices.  All of them run the same sums in the same
/// order.
struct GroupSums {
  virtual ~GroupSums() = default;
  virtual void run(const GroupSum&) = 0;
  /// Whether run() only enqueues, as operations do: then it may be part of a recording.
  virtual bool enqueues() const = 0;
};

/// Every number becomes its sum over the processes, of the same bits in each; `all`, `count` of
/// them, that of `own`, which stay as they are.
struct GroupSum {
  std::vector<Matrix> numbers;
  const double* own = nullptr;
  double* all = nullptr;
  std::size_t count = 0;
  GroupSums* by = nullptr;
  void views(auto&& visit) {
    for (Matrix& m : numbers) visit(m, Access::update);
  }
};

}  // namespace elbo
