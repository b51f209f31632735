#include "bench/synthetic.h"

#include <algorithm>

#include "kernels/cpu/thread_pool.h"

namespace elbo {

namespace {

std::uint64_t random_bits(long row, int columns, int column) {
  return scatter(std::uint64_t(row) * std::uint64_t(columns) + std::uint64_t(column) + 1) >> 40;
}

template <class Entry>
Dataset bytes_of(const Entry& entry, long rows, int columns, float scale) {
  Dataset data;
  data.source = "synthetic data", data.type = Dataset::Type::u8;
  data.rows = rows, data.columns = columns, data.scale = scale;
  data.bytes.resize(std::size_t(rows) * std::size_t(columns));
  constexpr long rows_each = 256;
  cpu::ThreadPool::shared().run(int((rows + rows_each - 1) / rows_each), [&](int task) {
    const long first = task * rows_each, end = std::min(rows, first + rows_each);
    for (long r = first; r < end; ++r)
      for (int c = 0; c < columns; ++c)
        data.bytes[std::size_t(r) * std::size_t(columns) + std::size_t(c)] = entry(r, c);
  });
  return data;
}

}  // namespace

std::uint8_t SyntheticImages::operator()(long image, int pixel) const {
  const std::uint64_t bits = random_bits(image, pixels, pixel);
  return std::uint8_t(bits * std::uint64_t(pixel + 1) / std::uint64_t(pixels) >> 16);
}

std::uint8_t SyntheticCells::operator()(long cell, int gene) const {
  const std::uint64_t bits = random_bits(cell, genes, gene), fifth = (1 << 24) / 5;
  const std::uint64_t limit = fifth * std::uint64_t(2 * gene + 1) / std::uint64_t(2 * genes);
  std::uint8_t count = 0;
  while (count < 16 && bits < limit >> count) ++count;
  return count;
}

Dataset synthetic_data(const Case& which, long rows) {
  const int columns = which.model.observed;
  if (rates_of(which.model) == RateScale::library)
    return bytes_of(SyntheticCells{columns}, rows, columns, 1);
  return bytes_of(SyntheticImages{columns}, rows, columns, 1.0f / 255);
}

}  // namespace elbo
