#pragma once
#include <limits>

#include "kernels/cuda/gemm.cuh"

// Entry by entry, and sums: every sum has an order fixed by the shape, and none uses an atomic.
namespace elbo::inline ELBO_TARGET {

/// The block's sum, in thread 0.  Warps by halving distances, then the warps in their order.
template <int threads, class T>
__device__ T block_sum(T v) {
  ELBO_SHARED(parts, T[threads / 32]);
#pragma unroll
  for (int distance = 16; distance; distance /= 2) v += __shfl_xor_sync(~0u, v, distance);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int w = 1; w < threads / 32; ++w) v += parts[w];
  __syncthreads();  // parts may be used again
  return v;
}

template <int K>
__device__ void add(Vec<K>& to, const Vec<K>& v) {
#pragma unroll
  for (int k = 0; k < K; ++k) to[k] += v[k];
}

/// Joins the lanes of a warp whose numbers differ in the bits `nearest` … `farthest`; all get the
/// same bits, since join(a, b) is join(b, a).
template <int K, class Join>
__device__ void join_warp(Vec<K>& v, int farthest, int nearest, Join join) {
#pragma unroll
  for (int distance = farthest; distance >= nearest; distance /= 2) {
    Vec<K> other;
#pragma unroll
    for (int k = 0; k < K; ++k) other[k] = __shfl_xor_sync(~0u, v[k], distance);
    join(v, other);
  }
}

/// The threads of a block that takes entries, rows or columns.
constexpr int block_threads = 128;

/// body(r, c) everywhere: 2^shift threads along a row.  Bytes and flops: the body's.
template <class Body>
struct MapWork {
  static constexpr int threads = block_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  int rows, columns, shift, down, across;  // down · across blocks
  Body body;

  MapWork(int rows, int columns, const Body& body)
      : rows(rows), columns(columns), shift(0), body(body) {
    while (shift < 7 && 1 << shift < columns) ++shift;
    across = std::min(tiling::divide_up(columns, 1 << shift), 256);
    down = std::min(tiling::divide_up(rows, threads >> shift), 1 << 20);
  }
  HD int blocks() const { return down * across; }
  __device__ void block(int index) const {
    const int wide = 1 << shift, high = threads >> shift;
    const int first = index / down * wide + (int(threadIdx.x) & (wide - 1));
    for (std::int64_t r = std::int64_t(index % down) * high + (int(threadIdx.x) >> shift); r < rows;
         r += std::int64_t(down) * high)
      for (std::int64_t c = first; c < columns; c += std::int64_t(across) * wide)
        body(int(r), int(c));
  }
};

/// A row's threads: a warp, or a block where rows are long; more of them where it is very long.
constexpr int row_threads = block_threads, long_row = 256;
constexpr int wide_threads = 512, very_long_row = 4096;
inline int lanes_for(int columns) { return columns > long_row ? row_threads : 32; }

/// Work on rows: a block of 128 threads holds 4 short rows or a long one.
struct RowsWork {
  static constexpr int threads = row_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  int rows, lanes;

  RowsWork(int rows, int columns) : rows(rows), lanes(lanes_for(columns)) {}
  HD int blocks() const { return tiling::divide_up(rows, row_threads / lanes); }
};

/// Where this thread works: row, first column.
struct RowPlace {
  int row, lane;
  __device__ RowPlace(int index, int lanes)
      : row(index * (row_threads / lanes) + int(threadIdx.x) / lanes),
        lane(int(threadIdx.x) % lanes) {}
};

/// The sum over a row's threads, in the one with lane 0.
__device__ inline Real row_total(Real v, int lanes) {
  ELBO_SHARED(parts, Real[row_threads / 32]);
#pragma unroll
  for (int distance = 16; distance; distance /= 2) v += __shfl_xor_sync(~0u, v, distance);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  if (lanes > 32 && threadIdx.x == 0)
    for (int w = 1; w < row_threads / 32; ++w) v += parts[w];
  return v;
}

