#include "data/lists.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/error.h"

namespace elbo {
namespace {

/// Sorts each row, sums what is of one place and drops zeros.
void join(ListedRows& lists) {
  std::vector<std::pair<std::uint32_t, float>> row;
  std::size_t kept = 0;
  for (std::size_t r = 0; r + 1 < lists.starts.size(); ++r) {
    row.clear();
    for (std::uint64_t i = lists.starts[r]; i < lists.starts[r + 1]; ++i)
      row.emplace_back(lists.columns[i], lists.values[i]);
    const auto before = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(row.begin(), row.end(), before))
      std::stable_sort(row.begin(), row.end(), before);
    lists.starts[r] = kept;
    for (auto at = row.begin(); at != row.end();) {
      const std::uint32_t column = at->first;
      double sum = at->second;
      while (++at != row.end() && at->first == column) sum += at->second;
      if (sum == 0) continue;
      lists.columns[kept] = column;
      lists.values[kept++] = float(sum);
    }
  }
  lists.starts.back() = kept;
  lists.columns.resize(kept), lists.values.resize(kept);
}

}  // namespace

void store(Dataset& data, ListedRows lists) {
  join(lists);
  const bool bytes = std::all_of(lists.values.begin(), lists.values.end(), [](float value) {
    return value >= 0 && value <= 255 && value == std::floor(value);
  });
  const double dense = double(data.rows) * data.columns * (bytes ? 1 : sizeof(float));
  const double csr = double(data.rows + 1) * sizeof(std::uint64_t) +
                     double(lists.values.size()) * (sizeof(std::uint32_t) + sizeof(float));
  require_memory(data.source, data.rows, data.columns, std::min(dense, csr));
  data.type = csr < dense ? Dataset::Type::csr : bytes ? Dataset::Type::u8 : Dataset::Type::f32;
  if (data.type == Dataset::Type::csr) {
    data.starts = std::move(lists.starts), data.indices = std::move(lists.columns);
    data.floats = std::move(lists.values);
    return;
  }
  const auto all = std::size_t(data.rows) * std::size_t(data.columns);
  if (bytes) data.bytes.resize(all);
  else data.floats.resize(all);
  for (long r = 0; r < data.rows; ++r)
    for (std::uint64_t i = lists.starts[r]; i < lists.starts[r + 1]; ++i) {
      const auto at = std::size_t(r) * std::size_t(data.columns) + lists.columns[i];
      if (bytes) data.bytes[at] = std::uint8_t(lists.values[i]);
      else data.floats[at] = lists.values[i];
    }
}

void store(Dataset& data, std::vector<float> values) {
  const auto columns = std::size_t(data.columns);
  const auto filled = std::size_t(
      std::count_if(values.begin(), values.end(), [](float value) { return value != 0; }));
  const bool bytes = std::all_of(values.begin(), values.end(), [](float value) {
    return value >= 0 && value <= 255 && value == std::floor(value);
  });
  if (8 * (filled + std::size_t(data.rows) + 1) < values.size() * (bytes ? 1 : sizeof(float))) {
    ListedRows lists{{0}, {}, {}};
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] != 0)
        lists.columns.push_back(std::uint32_t(i % columns)), lists.values.push_back(values[i]);
      if (i % columns + 1 == columns) lists.starts.push_back(lists.columns.size());
    }
    return store(data, std::move(lists));
  }
  data.type = bytes ? Dataset::Type::u8 : Dataset::Type::f32;
  if (bytes) data.bytes.assign(values.begin(), values.end());
  else data.floats = std::move(values);
}

ListedRows turned(const ListedRows& lists, long columns) {
  ListedRows other;
  other.starts.assign(std::size_t(columns) + 1, 0);
  for (const std::uint32_t column : lists.columns) ++other.starts[column + 1];
  std::partial_sum(other.starts.begin(), other.starts.end(), other.starts.begin());
  other.columns.resize(lists.columns.size()), other.values.resize(lists.values.size());
  std::vector<std::uint64_t> next(other.starts.begin(), other.starts.end() - 1);
  for (std::size_t r = 0; r + 1 < lists.starts.size(); ++r)
    for (std::uint64_t i = lists.starts[r]; i < lists.starts[r + 1]; ++i) {
      const std::uint64_t to = next[lists.columns[i]]++;
      other.columns[to] = std::uint32_t(r), other.values[to] = lists.values[i];
    }
  return other;
}

void require_memory(const std::string& source, long rows, long columns, double bytes) {
  const double there = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
  require(bytes <= there, source, ": ", rows, " x ", columns, " values take ",
          std::ceil(bytes / 1e9), " GB, this machine has ", std::floor(there / 1e9), " GB");
}

}  // namespace elbo
