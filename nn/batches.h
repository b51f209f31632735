#pragma once
#include <memory>
#include <optional>

#include "data/dataset.h"
#include "nn/chunks.h"
#include "nn/optimizer.h"

namespace elbo {

/// A data set in device memory, in the narrowest type that holds it (nn/device_rows.h), and the
/// order in which batches take it.
///
/// Nothing of a batch passes through the host: a recorded step gathers its rows from the order and
/// the place in it (Progress), converts them and moves on.
///
/// A set that does not fit is streamed (nn/chunks.h): it must outlive the batches, and before a
/// step runs, `provide` sees to it that its data are there.  The noise of a datum is the same.
class Batches {
 public:
  /// `memory`: the bytes of the device that the data may take; by default three quarters of what is
  /// free there, and on the host any number.
  /// Errors: no data; more than 2^31 - 1 rows; lists that are none (require_lists).
  Batches(Device, const Dataset&, std::uint64_t seed, std::optional<std::size_t> memory = {});

  long rows() const { return source_.rows; }
  int columns() const { return source_.columns; }
  const Device& device() const { return device_; }
  const Progress& progress() const { return progress_; }
  /// The bytes through which the data are streamed; nothing where all are in memory.
  std::optional<std::size_t> streamed() const { return streamed_; }

  /// The order of an epoch is a function of seed and epoch: by Philox keys (ShuffleKey), of
  /// streamed data within what is in memory together.  Starts at `position` and at `step` steps
  /// taken.
  void shuffle(std::uint32_t epoch, std::uint32_t position, std::uint64_t step);
  /// The data in their own order, from `position`.
  void in_order(std::uint32_t position = 0);

  /// Before steps that take data from `position` of the order on: how many of them are there, at
  /// least `rows`.
  long provide(long position, long rows) const {
    return chunks_ ? chunks_->provide(position, rows) : source_.rows - position;
  }

  /// Records the gathering of `rows` data as [rows, columns]: the next, from the `first` of them.
  Tensor next(int rows, int first = 0) const;
  /// Records the gathering of what is given of those rows, [rows, given]; nothing if nothing is.
  Tensor condition(int rows, int first = 0) const;
  /// All of that, [rows, given].
  const std::vector<float>& given() const { return given_numbers_; }
  /// The data that stand at position … position + rows - 1 of the order.
  std::vector<std::uint32_t> data_at(long position, int rows) const;
  /// Which data those are, for the noise.
  Batch batch(int first = 0) const { return {order_->data() + first, progress_.state()}; }

 private:
  Device device_;
  std::uint64_t seed_;
  std::optional<std::size_t> streamed_;
  std::shared_ptr<DeviceRows> all_;
  std::shared_ptr<Chunks> chunks_;  // instead of all_
  Source source_;
  std::shared_ptr<DeviceArray<std::uint32_t>> order_;
  std::shared_ptr<DeviceArray<float>> given_memory_;
  std::vector<float> given_numbers_;
  Source given_;  // of no columns: nothing is given
  Progress progress_;
};

}  // namespace elbo
