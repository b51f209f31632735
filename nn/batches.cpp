#include "nn/batches.h"

#include <algorithm>

#include "runtime/error.h"

namespace elbo {

Batches::Batches(Device device, const Dataset& data, std::uint64_t seed,
                 std::optional<std::size_t> memory)
    : device_(device), seed_(seed), progress_(device) {
  require(data.rows > 0 && data.columns > 0, data.source, ": has no data");
  require(data.rows < (1L << 31), data.source, ": ", data.rows,
          " rows, at most 2^31 - 1 are handled");
  require_lists(data);
  order_ = std::make_shared<DeviceArray<std::uint32_t>>(device, std::size_t(data.rows));
  if (!memory) memory = device.backend().free_memory() / 4 * 3;
  const RowFormat format(data);
  const std::uint64_t listed = data.indices.size();
  if (format.bytes(double(data.rows), double(listed)) > double(*memory)) {
    streamed_ = memory;
    chunks_ = std::make_shared<Chunks>(device, data, format, *memory);
    source_ = chunks_->source();
  } else {
    all_ = std::make_shared<DeviceRows>(device, data, format, data.rows, listed);
    all_->put(data, 0, data.rows, 0, 0);
    all_->close();
    source_ = all_->source();
  }
  if (data.given_columns > 0) {
    require(long(data.given.size()) == data.rows * data.given_columns, data.source, ": ",
            data.given.size(), " given numbers for ", data.rows, " rows of ", data.given_columns);
    given_.columns = data.given_columns, given_.rows = data.rows;
    given_.stride = Source::dense_stride(Source::Type::f32, data.given_columns);
    const std::size_t stride = std::size_t(given_.stride) / sizeof(float);
    std::vector<float> padded(stride * std::size_t(data.rows));
    for (long r = 0; r < data.rows; ++r)
      std::copy_n(&data.given[std::size_t(r * data.given_columns)], data.given_columns,
                  &padded[std::size_t(r) * stride]);
    given_memory_ = std::make_shared<DeviceArray<float>>(device, padded.size());
    given_memory_->write(padded.data(), padded.size());
    given_.data = given_memory_->data();
    given_numbers_ = data.given;
  }
  in_order();
}

void Batches::shuffle(std::uint32_t epoch, std::uint32_t position, std::uint64_t step) {
  if (chunks_) {
    chunks_->shuffle(order_->data(), seed_, epoch);
  } else {
    const auto count = std::uint32_t(source_.rows);
    device_.backend().count_up(order_->data(), 0, count);
    device_.backend().shuffle(order_->data(), count, {seed_, epoch});
  }
  progress_.write({step, epoch, position});
}

void Batches::in_order(std::uint32_t position) {
  if (chunks_) chunks_->in_order(order_->data());
  else device_.backend().count_up(order_->data(), 0, std::uint32_t(source_.rows));
  progress_.write({0, 0, position});
}

Tensor Batches::condition(int rows, int first) const {
  if (given_.columns == 0) return {};
  const Tensor given = Tensor::transient(device_, {rows, given_.columns});
  Program::current(device_).add(Gather{given_, batch(first), given.matrix()});
  return given;
}

std::vector<std::uint32_t> Batches::data_at(long position, int rows) const {
  require(position >= 0 && rows >= 0 && position + rows <= source_.rows, "data_at: ", position,
          " and ", rows, " more of a data set of ", source_.rows);
  std::vector<std::uint32_t> data(static_cast<std::size_t>(rows));
  device_.backend().copy_to_host(data.data(), order_->data() + position,
                                 data.size() * sizeof(std::uint32_t));
  return data;
}

Tensor Batches::next(int rows, int first) const {
  require(rows > 0 && first >= 0 && first + rows <= source_.rows, "next: ", rows,
          " rows of a data set of ", source_.rows);
  require(!chunks_ || first + rows <= chunks_->least(), "next: ", first + rows,
          " rows, but the memory for data, ", streamed_.value_or(0), " bytes, allows batches of ",
          chunks_ ? chunks_->least() : 0);
  const Tensor x = Tensor::transient(device_, {rows, source_.columns});
  Program::current(device_).add(Gather{source_, batch(first), x.matrix()});
  return x;
}

}  // namespace elbo