/// An epilogue on stored numbers: reads sizeof(Real) rows · columns bytes and what the body reads.
template <class Body>
struct MapRowsWork : RowsWork {
  Matrix in;
  Body body;

  MapRowsWork(const Matrix& in, const Body& body)
      : RowsWork(in.rows, in.columns / Body::width), in(in), body(body) {}
  __device__ void block(int index) const {
    constexpr int width = Body::width;
    const RowPlace place(index, lanes);
    [[maybe_unused]] Real sum = 0;
    if (place.row < in.rows) {
      const auto at = in_row(body, place.row);
      for (int u = place.lane; u < in.columns / width; u += lanes) {
        Vec<width> v;
#pragma unroll
        for (int k = 0; k < width; ++k) v[k] = in(place.row, u * width + k);
        if constexpr (Body::sums) sum += at(u, v);
        else at(u, v);
      }
    }
    if constexpr (Body::sums) {
      sum = row_total(sum, lanes);
      if (place.lane == 0 && place.row < in.rows && body.op.terms.present())
        body.op.terms(place.row, 0) = sum;
    }
  }
};

/// out(r, 0) = Σ_c body(r, c)
template <class Body>
struct RowSumsWork : RowsWork {
  int columns;
  Matrix out;
  Body body;

  RowSumsWork(int rows, int columns, const Matrix& out, const Body& body)
      : RowsWork(rows, columns), columns(columns), out(out), body(body) {}
  __device__ void block(int index) const {
    const RowPlace place(index, lanes);
    Real sum = 0;
    if (place.row < rows)
      for (int c = place.lane; c < columns; c += lanes) sum += body(place.row, c);
    sum = row_total(sum, lanes);
    if (place.lane == 0 && place.row < rows && out.present()) out(place.row, 0) = sum;
  }
};

/// The threads of one row (kernels/ops_on.h); entry i is taken by thread i % lanes, except by the
/// last sum, which hands what is rare to whole warps.
struct RowTeam {
  int lanes, lane;

  template <class F>
  __device__ void each(int n, F&& f) const {
    for (int i = lane; i < n; i += lanes) f(i);
  }
  template <class F>
  __device__ auto sum(int n, F&& f) const {
    decltype(f(0)) all{};
    for (int i = lane; i < n; i += lanes) add(all, f(i));
    return over_row(all, [](auto& to, const auto& v) { add(to, v); });
  }
  /// The same of often(i) or, where rare(i), rarely(i).  A warp collects rare entries until it has
  /// one for each of its threads: few of them do not hold up the others.
  template <class Rare, class Often, class Rarely>
  __device__ auto sum(int n, Rare&& rare, Often&& often, Rarely&& rarely) const {
    ELBO_SHARED(queues, int[wide_threads / 32][64]);
    int* const queue = queues[threadIdx.x / 32];
    const unsigned mine = threadIdx.x % 32, before = (1u << mine) - 1;
    decltype(often(0)) all{};
    int waiting = 0;
    for (int first = lane - int(mine); first < n; first += lanes) {
      const int i = first + int(mine);
      const bool here = i < n, waits = here && rare(i);
      const unsigned votes = __ballot_sync(~0u, waits);
      if (waits) queue[waiting + __popc(votes & before)] = i;
      else if (here) add(all, often(i));
      waiting += __popc(votes);
      __syncwarp();
      if (waiting < 32) continue;
      waiting -= 32;
      const int next = queue[waiting + int(mine)];
      __syncwarp();  // before the queue is written again
      add(all, rarely(next));
    }
    if (int(mine) < waiting) add(all, rarely(queue[mine]));
    return over_row(all, [](auto& to, const auto& v) { add(to, v); });
  }
  template <class F>
  __device__ Real max(int n, F&& f) const {
    Vec<1> most{{-std::numeric_limits<Real>::infinity()}};
    for (int i = lane; i < n; i += lanes) most[0] = larger(most[0], f(i));
    return over_row(most, [](Vec<1>& to, const Vec<1>& v) { to[0] = larger(to[0], v[0]); })[0];
  }
  template <class F>
  __device__ void once(F&& f) const {
    if (lane == 0) f();
  }
  __device__ void meet() const {
    if (lanes > 32) __syncthreads();
    else __syncwarp();
  }

