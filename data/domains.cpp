#include "data/domains.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "runtime/error.h"

namespace elbo {

namespace {

std::unordered_map<std::string, long> rows_by_name(const Dataset& data) {
  std::unordered_map<std::string, long> rows;
  for (long r = 0; r < data.rows; ++r)
    require(rows.emplace(data.row_names[std::size_t(r)], r).second, data.source,
            ": has two rows named '", data.row_names[std::size_t(r)], "'");
  return rows;
}

/// For each row of a the row of b that has its name.
std::vector<long> partners(const Dataset& a, const Dataset& b) {
  const auto in_a = rows_by_name(a), in_b = rows_by_name(b);
  std::vector<long> rows;
  for (const std::string& name : a.row_names) {
    const auto found = in_b.find(name);
    require(found != in_b.end(), a.source, ": row '", name, "' has no partner in ", b.source);
    rows.push_back(found->second);
  }
  for (const std::string& name : b.row_names)
    require(in_a.contains(name), b.source, ": row '", name, "' has no partner in ", a.source);
  return rows;
}

template <class T>
std::vector<T> interleaved(const std::vector<T>& a, int a_columns, const std::vector<T>& b,
                           int b_columns, long rows) {
  std::vector<T> all;
  all.reserve(a.size() + b.size());
  for (long r = 0; r < rows; ++r) {
    all.insert(all.end(), a.begin() + r * a_columns, a.begin() + (r + 1) * a_columns);
    all.insert(all.end(), b.begin() + r * b_columns, b.begin() + (r + 1) * b_columns);
  }
  return all;
}

/// What is known of the rows, without their values.
Dataset described_as(const Dataset& data) {
  Dataset out;
  out.source = data.source, out.rows = data.rows;
  out.labels = data.labels, out.annotations = data.annotations, out.row_names = data.row_names;
  return out;
}

}  // namespace

Dataset side_by_side(const Dataset& a, Dataset b) {
  if (!a.row_names.empty() && !b.row_names.empty() && a.row_names != b.row_names)
    b = b.select(partners(a, b));
  require(a.rows == b.rows, b.source, ": has ", b.rows, " rows, ", a.source, " has ", a.rows,
          "; they belong together");
  Dataset both = described_as(a);
  both.source = a.source + " with " + b.source;
  both.columns = a.columns + b.columns;
  const auto u8 = Dataset::Type::u8;
  if (a.type == u8 && b.type == u8 && a.scale == b.scale) {
    both.type = u8, both.scale = a.scale;
    both.bytes = interleaved(a.bytes, a.columns, b.bytes, b.columns, a.rows);
  } else {
    both.floats = interleaved(a.values(), a.columns, b.values(), b.columns, a.rows);
  }
  if (a.image_width > 0 && a.image_width == b.image_width)
    both.image_height = a.image_height + b.image_height, both.image_width = a.image_width;
  if (both.labels.empty()) both.labels = b.labels;
  if (both.row_names.empty()) both.row_names = b.row_names;
  for (const Annotation& of_b : b.annotations)
    if (std::none_of(a.annotations.begin(), a.annotations.end(),
                     [&](const Annotation& of_a) { return of_a.name == of_b.name; }))
      both.annotations.push_back(of_b);
  if (!a.column_names.empty() && !b.column_names.empty()) {
    both.column_names = a.column_names;
    both.column_names.insert(both.column_names.end(), b.column_names.begin(), b.column_names.end());
  }
  return both;
}

Dataset widened(const Dataset& data, int before, int after) {
  Dataset wide = described_as(data);
  wide.columns = before + data.columns + after;
  wide.floats.assign(std::size_t(wide.rows) * std::size_t(wide.columns),
                     std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> values = data.values();
  for (long r = 0; r < data.rows; ++r)
    std::copy_n(values.begin() + r * data.columns, data.columns,
                wide.floats.begin() + r * wide.columns + before);
  return wide;
}

}  // namespace elbo
