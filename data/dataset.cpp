#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "data/counter_hash.h"
#include "runtime/error.h"

namespace elbo {
namespace {

/// FNV-1a over words of 8 bytes, with a shift so that high bits reach the low ones.
class Fingerprint {
 public:
  void add(const void* data, std::size_t size) {
    const char* at = static_cast<const char*>(data);
    for (; size >= 8; at += 8, size -= 8) add_word(at, 8);
    if (size > 0) add_word(at, size);
  }
  std::uint64_t value() const { return value_; }

 private:
  void add_word(const char* at, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, size);
    value_ = (value_ ^ word) * 0x100000001b3;
    value_ ^= value_ >> 32;
  }

  std::uint64_t value_ = 0xcbf29ce484222325;
};

template <class T>
std::vector<T> pick(const std::vector<T>& from, const std::vector<long>& rows, int width = 1) {
  if (from.empty()) return {};
  std::vector<T> picked;
  picked.reserve(rows.size() * std::size_t(width));
  for (const long row : rows)
    picked.insert(picked.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  return picked;
}

}  // namespace

float Dataset::value(long row, int column) const {
  if (type == Type::csr) {
    const auto first = indices.begin() + long(starts[row]),
               last = indices.begin() + long(starts[row + 1]);
    const auto found = std::lower_bound(first, last, std::uint32_t(column));
    const bool listed = found != last && *found == std::uint32_t(column);
    return listed ? scale * floats[std::size_t(found - indices.begin())] : 0.f;
  }
  const std::size_t at = std::size_t(row) * std::size_t(columns) + std::size_t(column);
  return scale * (type == Type::u8 ? float(bytes[at]) : floats[at]);
}

std::vector<float> Dataset::values() const {
  std::vector<float> all(std::size_t(rows) * std::size_t(columns));
  for (long r = 0; r < rows; ++r) {
    float* const row = all.data() + r * columns;
    each_listed(r, [row](int c, float value) { row[c] = value; });
  }
  return all;
}

long Dataset::missing() const {
  return std::count_if(floats.begin(), floats.end(), [](float value) { return std::isnan(value); });
}

std::string Dataset::hash() const {
  Fingerprint print;
  const std::array<std::int64_t, 5> shape{type == Type::u8    ? 1
                                          : type == Type::f32 ? 2
                                                              : 3,
                                          rows, columns, image_height, image_width};
  print.add(shape.data(), sizeof shape);
  print.add(&scale, sizeof scale);
  if (type == Type::csr) {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::uint64_t i = starts[r]; i < starts[r + 1]; ++i) {
        if (floats[i] == 0) continue;
        print.add(&r, sizeof r), print.add(&indices[i], sizeof indices[i]);
        print.add(&floats[i], sizeof floats[i]);
      }
  } else {
    print.add(bytes.data(), bytes.size());
    print.add(floats.data(), floats.size() * sizeof(float));
  }
  std::string digits(16, '0');
  for (int i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[print.value() >> (60 - 4 * i) & 15];
  return digits;
}

Dataset Dataset::slice(long first, long count) const {
  require(first >= 0 && count >= 0 && first <= rows - count, source, ": slice of ", count,
          " rows from row ", first, ", but there are ", rows, " rows");
  std::vector<long> kept(std::size_t(count), 0);
  std::iota(kept.begin(), kept.end(), first);
  return select(kept);
}

Dataset Dataset::select(const std::vector<long>& kept) const {
  for (const long row : kept)
    require(row >= 0 && row < rows, source, ": row ", row, " selected, but there are ", rows,
            " rows");
  Dataset part;
  part.source = source;
  part.type = type;
  part.rows = long(kept.size());
  part.columns = columns;
  if (type == Type::csr) {
    part.starts.push_back(0);
    for (const long row : kept) {
      const long first = long(starts[row]), last = long(starts[row + 1]);
      part.indices.insert(part.indices.end(), indices.begin() + first, indices.begin() + last);
      part.floats.insert(part.floats.end(), floats.begin() + first, floats.begin() + last);
      part.starts.push_back(part.indices.size());
    }
  } else {
    part.bytes = pick(bytes, kept, columns);
    part.floats = pick(floats, kept, columns);
  }
  part.scale = scale;
  part.image_height = image_height;
  part.image_width = image_width;
  part.given = pick(given, kept, given_columns);
  part.given_columns = given_columns;
  part.labels = pick(labels, kept);
  for (const Annotation& a : annotations)
    part.annotations.push_back({a.name, a.levels, pick(a.values, kept)});
  part.column_names = column_names;
  part.row_names = pick(row_names, kept);
  part.alphabet = alphabet;
  return part;
}

Dataset Dataset::select_columns(const std::vector<int>& kept) const {
  std::vector<int> place(std::size_t(columns), -1);  // in the new order
  for (std::size_t i = 0; i < kept.size(); ++i) {
    require(kept[i] >= 0 && kept[i] < columns, source, ": column ", kept[i],
            " selected, but there are ", columns, " columns");
    require(place[std::size_t(kept[i])] < 0, source, ": column ", kept[i], " selected twice");
    place[std::size_t(kept[i])] = int(i);
  }
  Dataset part;
  part.source = source, part.type = type, part.scale = scale;
  part.rows = rows, part.columns = int(kept.size());
  part.given = given, part.given_columns = given_columns;
  part.labels = labels, part.annotations = annotations;
  part.row_names = row_names, part.alphabet = alphabet;
  if (!column_names.empty())
    for (const int c : kept) part.column_names.push_back(column_names[std::size_t(c)]);
  if (type == Type::csr) {
    part.starts.push_back(0);
    std::vector<std::pair<std::uint32_t, float>> row;
    for (long r = 0; r < rows; ++r) {
      row.clear();
      for (std::uint64_t i = starts[std::size_t(r)]; i < starts[std::size_t(r) + 1]; ++i)
        if (const int to = place[indices[i]]; to >= 0) row.emplace_back(to, floats[i]);
      std::sort(row.begin(), row.end(),
                [](const auto& a, const auto& b) { return a.first < b.first; });
      for (const auto& [column, value] : row)
        part.indices.push_back(column), part.floats.push_back(value);
      part.starts.push_back(part.indices.size());
    }
    return part;
  }
  const auto gather = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(std::size_t(rows) * kept.size());
    for (long r = 0; r < rows; ++r)
      for (const int c : kept) to.push_back(from[std::size_t(r) * std::size_t(columns) + c]);
  };
  gather(bytes, part.bytes), gather(floats, part.floats);
  return part;
}

