#include "nn/device_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <utility>

namespace elbo {

namespace {

bool whole_up_to(const std::vector<float>& values, float most) {
  return std::all_of(values.begin(), values.end(),
                     [most](float v) { return v >= 0 && v <= most && v == std::floor(v); });
}

/// Copies numbers in another type, which holds them exactly.
template <class To, class From>
void copy_as(std::uint8_t* to, const From* from, std::uint64_t count) {
  std::transform(from, from + count, reinterpret_cast<To*>(to), [](From v) { return To(v); });
}

/// The share of entries that are not 0, by some of the rows.
double filled(const Dataset& data) {
  const double all = double(data.rows) * data.columns;
  if (data.type == Dataset::Type::csr) return double(data.indices.size()) / all;
  const long looks = std::min(data.rows, 1024L);
  long found = 0;
  for (long i = 0; i < looks; ++i) {
    const auto at = std::ptrdiff_t(i * (data.rows / looks)) * data.columns;
    const auto count = [&](const auto& values) {
      found += data.columns - std::count(&values[at], &values[at] + data.columns, 0);
    };
    if (data.type == Dataset::Type::u8) count(data.bytes);
    else count(data.floats);
  }
  return double(found) / (double(looks) * data.columns);
}

void pack_bits(std::uint8_t* to, const std::uint8_t* bytes, int count) {
  for (int first = 0; first < count; first += 8) {
    unsigned bits = 0;
    for (int i = 0; i < std::min(8, count - first); ++i) bits |= unsigned(bytes[first + i]) << i;
    to[first / 8] = std::uint8_t(bits);
  }
}

}  // namespace

RowFormat::RowFormat(const Dataset& data) : sparse(data.type == Dataset::Type::csr) {
  using Type = Source::Type;
  if (sparse) {
    type = whole_up_to(data.floats, 255)     ? Type::u8
           : whole_up_to(data.floats, 65535) ? Type::u16
                                             : Type::f32;
    value = type == Type::u8 ? 1 : type == Type::u16 ? 2 : 4;
    index = data.columns < Source::wide_from ? 2 : 4;
    return;
  }
  if (data.type == Dataset::Type::u8) {
    const bool binary = std::all_of(data.bytes.begin(), data.bytes.end(),
                                    [](std::uint8_t byte) { return byte <= 1; });
    type = binary ? Type::bits : Type::u8;
  }
  stride = Source::dense_stride(type, data.columns);
}

double RowFormat::bytes(double rows, double listed) const {
  if (!sparse) return rows * double(stride);
  return (rows + 1) * sizeof(std::uint64_t) + listed * double(value + index);
}

DeviceRows::DeviceRows(Device device, const Dataset& data, const RowFormat& format, long rows,
                       std::uint64_t listed)
    : device_(device),
      format_(format),
      staging_bytes_(std::max<std::size_t>(
          {std::size_t(format.stride), sizeof(std::uint64_t),
           std::size_t(std::min(0x1p23, format.bytes(double(rows), double(listed))))})),
      values_(device, format.sparse ? listed * format.value : std::size_t(rows) * format.stride),
      indices_(device, listed * format.index),
      starts_(device, format.sparse ? std::size_t(rows) + 1 : 0) {
  for (std::uint8_t*& half : staging_)
    half = static_cast<std::uint8_t*>(device.backend().allocate_staging(staging_bytes_));
  device.backend().hold_aside();  // the memory is zeroed first
  source_ = {.type = format.type,
             .data = values_.data(),
             .rows = data.rows,
             .columns = data.columns,
             .stride = format.stride,
             .scale = Real(data.scale),
             .filled = Real(filled(data))};
  if (format.sparse) source_.starts = starts_.data(), source_.indices = indices_.data();
}

DeviceRows::~DeviceRows() {
  try {
    close();
  } catch (const std::exception&) {  // of a device that has failed
  }
}

void DeviceRows::close() {
  wait();
  for (std::uint8_t*& half : staging_)
    if (half) device_.backend().release_staging(std::exchange(half, nullptr));
}

void DeviceRows::put(const Dataset& data, long first, long count, long row, std::uint64_t entry) {
  if (format_.sparse) put_lists(data, first, count, row, entry);
  else put_dense(data, first, count, row);
}

/// In pieces, by fill(memory, first unit, units): one half of the staging memory is filled while
/// the other is copied.
template <class Fill>
void DeviceRows::send(std::uint8_t* to, std::uint64_t units, std::size_t unit, Fill&& fill) {
  const std::uint64_t most = staging_bytes_ / unit;
  for (std::uint64_t first = 0; first < units; first += most) {
    const std::uint64_t count = std::min(most, units - first);
    std::uint8_t* const half = staging_[next_];
    next_ = 1 - next_;
    fill(half, first, count);
    device_.backend().wait_aside();
    device_.backend().copy_aside(to + first * unit, half, count * unit);
  }
}

void DeviceRows::put_dense(const Dataset& data, long first, long count, long row) {
  const std::size_t stride = std::size_t(format_.stride), columns = std::size_t(data.columns);
  send(values_.data() + std::size_t(row) * stride, std::uint64_t(count), stride,
       [&](std::uint8_t* to, std::uint64_t from, std::uint64_t rows) {
         for (std::uint64_t r = 0; r < rows; ++r, to += stride) {
           std::memset(to + stride - 16, 0, 16);
           const std::size_t at = (std::size_t(first) + from + r) * columns;
           if (format_.type == Source::Type::f32)
             std::memcpy(to, &data.floats[at], columns * sizeof(float));
           else if (format_.type == Source::Type::u8) std::memcpy(to, &data.bytes[at], columns);
           else pack_bits(to, &data.bytes[at], data.columns);
         }
       });
}

void DeviceRows::put_lists(const Dataset& data, long first, long count, long row,
                           std::uint64_t entry) {
  const std::uint64_t begin = data.starts[first], listed = data.starts[first + count] - begin;
  send(values_.data() + entry * format_.value, listed, format_.value,
       [&](std::uint8_t* to, std::uint64_t from, std::uint64_t n) {
         const float* const values = data.floats.data() + begin + from;
         if (format_.type == Source::Type::u8) copy_as<std::uint8_t>(to, values, n);
         else if (format_.type == Source::Type::u16) copy_as<std::uint16_t>(to, values, n);
         else copy_as<float>(to, values, n);
       });
  send(indices_.data() + entry * format_.index, listed, format_.index,
       [&](std::uint8_t* to, std::uint64_t from, std::uint64_t n) {
         const std::uint32_t* const indices = data.indices.data() + begin + from;
         if (format_.index == 2) copy_as<std::uint16_t>(to, indices, n);
         else copy_as<std::uint32_t>(to, indices, n);
       });
  send(reinterpret_cast<std::uint8_t*>(starts_.data() + row), std::uint64_t(count) + 1,
       sizeof(std::uint64_t), [&](std::uint8_t* to, std::uint64_t from, std::uint64_t n) {
         const std::uint64_t* const starts = data.starts.data() + first + from;
         std::transform(starts, starts + n, reinterpret_cast<std::uint64_t*>(to),
                        [&](std::uint64_t start) { return start - begin + entry; });
       });
}

}  // namespace elbo
