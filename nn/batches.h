#pragma once
#include <memory>

#include "data/dataset.h"
#include "nn/optimizer.h"

namespace elbo {

/// A data set in device memory, in its own type, and the order in which batches take it.
///
/// Nothing of a batch passes through the host: a recorded step gathers its rows from the order and
/// the place in it (Progress), converts them and moves on.
class Batches {
 public:
  Batches(Device, const Dataset&, std::uint64_t seed);

  long rows() const { return source_.rows; }
  int columns() const { return source_.columns; }
  const Device& device() const { return device_; }
  const Progress& progress() const { return progress_; }

  /// The order of an epoch is a function of seed and epoch: Fisher-Yates with Philox counters.
  /// Starts at `position` and at `step` steps taken.
  void shuffle(std::uint32_t epoch, std::uint32_t position, std::uint64_t step);
  /// The data in their own order, from `position`.
  void in_order(std::uint32_t position = 0);

  /// Records the gathering of the next `rows` data as [rows, columns].
  Tensor next(int rows) const;
  /// Which data those are, for the noise.
  Batch batch() const { return {order_->data(), progress_.state()}; }

 private:
  Device device_;
  std::uint64_t seed_;
  Source source_;
  std::shared_ptr<DeviceArray<std::uint8_t>> data_;
  std::shared_ptr<DeviceArray<std::uint32_t>> order_;
  Progress progress_;
};

}  // namespace elbo