void require_lists(const Dataset& data) {
  if (data.type != Dataset::Type::csr) return;
  require(data.starts.size() == std::size_t(data.rows) + 1 && data.starts[0] == 0 &&
              data.starts.back() == data.indices.size() &&
              data.indices.size() == data.floats.size(),
          data.source, ": ", data.starts.size(), " starts, ", data.indices.size(), " columns, ",
          data.floats.size(), " values are no lists of ", data.rows, " rows");
  for (long r = 0; r < data.rows; ++r) {
    require(data.starts[r] <= data.starts[r + 1] && data.starts[r + 1] <= data.indices.size(),
            data.source, ": row ", r, " starts behind its end");
    for (std::uint64_t i = data.starts[r]; i < data.starts[r + 1]; ++i)
      require(data.indices[i] < std::uint32_t(data.columns) &&
                  (i == data.starts[r] || data.indices[i - 1] < data.indices[i]),
              data.source, ": row ", r, " lists column ", data.indices[i],
              ", expected ascending columns below ", data.columns);
  }
}

void require_no_empty_column(const Dataset& data) {
  if (data.missing() < data.rows) return;
  std::vector<long> missing(std::size_t(data.columns), 0);
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int c, float value) { missing[c] += std::isnan(value); });
  const auto empty = std::find(missing.begin(), missing.end(), data.rows) - missing.begin();
  if (empty == data.columns) return;
  const std::string name =
      data.column_names.empty() ? "" : " (" + data.column_names[std::size_t(empty)] + ")";
  fail(data.source, ": column ", empty + 1, name, " is missing in every row, expected a number");
}

float image_scale(const std::vector<std::uint8_t>& bytes) {
  const bool binary = std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte <= 1; });
  return binary ? 1.f : 1.f / 255;
}

Split split(const Dataset& data, double fraction, std::uint64_t seed) {
  require(fraction > 0 && fraction < 1, data.source, ": validation fraction is ", fraction,
          ", expected more than 0 and less than 1");
  require(data.rows >= 2, data.source, ": has ", data.rows, " rows, splitting needs at least 2");
  const long count = std::clamp(std::lround(fraction * double(data.rows)), 1L, data.rows - 1);

  std::vector<long> order(std::size_t(data.rows), 0);
  std::iota(order.begin(), order.end(), 0L);
  const auto key = [seed](long row) {
    return std::pair(counter_hash(seed, std::uint64_t(row), 0), row);
  };
  std::nth_element(order.begin(), order.begin() + count, order.end(),
                   [&](long a, long b) { return key(a) < key(b); });
  std::vector<long> valid(order.begin(), order.begin() + count);
  std::vector<long> train(order.begin() + count, order.end());
  std::sort(valid.begin(), valid.end());
  std::sort(train.begin(), train.end());
  return {data.select(train), data.select(valid)};
}

}  // namespace elbo
