#include "bench/synthetic.h"

#include <algorithm>

#include "kernels/cpu/thread_pool.h"

namespace elbo {

namespace {

std::uint64_t random_bits(long row, int columns, int column) {
  return scatter(std::uint64_t(row) * std::uint64_t(columns) + std::uint64_t(column) + 1) >> 40;
}

template <class F>
void each_row(long rows, const F& f) {
  constexpr long rows_each = 256;
  cpu::ThreadPool::shared().run(int((rows + rows_each - 1) / rows_each), [&](int task) {
    const long first = task * rows_each, end = std::min(rows, first + rows_each);
    for (long r = first; r < end; ++r) f(r);
  });
}

Dataset empty(Dataset::Type type, long rows, int columns, float scale) {
  Dataset data;
  data.source = "synthetic data", data.type = type;
  data.rows = rows, data.columns = columns, data.scale = scale;
  return data;
}

template <class Entry>
Dataset bytes_of(const Entry& entry, long rows, int columns, float scale) {
  Dataset data = empty(Dataset::Type::u8, rows, columns, scale);
  data.bytes.resize(std::size_t(rows) * std::size_t(columns));
  each_row(rows, [&](long r) {
    std::uint8_t* const row = &data.bytes[std::size_t(r) * std::size_t(columns)];
    for (int c = 0; c < columns; ++c) row[c] = entry(r, c);
  });
  return data;
}

Dataset lists_of(const SyntheticCells& cells, long rows) {
  Dataset data = empty(Dataset::Type::csr, rows, cells.genes, 1);
  data.starts.resize(std::size_t(rows) + 1);
  each_row(rows, [&](long r) {
    for (int c = 0; c < cells.genes; ++c) data.starts[std::size_t(r) + 1] += cells(r, c) > 0;
  });
  for (std::size_t r = 0; r < std::size_t(rows); ++r) data.starts[r + 1] += data.starts[r];
  data.indices.resize(data.starts.back()), data.floats.resize(data.starts.back());
  each_row(rows, [&](long r) {
    std::uint64_t at = data.starts[std::size_t(r)];
    for (int c = 0; c < cells.genes; ++c)
      if (const std::uint8_t count = cells(r, c); count > 0)
        data.indices[at] = std::uint32_t(c), data.floats[at++] = count;
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
  if (which.epoch) return lists_of(SyntheticCells{columns}, rows);
  if (rates_of(which.model) == RateScale::library)
    return bytes_of(SyntheticCells{columns}, rows, columns, 1);
  return bytes_of(SyntheticImages{columns}, rows, columns, 1.0f / 255);
}

}  // namespace elbo
