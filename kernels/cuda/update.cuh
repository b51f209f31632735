#pragma once
#include "kernels/cuda/reduce.cuh"

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

/// What a rule computes once a step, and whether it is to be followed: by one thread, in shared
/// memory for all.
struct alignas(16) NowStorage {
  unsigned char bytes[64];
  bool halted;
};

__device__ inline void prepare(const Target& target, NowStorage& storage) {
  storage.halted = halted(target.rate.state);
  open(target.rule, [&]<class Rule>(const Rule& rule) {
    static_assert(sizeof(typename Rule::Now) <= sizeof storage.bytes);
    const std::uint64_t step = target.rate.state ? target.rate.state->step : 0;
    *reinterpret_cast<typename Rule::Now*>(storage.bytes) = rule.now(target.rate.value(), step + 1);
  });
}

/// The update rule on the `count` weights from (r, c) on, whose gradients are g.
template <class Rule>
__device__ void update(const Target& t, const Rule& rule, const typename Rule::Now& now, Real clip,
                       int r, int c, int count, const Piece& g) {
  Real* const w = t.w + std::ptrdiff_t(r) * t.w_stride + c;
  Real* const m = t.m ? t.m + std::ptrdiff_t(r) * t.m_stride + c : nullptr;
  Real* const v = t.v ? t.v + std::ptrdiff_t(r) * t.v_stride + c : nullptr;
  Piece new_w = fetch_piece(w, count), new_m = {}, new_v = {};
  if (m) new_m = fetch_piece(m, count);
  if (v) new_v = fetch_piece(v, count);
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    rule.step(now, clip * g.v[e], new_w.v[e], new_m.v[e], new_v.v[e]);
  put_piece(w, new_w, count);
  if (m) put_piece(m, new_m, count);
  if (v) put_piece(v, new_v, count);
}

/// Calls f(store) with what to do with a piece of gradient: store(r, c, count, piece).
template <class F>
__device__ void with_target(const Target& t, const NowStorage& storage, F&& each) {
  if (t.gradient)
    each([&](int r, int c, int count, const Piece& g) {
      Real* const to = t.gradient + std::ptrdiff_t(r) * t.gradient_stride + c;
      Piece sum = g;
      if (t.accumulate) {
        const Piece old = fetch_piece(to, count);
#pragma unroll
        for (int e = 0; e < Piece::count; ++e) sum.v[e] += old.v[e];
      }
      put_piece(to, sum, count);
    });
  if (t.updates && !storage.halted)
    open(t.rule, [&]<class Rule>(const Rule& rule) {
      const auto now = *reinterpret_cast<const typename Rule::Now*>(storage.bytes);
      const Real clip = t.clip ? *t.clip : Real(1);
      each([&](int r, int c, int count, const Piece& g) {
        update(t, rule, now, clip, r, c, count, g);
      });
    });
}

struct LayerGradient {
  Operand dy, x;  // x of extent 0: a bias alone
  int batch = 0, first_block = 0;
  Target weight, bias;
};
struct LayerTable {
  static constexpr int most = tiling::layers_per_launch;
  int count = 0, blocks = 0;
  LayerGradient layers[most];
};

/// Every layer's dyᵀ x, and the column sums of dy beside it.  Blocks are counted through the
/// table; within a layer, along the columns first.  With a tail, one block more works out the
/// objective, and the block that ends last moves the counters, which the others have read.
///
/// A layer of O outputs and I inputs at batch B: 2 B O I flops; reads
/// sizeof(Real) B (O ⌈I/BN⌉ + I ⌈O/BM⌉) bytes; an update reads and writes 3 O I numbers more.
template <class Tile, class Mainloop>
struct WeightGradientsWork {
  using Product = BlockProduct<Tile, Mainloop, false, false>;
  static constexpr int threads = Tile::threads, resident = Tile::resident;
  static constexpr std::size_t shared_bytes = Product::shared_bytes;
  LayerTable table;
  Tail tail;

  static int tiles(int outputs, int inputs) {
    if (inputs == 0) return tiling::divide_up(outputs, ColumnSumWork::columns);
    return int(tiling::tiles<Tile>(outputs, inputs, 1));
  }
  HD int blocks() const { return table.blocks + (tail.objective.count > 0); }

