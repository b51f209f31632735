#pragma once
#include "kernels/cuda/gemm.cuh"

// Where gradients go, many parameters to a launch: tables small enough (4 KB) for a kernel's
// arguments, so that a recorded launch needs no memory of its own.
namespace elbo::inline ELBO_TARGET {

/// A Sink without what its views share.
struct Target {
  Real *gradient = nullptr, *w = nullptr, *m = nullptr, *v = nullptr;
  const Real* clip = nullptr;
  int gradient_stride = 0, w_stride = 0, m_stride = 0, v_stride = 0;
  bool accumulate = false, updates = false;
  UpdateRule rule;
  Scale rate;

  Target() = default;
  explicit Target(const Update& u)
      : w(u.w.data),
        m(u.m.data),
        v(u.v.data),
        clip(u.clip.data),
        w_stride(u.w.stride),
        m_stride(u.m.stride),
        v_stride(u.v.stride),
        updates(true),
        rule(u.rule),
        rate(u.rate) {}
  explicit Target(const Sink& sink) : Target(sink.updates ? Target(sink.update) : Target()) {
    gradient = sink.gradient.data, gradient_stride = sink.gradient.stride;
    accumulate = sink.accumulate;
  }
  HD bool present() const { return gradient || updates; }
};

/// What a rule computes once a step: by one thread, in shared memory for all.
struct alignas(16) NowStorage {
  unsigned char bytes[64];
};

__device__ inline void prepare(const Target& target, NowStorage& storage) {
  open(target.rule, [&]<class Rule>(const Rule& rule) {
    static_assert(sizeof(typename Rule::Now) <= sizeof(NowStorage));
    const std::uint64_t step = target.rate.state ? target.rate.state->step : 0;
    *reinterpret_cast<typename Rule::Now*>(storage.bytes) = rule.now(target.rate.value(), step + 1);
  });
}

/// Reads `count` ≤ Piece::count neighbours: whole pieces at once, an edge one by one, because what
/// lies behind a view's columns may be another's.
__device__ inline Piece fetch(const Real* from, int count) {
  if (count == Piece::count) return *reinterpret_cast<const Piece*>(from);
  Piece piece = {};
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    if (e < count) piece.v[e] = from[e];
  return piece;
}
__device__ inline void put(Real* to, const Piece& piece, int count) {
  if (count == Piece::count) {
    *reinterpret_cast<Piece*>(to) = piece;
    return;
  }
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    if (e < count) to[e] = piece.v[e];
}

/// The update rule on the `count` weights from (r, c) on, whose gradients are g.
template <class Rule>
__device__ void update(const Target& t, const Rule& rule, const typename Rule::Now& now, Real clip,
                       int r, int c, int count, const Piece& g) {
  Real* const w = t.w + std::ptrdiff_t(r) * t.w_stride + c;
  Real* const m = t.m ? t.m + std::ptrdiff_t(r) * t.m_stride + c : nullptr;
  Real* const v = t.v ? t.v + std::ptrdiff_t(r) * t.v_stride + c : nullptr;
  Piece new_w = fetch(w, count), new_m = {}, new_v = {};
  if (m) new_m = fetch(m, count);
  if (v) new_v = fetch(v, count);
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    rule.step(now, clip * g.v[e], new_w.v[e], new_m.v[e], new_v.v[e]);
  put(w, new_w, count);
  if (m) put(m, new_m, count);
  if (v) put(v, new_v, count);
}

/// Calls f(store) with what to do with a piece of gradient: store(r, c, count, piece).
template <class F>
__device__ void with_target(const Target& t, const NowStorage& storage, F&& each) {
  if (t.gradient)
    each([&](int r, int c, int count, const Piece& g) {
      Real* const to = t.gradient + std::ptrdiff_t(r) * t.gradient_stride + c;
      Piece sum = g;
      if (t.accumulate) {
        const Piece old = fetch(to, count);
#pragma unroll
        for (int e = 0; e < Piece::count; ++e) sum.v[e] += old.v[e];
      }
      put(to, sum, count);
    });
  if (t.updates)
    open(t.rule, [&]<class Rule>(const Rule& rule) {
      const auto now = *reinterpret_cast<const typename Rule::Now*>(storage.bytes);
      const Real clip = t.clip ? *t.clip : Real(1);
      each([&](int r, int c, int count, const Piece& g) {
        update(t, rule, now, clip, r, c, count, g);
      });
    });
}

struct LayerGradient {
  Operand dy, x;
  int batch = 0, first_block = 0;
  Target weight, bias;
};
struct LayerTable {
  static constexpr int most = tiling::layers_per_launch;
  int count = 0;
  LayerGradient layers[most];
};
static_assert(sizeof(LayerTable) <= 4096);

/// Every layer's dyᵀ x, and the column sums of dy beside it.  Blocks are counted through the
/// table; within a layer, along the columns first.
///
/// A layer of O outputs and I inputs at batch B: 2 B O I flops; reads
/// sizeof(Real) B (O ⌈I/BN⌉ + I ⌈O/BM⌉) bytes; an update reads and writes 3 O I numbers more.
template <class Tile, class Mainloop>
__global__ void __launch_bounds__(Tile::threads, Tile::resident)
    weight_gradients_kernel(const __grid_constant__ LayerTable table) {
  using Product = BlockProduct<Tile, Mainloop, false, false>;
  ELBO_DYNAMIC_SHARED(shared, Real);
  ELBO_SHARED(now, NowStorage[2]);
  ELBO_SHARED(parts, Real[Tile::threads]);
  begin();
  int index = 0;
  while (index + 1 < table.count && int(blockIdx.x) >= table.layers[index + 1].first_block) ++index;
  const LayerGradient& layer = table.layers[index];
  const int outputs = layer.dy.extent, inputs = layer.x.extent;
  const int across = tiling::divide_up(inputs, Tile::columns);
  const int tile = int(blockIdx.x) - layer.first_block;
  const int first_row = tile / across * Tile::rows, first_column = tile % across * Tile::columns;
  const bool sums = layer.bias.present() && first_column == 0;

  // The bias: thread (part, column) sums every `interleave`-th row of dy from the product's own
  // panels, which hold it unrounded.
  constexpr int interleave = Tile::threads / Tile::rows;
  const int column = int(threadIdx.x) % Tile::rows, part = int(threadIdx.x) / Tile::rows;
  Real sum = 0;
  Product::multiply(
      shared, layer.dy, layer.x, first_row, first_column, layer.batch,
      [&] {
        if (threadIdx.x == 0 && layer.weight.updates) prepare(layer.weight, now[0]);
        if (threadIdx.x == 32 && sums && layer.bias.updates) prepare(layer.bias, now[1]);
      },
      [&](const Real* dy) {
        if (sums)
          for (int k = part; k < Tile::depth; k += interleave)
            sum += dy[Product::A::index(column, k)];
      });

  with_target(layer.weight, now[0], [&](auto&& store) {
    constexpr int pieces = Tile::columns / Piece::count;
    for (int i = int(threadIdx.x); i < Tile::rows * pieces; i += Tile::threads) {
      const int r = i / pieces, c = i % pieces * Piece::count;
      const int left = inputs - first_column - c;
      if (first_row + r >= outputs || left <= 0) continue;
      Piece g;
#pragma unroll
      for (int e = 0; e < Piece::count; ++e) g.v[e] = Product::at(shared, r, c + e);
      store(first_row + r, first_column + c, left < Piece::count ? left : Piece::count, g);
    }
  });

  if (!sums) return;  // the whole block
  parts[threadIdx.x] = sum;
  __syncthreads();
  if (part > 0 || first_row + column >= outputs) return;
  Piece g = {};
#pragma unroll
  for (int p = 0; p < interleave; ++p) g.v[0] += parts[p * Tile::rows + column];
  with_target(layer.bias, now[1], [&](auto&& store) { store(0, first_row + column, 1, g); });
}

struct UpdateEntry {
  Target target;
  const Real* in = nullptr;
  int in_stride = 0, rows = 0, columns = 0, first_block = 0;
};
struct UpdateTable {
  static constexpr int most = 16, threads = 256, pieces_per_block = 4 * threads;
  int count = 0;
  UpdateEntry entries[most];
};
static_assert(sizeof(UpdateTable) <= 4096);

/// Every parameter's update from its stored gradient: reads 4 and writes 3 numbers a weight (Adam).
__global__ void __launch_bounds__(UpdateTable::threads)
    update_all_kernel(const __grid_constant__ UpdateTable table) {
  ELBO_SHARED(now, NowStorage);
  begin();
  int index = 0;
  while (index + 1 < table.count && int(blockIdx.x) >= table.entries[index + 1].first_block)
    ++index;
  const UpdateEntry& entry = table.entries[index];
  if (threadIdx.x == 0) prepare(entry.target, now);
  __syncthreads();
  const unsigned across = unsigned(tiling::divide_up(entry.columns, Piece::count));
  const unsigned pieces = across * unsigned(entry.rows);
  const unsigned first = (blockIdx.x - unsigned(entry.first_block)) * UpdateTable::pieces_per_block;
  with_target(entry.target, now, [&](auto&& store) {
    for (unsigned i = first + threadIdx.x; i < first + UpdateTable::pieces_per_block && i < pieces;
         i += UpdateTable::threads) {
      const int r = int(i / across), c = int(i % across) * Piece::count;
      const int left = entry.columns - c, count = left < Piece::count ? left : Piece::count;
      store(r, c, count, fetch(entry.in + std::ptrdiff_t(r) * entry.in_stride + c, count));
    }
  });
}

}  // namespace elbo::inline ELBO_TARGET
