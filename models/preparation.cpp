#include "models/preparation.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "runtime/error.h"

namespace elbo {

namespace {

/// What needs no other row: log(1 + x), and the mean taken off.
void transform_row(const Preparation& p, float* row, std::size_t entries) {
  double sum = 0;
  std::size_t there = 0;
  for (std::size_t i = 0; i < entries; ++i) {
    if (p.log1p) row[i] = float(std::log1p(double(row[i])));
    if (!std::isnan(row[i])) sum += row[i], ++there;
  }
  if (p.centre == "none" || there == 0) return;
  const double mean = sum / double(there);
  for (std::size_t i = 0; i < entries; ++i) row[i] = float(row[i] - mean);
}

/// The data as floats, transformed row by row.
void transform_rows(const Preparation& p, Dataset& data) {
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int c, float x) {
      require(std::isnan(x) || !p.log1p || x > -1, data.source, ": row ", r, ", column ", c, ": ",
              x, " has no log(1 + x), expected numbers above -1");
      require(!std::isinf(x), data.source, ": row ", r, ", column ", c, ": ", x,
              " cannot be prepared, expected finite values");
    });
  const bool lists =
      data.type == Dataset::Type::csr && p.centre == "none" && p.standardise == "none";
  if (lists) {
    for (float& x : data.floats) x *= data.scale;
  } else {
    data.floats = data.values();
    data.bytes.clear(), data.starts.clear(), data.indices.clear();
    data.type = Dataset::Type::f32;
  }
  data.scale = 1;
  for (long r = 0; r < data.rows; ++r) {
    const std::size_t columns = std::size_t(data.columns);
    const std::size_t first = lists ? data.starts[std::size_t(r)] : std::size_t(r) * columns;
    const std::size_t entries = lists ? data.starts[std::size_t(r) + 1] - first : columns;
    transform_row(p, data.floats.data() + first, entries);
  }
}

}  // namespace

void Preparation::require_words() const {
  require(centre == "none" || centre == "rows", "unknown centre '", centre,
          "', expected none, rows");
  require(standardise == "none" || standardise == "columns" || standardise == "all",
          "unknown standardise '", standardise, "', expected none, columns, all");
}

void Preparation::learn(const Dataset& data) {
  require_words();
  mean.clear(), scale.clear();
  if (standardise == "none") return;
  Dataset rows = data;
  transform_rows(*this, rows);
  const std::size_t groups = standardise == "all" ? 1 : std::size_t(data.columns);
  std::vector<double> count(groups), squares(groups);
  std::vector<float> low(groups, INFINITY), high(groups, -INFINITY);
  mean.assign(groups, 0), scale.assign(groups, 1);
  const auto each = [&](auto&& f) {
    for (std::size_t i = 0; i < rows.floats.size(); ++i)
      if (!std::isnan(rows.floats[i])) f(i % groups, rows.floats[i]);
  };
  each([&](std::size_t g, float x) {
    mean[g] += x, ++count[g];
    low[g] = std::min(low[g], x), high[g] = std::max(high[g], x);
  });
  for (std::size_t g = 0; g < groups; ++g) mean[g] /= std::max(count[g], 1.0);
  each([&](std::size_t g, float x) { squares[g] += (x - mean[g]) * (x - mean[g]); });
  for (std::size_t g = 0; g < groups; ++g)
    if (low[g] < high[g]) scale[g] = std::sqrt(squares[g] / count[g]);
}

void Preparation::apply(Dataset& data) const {
  if (!any()) return;
  require(standardise != "columns" || mean.size() == std::size_t(data.columns), data.source,
          ": has ", data.columns, " columns, the model expects ", mean.size());
  transform_rows(*this, data);
  if (standardise == "none") return;
  for (std::size_t i = 0; i < data.floats.size(); ++i) {
    const std::size_t g = i % mean.size();
    data.floats[i] = float((data.floats[i] - mean[g]) / scale[g]);
  }
}

void Preparation::undo(std::vector<float>& x, int columns) const {
  require(x.size() % std::size_t(columns) == 0, "preparation: ", x.size(),
          " numbers are not whole rows of ", columns);
  for (std::size_t i = 0; i < x.size(); ++i) {
    double value = x[i];
    if (standardise != "none") value = value * scale[i % scale.size()] + mean[i % mean.size()];
    if (log1p) value = std::expm1(value);
    x[i] = float(value);
  }
}

double Preparation::log_scales(int columns) const {
  double sum = 0;
  for (const double s : scale) sum += std::log(s);
  return standardise == "all" ? columns * sum : sum;
}

std::optional<double> Preparation::log_volume(const Dataset& data) const {
  if (centre != "none") return {};
  double sum = 0;
  for (long r = 0; r < data.rows; ++r) {
    // What lists do not name is 0, and there.
    sum -= log_scales(data.columns);
    data.each_listed(r, [&](int c, float x) {
      if (!std::isnan(x)) sum -= log1p ? std::log1p(double(x)) : 0;
      else if (!scale.empty()) sum += std::log(scale[std::size_t(c) % scale.size()]);
    });
  }
  return sum / double(data.rows);
}

std::string Preparation::own_units(int columns) const {
  if (centre != "none") return "none: what centred rows had in common is gone";
  const double scales = log_scales(columns);
  std::ostringstream text;
  text.precision(9);
  text << "log p(x) = log p(x')";
  if (standardise != "none") text << (scales < 0 ? " + " : " - ") << std::fabs(scales);
  if (log1p) text << " - sum of log(1 + x)";
  return text.str();
}

}  // namespace elbo