  __device__ void block(int index) const {
    if (index == table.blocks) {
      objective<threads>(tail.objective);
    } else {
      int i = 0;
      while (i + 1 < table.count && index >= table.layers[i + 1].first_block) ++i;
      const LayerGradient& layer = table.layers[i];
      if (layer.x.extent == 0) bias(layer, index - layer.first_block);
      else weight(layer, index - layer.first_block);
    }
    if (tail.advance.state) end(*tail.advance.state);
  }

 private:
  /// What reads the counters, prepare() and objective(), does so in threads that meet this one
  /// before.
  __device__ void end(StepState& state) const {
    if (threadIdx.x > 0) return;
    __threadfence();
    if (atomicAdd(&state.blocks, 1u) + 1 < unsigned(blocks())) return;
    __threadfence();
    state.blocks = 0;
    tail.advance.move();
  }

  __device__ static void bias(const LayerGradient& layer, int tile) {
    ELBO_SHARED(now, NowStorage);
    if (threadIdx.x == 0 && layer.bias.updates) prepare(layer.bias, now);
    const int columns = ColumnSumWork::columns;
    const int column = tile * columns + int(threadIdx.x) % columns;
    Piece g = {};
    g.v[0] = column_total(layer.dy, layer.batch, column);
    if (int(threadIdx.x) < columns && column < layer.dy.extent)
      with_target(layer.bias, now, [&](auto&& store) { store(0, column, 1, g); });
  }

  __device__ static void weight(const LayerGradient& layer, int tile) {
    ELBO_DYNAMIC_SHARED(shared, Real);
    ELBO_SHARED(now, NowStorage[2]);
    ELBO_SHARED(parts, Real[Tile::threads]);
    const int outputs = layer.dy.extent, inputs = layer.x.extent;
    const int across = tiling::divide_up(inputs, Tile::columns);
    const int first_row = tile / across * Tile::rows, first_column = tile % across * Tile::columns;
    const bool sums = layer.bias.present() && first_column == 0;

    // The bias: thread (part, column) sums every `interleave`-th row of dy from the product's own
    // panels, which hold it unrounded.
    constexpr int interleave = Tile::threads / Tile::rows;
    const int column = int(threadIdx.x) % Tile::rows, part = int(threadIdx.x) / Tile::rows;
    Real sum = 0;
    Product::multiply(
        shared, Copied<typename Product::A>{layer.dy, first_row}, layer.x, first_column,
        layer.batch,
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
};

struct UpdateEntry {
  Target target;
  const Real* in = nullptr;
  int in_stride = 0, rows = 0, columns = 0, first_block = 0;
};
struct UpdateTable {
  static constexpr int most = tiling::updates_per_launch;
  int count = 0, blocks = 0;
  UpdateEntry entries[most];
};

/// Every parameter's update from its stored gradient: reads 4 and writes 3 numbers a weight (Adam).
struct UpdateAllWork {
  static constexpr int threads = block_threads, resident = 1, pieces_per_block = 8 * threads;
  static constexpr std::size_t shared_bytes = 0;
  UpdateTable table;

  HD int blocks() const { return table.blocks; }
  __device__ void block(int at) const {
    ELBO_SHARED(now, NowStorage);
    int index = 0;
    while (index + 1 < table.count && at >= table.entries[index + 1].first_block) ++index;
    const UpdateEntry& entry = table.entries[index];
    if (threadIdx.x == 0) prepare(entry.target, now);
    __syncthreads();
    const unsigned across = unsigned(tiling::divide_up(entry.columns, Piece::count));
    const unsigned pieces = across * unsigned(entry.rows);
    const unsigned first = unsigned(at - entry.first_block) * pieces_per_block;
    with_target(entry.target, now, [&](auto&& store) {
      for (unsigned i = first + threadIdx.x; i < first + pieces_per_block && i < pieces;
           i += threads) {
        const int r = int(i / across), c = int(i % across) * Piece::count;
        const int left = entry.columns - c, count = left < Piece::count ? left : Piece::count;
        store(r, c, count, fetch_piece(entry.in + std::ptrdiff_t(r) * entry.in_stride + c, count));
      }
    });
  }
};

/// Arguments of a kernel that tables may fill; CUDA takes 32 KB of them from 12.1 on.
static_assert(sizeof(WeightGradientsWork<tiling::Large, Fma>) <= 8192 &&
              sizeof(UpdateAllWork) <= 8192);

}  // namespace elbo::inline ELBO_TARGET