 private:
  /// Every thread gets the same: a butterfly over the warp, then the warps in their order.
  template <int K, class Join>
  __device__ Vec<K> over_row(Vec<K> v, Join join) const {
    join_warp(v, 16, 1, join);
    if (lanes > 32) {
      ELBO_SHARED(parts, Vec<K>[wide_threads / 32]);
      if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
      __syncthreads();
      v = parts[0];
      for (int w = 1; w < lanes / 32; ++w) join(v, parts[w]);
      __syncthreads();  // parts may be used again
    }
    return v;
  }
};

/// body(r, team) for every row.
template <class Body>
struct RowPassWork : RowsWork {
  Body body;

  RowPassWork(int rows, int columns, const Body& body) : RowsWork(rows, columns), body(body) {}
  __device__ void block(int index) const {
    const RowPlace place(index, lanes);
    if (place.row < rows) body(place.row, RowTeam{lanes, place.lane});  // a whole warp, or all
  }
};

/// The same with a block of 512 threads for every row.
template <class Body>
struct WideRowPassWork {
  static constexpr int threads = wide_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  int rows;
  Body body;

  HD int blocks() const { return rows; }
  __device__ void block(int index) const { body(index, RowTeam{wide_threads, int(threadIdx.x)}); }
};

/// A block's columns: 8, one sector of memory, and 16 interleaved parts of the rows.
constexpr int team_threads = block_threads, team_columns = 8, team_parts = team_threads / 8;

/// The threads of a few columns (kernels/ops_on.h); each has one column and every 16th row.
struct ColumnTeam {
  int column, part;
  bool inside;  // the last block's columns may lie behind the matrix

  template <int K>
  struct PerColumn {
    Vec<K> v;
    __device__ Vec<K> operator()(int) const { return v; }
  };

  template <class F>
  __device__ void each(int n, F&& f) const {
    if (inside)
      for (int i = part; i < n; i += team_parts) f(i)(column);
  }
  template <class F>
  __device__ auto sum(int n, F&& f) const {
    decltype(f(0)(0)) all{};
    if (inside)
      for (int i = part; i < n; i += team_parts) add(all, f(i)(column));
    return over_column(all);
  }
  template <class F>
  __device__ auto per_column(F&& f) const {
    return in_column(inside ? f(column) : decltype(f(0)){});
  }
  template <class F>
  __device__ void columns(F&& f) const {
    if (inside && part == 0) f(column);
  }

 private:
  template <int K>
  __device__ static PerColumn<K> in_column(const Vec<K>& v) {
    return {v};
  }
  /// The parts of a warp by a butterfly, then the warps in their order; every thread gets them.
  template <int K>
  __device__ PerColumn<K> over_column(Vec<K> v) const {
    ELBO_SHARED(parts, Vec<K>[team_threads / 32][team_columns]);
    join_warp(v, 16, team_columns, [](Vec<K>& to, const Vec<K>& from) { add(to, from); });
    const int lane = int(threadIdx.x) % team_columns;
    if (threadIdx.x % 32 < team_columns) parts[threadIdx.x / 32][lane] = v;
    __syncthreads();
    v = parts[0][lane];
    for (int w = 1; w < team_threads / 32; ++w) add(v, parts[w][lane]);
    __syncthreads();  // parts may be used again
    return {v};
  }
};

/// body(team) for every 8 columns.
template <class Body>
struct ColumnPassWork {
  static constexpr int threads = team_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  int columns;
  Body body;

