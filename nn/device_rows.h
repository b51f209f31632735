#pragma once
#include <array>
#include <memory>

#include "data/dataset.h"
#include "kernels/ops/gather.h"
#include "runtime/device.h"

namespace elbo {

/// How the rows of a data set are stored on a device: in the narrowest types that hold them
/// exactly.  Bytes that are all 0 or 1 become bits; counts in lists (csr) become u8 or u16 beside
/// columns of 16 bits (Source).
struct RowFormat {
  Source::Type type = Source::Type::f32;
  bool sparse = false;
  std::int64_t stride = 0;  // of a dense row
  std::size_t value = 0;    // bytes of a listed value
  std::size_t index = 0;    // and of its column

  explicit RowFormat(const Dataset&);
  /// Bytes of that many rows that list so many values.
  double bytes(double rows, double listed) const;
};

/// Room for rows of a data set in device memory.
class DeviceRows {
 public:
  /// For `rows` rows, which list at most `listed` values together.
  DeviceRows(Device, const Dataset&, const RowFormat&, long rows, std::uint64_t listed);
  ~DeviceRows();
  DeviceRows(const DeviceRows&) = delete;
  DeviceRows& operator=(const DeviceRows&) = delete;

  const Source& source() const { return source_; }

  /// Copies data first ... first + count - 1 to row `row` and those behind it, and what they list
  /// to entry `entry` and those behind it.  Beside the operations (Backend::copy_aside).
  void put(const Dataset&, long first, long count, long row, std::uint64_t entry);
  /// Waits until all that was put is there.
  void wait() { device_.backend().wait_aside(); }
  /// And gives back what only put needs: there will be no more.
  void close();

 private:
  template <class Fill>
  void send(std::uint8_t* to, std::uint64_t units, std::size_t unit, Fill&& fill);
  void put_dense(const Dataset&, long first, long count, long row);
  void put_lists(const Dataset&, long first, long count, long row, std::uint64_t entry);

  Device device_;
  RowFormat format_;
  std::size_t staging_bytes_;
  DeviceArray<std::uint8_t> values_, indices_;
  DeviceArray<std::uint64_t> starts_;
  std::array<std::uint8_t*, 2> staging_{};
  int next_ = 0;
  Source source_;
};

}  // namespace elbo
