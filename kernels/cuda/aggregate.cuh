#pragma once
#include "kernels/cuda/gemm.cuh"
#include "kernels/ops/aggregate.h"

namespace elbo::inline ELBO_TARGET {

constexpr int aggregate_threads = 256, aggregate_rows = 8;

/// A block takes aggregate_rows rows of z and either all coordinates at once (log_q) or one
/// (log_marginals); its threads share out the posteriors.  Each prepared posterior serves all rows
/// of the block.  Reads q twice per aggregate_rows rows of z; a coordinate alone comes in pieces of
/// 8 bytes a row, from the L2 cache.  Sums are in Real, N / 256 terms a thread: their error of
/// about √(N/256) · ε / 2 stays below 1e-5 up to 10⁷ posteriors.
struct AggregateWork {
  static constexpr int threads = aggregate_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  AggregatePosterior op;

  HD int blocks() const {
    return tiling::divide_up(op.z.rows, aggregate_rows) * (op.z.columns + 1);
  }
  __device__ void block(int index) const {
    constexpr int warps = aggregate_threads / 32;
    ELBO_SHARED(parts, LogSum<Real>[warps][aggregate_rows]);
    const int units = op.z.columns, job = index % (units + 1);
    const int row = index / (units + 1) * aggregate_rows;
    const int first = job == 0 ? 0 : job - 1, end = job == 0 ? units : job;

    LogSum<Real> sums[aggregate_rows];
#pragma unroll
    for (int r = 0; r < aggregate_rows; ++r) sums[r] = LogSum<Real>::none();
    for (int n = int(threadIdx.x); n < op.q.rows; n += aggregate_threads) {
      Real logs[aggregate_rows] = {};
      for (int d = first; d < end; ++d) {
        const auto unit = NormalDensity<Real>::of(op.q(n, 2 * d), op.q(n, 2 * d + 1));
#pragma unroll
        for (int r = 0; r < aggregate_rows; ++r)
          logs[r] += unit.log_density(op.z(std::min(row + r, op.z.rows - 1), d));
      }
#pragma unroll
      for (int r = 0; r < aggregate_rows; ++r) sums[r].add(logs[r]);
    }

    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
#pragma unroll
    for (int r = 0; r < aggregate_rows; ++r) {
#pragma unroll
      for (int distance = 16; distance; distance /= 2)
        sums[r].merge({__shfl_xor_sync(~0u, sums[r].largest, distance),
                       __shfl_xor_sync(~0u, sums[r].sum, distance)});
      if (lane == 0) parts[warp][r] = sums[r];
    }
    __syncthreads();
    const int mine = int(threadIdx.x);
    if (mine >= aggregate_rows || row + mine >= op.z.rows) return;
    LogSum<Real> all = parts[0][mine];
    for (int w = 1; w < warps; ++w) all.merge(parts[w][mine]);
    const Real value = all.value() - std::log(Real(op.q.rows));
    if (job == 0) op.log_q(row + mine, 0) = value;
    else op.log_marginals(row + mine, job - 1) = value;
  }
};

}  // namespace elbo::inline ELBO_TARGET