  HD int blocks() const { return tiling::divide_up(columns, team_columns); }
  __device__ void block(int index) const {
    const int column = index * team_columns + int(threadIdx.x) % team_columns;
    body(ColumnTeam{column, int(threadIdx.x) / team_columns, column < columns});
  }
};

/// The sum of a column over all rows, in the threads of part 0: 32 columns, and interleaved parts
/// of the rows, a block.  Reads the matrix once.
__device__ inline Real column_total(const Operand& in, int rows, int column) {
  constexpr int across = 32, parts_down = block_threads / across;
  ELBO_SHARED(parts, Real[parts_down][across]);
  const int lane = int(threadIdx.x) % across, part = int(threadIdx.x) / across;
  Real sum = 0;
  if (column < in.extent)
    for (int r = part; r < rows; r += parts_down)
      sum += in.data[std::ptrdiff_t(r) * in.stride + column];
  parts[part][lane] = sum;
  __syncthreads();
  if (part == 0)
    for (int p = 1; p < parts_down; ++p) sum += parts[p][lane];
  return sum;
}

struct ColumnSumWork {
  static constexpr int threads = block_threads, resident = 1, columns = 32;
  static constexpr std::size_t shared_bytes = 0;
  Matrix in, out;
  bool accumulate;

  HD int blocks() const { return tiling::divide_up(in.columns, columns); }
  __device__ void block(int index) const {
    const int column = index * columns + int(threadIdx.x) % columns;
    const Real sum = column_total({in.data, in.stride, in.columns}, in.rows, column);
    if (int(threadIdx.x) < columns && column < in.columns)
      out(0, column) = accumulate ? out(0, column) + sum : sum;
  }
};

/// This thread's share of Σ value(entry) over a matrix, a block of `threads` taking all of it.
template <int threads, class Value>
__device__ double share_of_all(const Matrix& in, Value value) {
  const unsigned columns = unsigned(in.columns);
  const std::int64_t count = std::int64_t(in.rows) * in.columns;
  double sum = 0;
  int r = int(threadIdx.x / columns), c = int(threadIdx.x % columns);
  const int rows_on = int(threads / columns), columns_on = int(threads % columns);
  for (std::int64_t i = threadIdx.x; i < count; i += threads) {
    sum += value(in(r, c));
    r += rows_on, c += columns_on;
    if (c >= in.columns) c -= in.columns, ++r;
  }
  return sum;
}

/// The threads of a block that is alone with a sum.
constexpr int sum_threads = 1024;

/// The sum over everything, by one block.
struct TotalWork {
  static constexpr int threads = sum_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  Matrix in, out;
  bool accumulate;

  HD int blocks() const { return 1; }
  __device__ void block(int) const {
    const double sum =
        block_sum<threads>(share_of_all<threads>(in, [](Real x) { return double(x); }));
    if (threadIdx.x == 0) out(0, 0) = Real(accumulate ? out(0, 0) + sum : sum);
  }
};

/// The objective, the running totals, in double, and the step's outcome, by one block.
template <int threads>
__device__ void objective(const Objective& op) {
  const bool counts = threadIdx.x == 0 && !halted(op.state);
  Outcome* const outcome = counts ? op.outcome() : nullptr;
  if (outcome) {
    outcome->step = 0;
    __threadfence_system();
  }
  double loss = 0;
  for (int i = 0; i < op.count; ++i) {
    const double sum =
        block_sum<threads>(share_of_all<threads>(op.terms[i], [](Real x) { return double(x); }));
    if (threadIdx.x > 0) continue;
    loss += double(op.weights[i].value()) * sum / op.terms[i].rows;
    if (op.totals && counts) op.totals[i] += sum;
    if (outcome) outcome->terms[i] = sum, outcome->totals[i] = op.totals ? op.totals[i] : 0;
  }
  if (threadIdx.x > 0) return;
  op.loss(0, 0) = Real(loss);
  if (!counts) return;
  op.judge(loss);
  if (op.totals) op.totals[op.count] += op.terms[0].rows;
  if (!outcome) return;
  outcome->loss = loss, outcome->totals[op.count] = op.totals ? op.totals[op.count] : 0;
  st_release_system(&outcome->step, op.state->step + 1);
}

