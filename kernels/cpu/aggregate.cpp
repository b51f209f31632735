#include <cmath>
#include <vector>

#include "kernels/cpu/skeletons.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int beside = 16;          // sums that run beside each other, so that they are vectorised
constexpr int tile_data = 512;      // posteriors that stay in cache
constexpr int rows_of_a_task = 32;  // rows of z that share the preparation of a tile
static_assert(tile_data % beside == 0);

/// Over a number of entries that beside divides.
LogSum<double> log_sum(const Real* x, int count) {
  Real largest[beside], sums[beside];
  for (int k = 0; k < beside; ++k) largest[k] = std::numeric_limits<Real>::lowest(), sums[k] = 0;
  for (int i = 0; i < count; i += beside)
    for (int k = 0; k < beside; ++k) largest[k] = x[i + k] > largest[k] ? x[i + k] : largest[k];
  const Real top = *std::max_element(largest, largest + beside);
  for (int i = 0; i < count; i += beside)
    for (int k = 0; k < beside; ++k) sums[k] += elbo::exp(x[i + k] - top);
  double sum = 0;
  for (int k = 0; k < beside; ++k) sum += sums[k];
  return {double(top), sum};
}

/// Some posteriors, prepared, unit by unit; those up to the next multiple of beside have density 0.
struct Tile {
  Real *mean, *inverse_deviation, *log_peak;  // [D][tile_data]
  int count;

  Tile(const Matrix& q, int first, Real* memory) {
    const int units = q.columns / 2, present = std::min(tile_data, q.rows - first);
    mean = memory, inverse_deviation = mean + units * tile_data;
    log_peak = inverse_deviation + units * tile_data;
    count = (present + beside - 1) / beside * beside;
    for (int d = 0; d < units; ++d)
      for (int i = 0; i < count; ++i) {
        const int at = d * tile_data + i;
        const bool pad = i >= present;
        const auto unit = NormalDensity<Real>::of(pad ? 0 : q(first + i, 2 * d),
                                                  pad ? 0 : q(first + i, 2 * d + 1));
        mean[at] = unit.mean, inverse_deviation[at] = unit.inverse_deviation;
        log_peak[at] = pad ? -std::numeric_limits<Real>::infinity() : unit.log_peak;
      }
  }

  /// The log-densities of one unit at z, also added to `total`.
  void densities(int unit, Real z, Real* each, Real* total) const {
    const int at = unit * tile_data;
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) {
      each[i] = NormalDensity<Real>{mean[at + i], inverse_deviation[at + i], log_peak[at + i]}
                    .log_density(z);
      total[i] += each[i];
    }
  }
};

}  // namespace

void Skeletons::aggregate_posterior(const AggregatePosterior& op) const {
  const int units = op.z.columns;
  const double log_count = std::log(double(op.q.rows));
  ThreadPool::shared().run(divide_up(op.z.rows, rows_of_a_task), [&](int task) {
    const int first = task * rows_of_a_task, rows = std::min(rows_of_a_task, op.z.rows - first);
    // Tiles are joined in double, so that the error does not grow with their number.
    std::vector<LogSum<double>> joint(rows, LogSum<double>::none()),
        marginals(rows * units, joint[0]);
    Real* const memory = scratch(std::size_t(3) * units * tile_data);
    for (int datum = 0; datum < op.q.rows; datum += tile_data) {
      const Tile tile(op.q, datum, memory);
      for (int r = 0; r < rows; ++r) {
        Real each[tile_data], total[tile_data] = {};
        for (int d = 0; d < units; ++d) {
          tile.densities(d, op.z(first + r, d), each, total);
          marginals[r * units + d].merge(log_sum(each, tile.count));
        }
        joint[r].merge(log_sum(total, tile.count));
      }
    }
    for (int r = 0; r < rows; ++r) {
      op.log_q(first + r, 0) = Real(joint[r].value() - log_count);
      for (int d = 0; d < units; ++d)
        op.log_marginals(first + r, d) = Real(marginals[r * units + d].value() - log_count);
    }
  });
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
