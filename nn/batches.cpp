#include "nn/batches.h"

#include <numeric>

#include "runtime/error.h"

namespace elbo {

Batches::Batches(Device device, const Dataset& data, std::uint64_t seed)
    : device_(device), seed_(seed), progress_(device) {
  require(data.rows > 0 && data.columns > 0, data.source, ": has no data");
  require(data.rows < (1L << 31), data.source, ": ", data.rows,
          " rows, at most 2^31 - 1 are handled");
  const bool u8 = data.type == Dataset::Type::u8;
  const std::size_t bytes = std::size_t(data.columns) * (u8 ? 1 : sizeof(float));
  const std::size_t stride = (bytes + 15) / 16 * 16;
  const auto* const from = u8 ? data.bytes.data()
                              : reinterpret_cast<const std::uint8_t*>(data.floats.data());
  std::vector<std::uint8_t> padded(std::size_t(data.rows) * stride);
  for (long r = 0; r < data.rows; ++r)
    std::copy_n(from + std::size_t(r) * bytes, bytes, &padded[std::size_t(r) * stride]);
  data_ = std::make_shared<DeviceArray<std::uint8_t>>(device, padded.size());
  data_->write(padded.data(), padded.size());
  source_ = {u8 ? Source::Type::u8 : Source::Type::f32, data_->data(), data.rows, data.columns,
             Real(data.scale), std::int64_t(stride)};
  order_ = std::make_shared<DeviceArray<std::uint32_t>>(device, std::size_t(data.rows));
  in_order();
}

void Batches::shuffle(std::uint32_t epoch, std::uint32_t position, std::uint64_t step) {
  std::vector<std::uint32_t> order(std::size_t(source_.rows));
  std::iota(order.begin(), order.end(), 0u);
  const std::uint32_t stream = std::uint32_t(Stream::shuffle) << 24;
  for (std::uint32_t i = std::uint32_t(order.size()) - 1; i > 0; --i) {
    const std::uint32_t word = Philox::at(i / 4, 0, stream, epoch, seed_).word[i % 4];
    std::swap(order[i], order[std::uint64_t(word) * (i + 1) >> 32]);
  }
  order_->write(order.data(), order.size());
  progress_.write({step, epoch, position});
}

void Batches::in_order(std::uint32_t position) {
  std::vector<std::uint32_t> order(std::size_t(source_.rows));
  std::iota(order.begin(), order.end(), 0u);
  order_->write(order.data(), order.size());
  progress_.write({0, 0, position});
}

Tensor Batches::next(int rows) const {
  require(rows > 0 && rows <= source_.rows, "next: ", rows, " rows of a data set of ",
          source_.rows);
  const Tensor x = Tensor::transient(device_, {rows, source_.columns});
  Program::current(device_).add(Gather{source_, batch(), x.matrix()});
  return x;
}

}  // namespace elbo