struct ObjectiveWork {
  static constexpr int threads = sum_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  Objective op;
  HD int blocks() const { return 1; }
  __device__ void block(int) const { objective<threads>(op); }
};

/// Combines the values of a row's threads; each of them gets the result.  Once a block for each
/// Combine, which has `parts` of its own.
template <class Combine>
__device__ Real across_row(Real v, int lanes, Combine combine) {
  ELBO_SHARED(parts, Real[row_threads / 32]);
#pragma unroll
  for (int distance = 16; distance; distance /= 2)
    v = combine(v, __shfl_xor_sync(~0u, v, distance));
  if (lanes == 32) return v;
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  v = parts[0];
  for (int w = 1; w < row_threads / 32; ++w) v = combine(v, parts[w]);
  return v;
}

/// The importance-weighted bound, a warp or a block for each datum.  Reads the log weights three
/// times, of which a cache serves two.
struct ImportanceBoundWork : RowsWork {
  ImportanceBound op;

  explicit ImportanceBoundWork(const ImportanceBound& op)
      : RowsWork(op.data(), op.samples), op(op) {}
  __device__ void block(int index) const {
    const RowPlace place(index, lanes);
    const bool mine = place.row < op.data();
    const int first = mine ? place.row * op.samples : 0, end = mine ? first + op.samples : 0;
    Real most = ImportanceBound::least;
    for (int r = first + place.lane; r < end; r += lanes) {
      const Real w = op.log_weight(r);
      most = w > most ? w : most;
    }
    most = across_row(most, lanes, [](Real a, Real b) { return a > b ? a : b; });
    Real total = 0;
    for (int r = first + place.lane; r < end; r += lanes)
      total += elbo::exp(op.log_weight(r) - most);
    total = across_row(total, lanes, [](Real a, Real b) { return a + b; });
    if (!mine) return;
    if (place.lane == 0 && op.bound.present())
      op.bound(place.row, 0) = most + std::log(total / Real(op.samples));
    if (!op.weights.present()) return;
    const Real share = op.weight(place.row) / total;
    for (int r = first + place.lane; r < end; r += lanes)
      op.weights(r, 0) = share * elbo::exp(op.log_weight(r) - most);
  }
};

struct GradientTable {
  static constexpr int most = 64;
  Matrix gradients[most];
};
static_assert(sizeof(GradientTable) <= 4096);

/// squares(0, first + i) = the sum of squares of gradient i, a block each.  Reads them once.
struct SquaresWork {
  static constexpr int threads = sum_threads, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  GradientTable table;
  int count, first;
  Matrix squares;

  HD int blocks() const { return count; }
  __device__ void block(int index) const {
    const double sum = block_sum<threads>(share_of_all<threads>(
        table.gradients[index], [](Real x) { return double(x) * double(x); }));
    if (threadIdx.x == 0) squares(0, first + index) = Real(sum);
  }
};

/// What one thread does.
struct ClipWork {
  static constexpr int threads = 32, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  Matrix squares, scale;
  int count;
  Real limit;

  HD int blocks() const { return 1; }
  __device__ void block(int) const {
    if (threadIdx.x > 0) return;
    double total = 0;
    for (int i = 0; i < count; ++i) total += squares(0, i);
    const double ratio = double(limit) / std::sqrt(total);
    scale(0, 0) = ratio > 1 ? Real(1) : Real(ratio);  // keeps a NaN
  }
};

struct AdvanceWork {
  static constexpr int threads = 32, resident = 1;
  static constexpr std::size_t shared_bytes = 0;
  Advance op;
  HD int blocks() const { return 1; }
  __device__ void block(int) const {
    if (threadIdx.x == 0) op.move();
  }
};

}  // namespace elbo::inline ELBO_TARGET
