#include "data/inspection.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "data/counter_hash.h"
#include "data/lists.h"

namespace elbo {
namespace {

struct Column {
  long there = 0, listed = 0;
  double sum = 0, least = INFINITY, most = -INFINITY;
  double squares = 0, fourth = 0;  // about the mean
  bool whole = true;

  double mean() const { return there > 0 ? sum / double(there) : 0; }
  double variance() const { return there > 0 ? squares / double(there) : 0; }
};

/// Sums of what each column has; what lists leave out is 0.
std::vector<Column> columns_of(const Dataset& data) {
  std::vector<Column> columns(std::size_t(data.columns));
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int c, float x) {
      Column& column = columns[std::size_t(c)];
      ++column.listed;
      if (std::isnan(x)) return;
      ++column.there;
      column.sum += x;
      column.least = std::min<double>(column.least, x);
      column.most = std::max<double>(column.most, x);
      column.whole = column.whole && x == std::floor(x);
    });
  for (Column& column : columns) {
    const long left = data.rows - column.listed;
    column.there += left;
    if (left > 0)
      column.least = std::min(column.least, 0.), column.most = std::max(column.most, 0.);
    const double square = column.mean() * column.mean();
    column.squares = double(left) * square, column.fourth = double(left) * square * square;
  }
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int c, float x) {
      if (std::isnan(x)) return;
      Column& column = columns[std::size_t(c)];
      const double square = (x - column.mean()) * (x - column.mean());
      column.squares += square, column.fourth += square * square;
    });
  return columns;
}

double median(std::vector<double> numbers) {
  if (numbers.empty()) return 0;
  const auto middle = numbers.begin() + long(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  if (numbers.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(numbers.begin(), middle)) / 2;
}

std::vector<double> totals_of(const Dataset& data) {
  std::vector<double> totals(std::size_t(data.rows), 0);
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int, float x) {
      if (!std::isnan(x)) totals[std::size_t(r)] += x;
    });
  return totals;
}

/// K where each row is groups of K columns with one 1 each, and 0s; else 0.
int one_hot_width(const Dataset& data) {
  std::vector<int> ones;
  int width = 0;
  for (long r = 0; r < data.rows; ++r) {
    ones.clear();
    bool binary = true;
    data.each_listed(r, [&](int c, float x) {
      if (x == 1) ones.push_back(c);
      else if (x != 0) binary = false;
    });
    const int groups = int(ones.size());
    if (r == 0) width = groups > 0 && data.columns % groups == 0 ? data.columns / groups : 0;
    if (!binary || width < 2 || groups * width != data.columns) return 0;
    for (int g = 0; g < groups; ++g)
      if (ones[std::size_t(g)] / width != g) return 0;
  }
  return width;
}

long duplicates_of(const Dataset& data) {
  using Row = std::vector<std::pair<int, float>>;
  const auto row_of = [&](long r) {
    Row row;
    data.each_listed(r, [&](int c, float x) {
      if (x != 0) row.emplace_back(c, x);
    });
    return row;
  };
  const auto same = [](const Row& a, const Row& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& p, const auto& q) {
      return p.first == q.first &&
             (p.second == q.second || (std::isnan(p.second) && std::isnan(q.second)));
    });
  };
  std::unordered_multimap<std::uint64_t, long> seen;
  long duplicates = 0;
  for (long r = 0; r < data.rows; ++r) {
    const Row row = row_of(r);
    std::uint64_t hash = 0;
    for (const auto& [column, value] : row) {
      std::uint32_t bits = 0;
      if (!std::isnan(value)) std::memcpy(&bits, &value, sizeof bits);
      hash = scatter(hash ^ (std::uint64_t(column) << 32 | bits));
    }
    const auto [first, last] = seen.equal_range(hash);
    const bool known = std::any_of(
        first, last, [&](const auto& earlier) { return same(row_of(earlier.second), row); });
    if (known) ++duplicates;
    else seen.emplace(hash, r);
  }
  return duplicates;
}

/// log(1 + total) of counts, else the mean of what is there.
std::vector<double> sizes_of(const Dataset& data, bool counts) {
  std::vector<double> sizes = totals_of(data);
  for (long r = 0; r < data.rows; ++r) {
    double& size = sizes[std::size_t(r)];
    if (counts) {
      size = std::log1p(size);
      continue;
    }
    long there = data.columns;
    data.each_listed(r, [&](int, float x) { there -= std::isnan(x); });
    size /= double(std::max(there, 1L));
  }
  return sizes;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  using Vector = Eigen::Map<const Eigen::ArrayXd>;
  const Vector x(a.data(), long(a.size())), y(b.data(), long(b.size()));
  const Eigen::ArrayXd dx = x - x.mean(), dy = y - y.mean();
  const double scale = std::sqrt(dx.square().sum() * dy.square().sum());
  return scale > 0 ? (dx * dy).sum() / scale : 0;
}

}  // namespace

Inspection inspect(const Dataset& data) {
  Inspection found;
  found.rows = data.rows, found.columns = data.columns;
  found.missing = data.missing();
  const std::vector<Column> columns = columns_of(data);

  found.least = INFINITY, found.most = -INFINITY, found.whole = true;
  double there = 0, most_deviation = 0, least_deviation = INFINITY;
  double spread = 0, mean = 0;
  std::vector<double> excesses;
  for (int c = 0; c < data.columns; ++c) {
    const Column& column = columns[std::size_t(c)];
    if (column.there == 0) continue;
    there += double(column.there);
    found.least = std::min(found.least, column.least);
    found.most = std::max(found.most, column.most);
    found.whole = found.whole && column.whole;
    if (column.least == column.most) {
      found.constant.push_back(c);
      continue;
    }
    const double variance = column.variance(), deviation = std::sqrt(variance);
    found.variance += variance;
    most_deviation = std::max(most_deviation, deviation);
    least_deviation = std::min(least_deviation, deviation);
    if (column.mean() > 0) spread += variance, mean += column.mean();
    excesses.push_back(column.fourth / double(column.there) / (variance * variance) - 3);
    if (column.whole && column.most - column.least <= 20) found.few_values.push_back(c);
  }
  if (found.whole) found.few_values.clear();
  found.dispersion = mean > 0 ? spread / mean : 0;
  found.excess = median(std::move(excesses));
  found.deviations = most_deviation > 0 ? most_deviation / least_deviation : 1;

  double filled = 0, ones = 0;
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int, float x) {
      filled += !std::isnan(x) && x != 0;
      ones += x == 1;
    });
  found.zeros = there > 0 ? 1 - filled / there : 0;
  found.ones = there > 0 ? ones / there : 0;
  found.one_hot = one_hot_width(data);
  found.duplicates = duplicates_of(data);
  const std::vector<double> totals = totals_of(data);
  if (!totals.empty()) {
    const auto [least, most] = std::minmax_element(totals.begin(), totals.end());
    found.totals = {*least, median(totals), *most};
  }
  return found;
}

SizeEffect size_effect(const Dataset& data, bool counts) {
  const std::vector<Column> columns = columns_of(data);
  const auto n = std::size_t(data.rows), d = std::size_t(data.columns);
  // Rows as lists, so that an iteration costs what is listed.
  ListedRows lists{{0}, {}, {}};
  std::vector<double> means(d, 0);
  double squares = 0;
  for (long r = 0; r < data.rows; ++r) {
    data.each_listed(r, [&](int c, float x) {
      if (std::isnan(x)) x = float(columns[std::size_t(c)].mean());
      const float value = counts ? std::log1p(x) : x;
      if (value == 0) return;
      lists.columns.push_back(std::uint32_t(c)), lists.values.push_back(value);
      means[std::size_t(c)] += value;
      squares += double(value) * value;
    });
    lists.starts.push_back(lists.columns.size());
  }
  for (double& mean : means) mean /= double(n), squares -= double(n) * mean * mean;

  // The first component by power iteration.
  std::vector<double> direction(d), scores(n);
  for (std::size_t c = 0; c < d; ++c) direction[c] = double(scatter(c + 1) >> 11) * 0x1p-53 - 0.5;
  const auto project = [&] {
    double shift = 0;
    for (std::size_t c = 0; c < d; ++c) shift += means[c] * direction[c];
    for (std::size_t r = 0; r < n; ++r) {
      double sum = -shift;
      for (std::uint64_t i = lists.starts[r]; i < lists.starts[r + 1]; ++i)
        sum += lists.values[i] * direction[lists.columns[i]];
      scores[r] = sum;
    }
  };
  constexpr int most_iterations = 200;
  double before = 0;
  for (int i = 0; i < most_iterations; ++i) {
    project();
    std::vector<double> next(d, 0);
    double sum = 0, norm = 0;
    for (std::size_t r = 0; r < n; ++r) {
      sum += scores[r];
      for (std::uint64_t k = lists.starts[r]; k < lists.starts[r + 1]; ++k)
        next[lists.columns[k]] += lists.values[k] * scores[r];
    }
    for (std::size_t c = 0; c < d; ++c) next[c] -= means[c] * sum, norm += next[c] * next[c];
    norm = std::sqrt(norm);
    if (norm == 0) return {};
    for (std::size_t c = 0; c < d; ++c) direction[c] = next[c] / norm;
    if (std::abs(norm - before) <= 1e-9 * norm) break;
    before = norm;
  }
  project();

  double along = 0;  // the squares along (1, ..., 1) / √d
  double mean_of_means = 0;
  for (const double mean : means) mean_of_means += mean;
  for (std::size_t r = 0; r < n; ++r) {
    double sum = -mean_of_means;
    for (std::uint64_t i = lists.starts[r]; i < lists.starts[r + 1]; ++i) sum += lists.values[i];
    along += sum * sum / double(d);
  }
  return {std::abs(correlation(scores, sizes_of(data, counts))), squares > 0 ? along / squares : 0};
}

std::vector<double> covariance_spectrum(const Dataset& data) {
  const std::vector<Column> columns = columns_of(data);
  std::vector<int> place(std::size_t(data.columns), -1);  // among the columns that vary
  long varying = 0;
  for (int c = 0; c < data.columns; ++c)
    if (columns[std::size_t(c)].squares > 0) place[std::size_t(c)] = int(varying++);
  std::vector<double> values(std::size_t(data.columns), 0);
  if (varying == 0) return values;
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(varying, varying);
  constexpr long most_rows = 1024;
  for (long first = 0; first < data.rows; first += most_rows) {
    const long count = std::min(most_rows, data.rows - first);
    // A datum a column, so that it lies in one piece.
    Eigen::MatrixXf block(varying, count);
    for (int c = 0; c < data.columns; ++c)
      if (const int at = place[std::size_t(c)]; at >= 0)
        block.row(at).setConstant(float(-columns[std::size_t(c)].mean()));
    for (long r = 0; r < count; ++r)
      data.each_listed(first + r, [&](int c, float x) {
        const int at = place[std::size_t(c)];
        if (at < 0) return;
        const double mean = columns[std::size_t(c)].mean();
        block(at, r) = std::isnan(x) ? 0.f : float(x - mean);
      });
    Eigen::MatrixXf product = Eigen::MatrixXf::Zero(varying, varying);
    product.selfadjointView<Eigen::Lower>().rankUpdate(block);
    covariance += product.cast<double>();
  }
  covariance /= double(std::max(data.rows, 1L));
  // Of the lower half only.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance, Eigen::EigenvaluesOnly);
  std::reverse_copy(solver.eigenvalues().begin(), solver.eigenvalues().end(), values.begin());
  return values;
}

}  // namespace elbo
