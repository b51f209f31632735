#pragma once
#include "kernels/cuda/simt.cuh"
#include "kernels/cuda/tiling.h"
#include "kernels/operations.h"

// Products of matrices: a block multiplies one tile, leaves it in shared memory, and an epilogue
// (or the drain of a weight gradient) takes it from there.
namespace elbo::inline ELBO_TARGET {

/// What a launch does, `blocks()` blocks of Work::threads threads calling block(i) once each: a
/// kernel of its own, or a phase of the persistent one (persistent.cuh), where a block goes on with
/// another i after a barrier.  Dynamic shared memory: Work::shared_bytes.
template <class Work>
__global__ void __launch_bounds__(Work::threads, Work::resident)
    work_kernel(const __grid_constant__ Work work) {
  griddepcontrol_wait();  // its blocks may be there before the kernel in front of it has ended
  griddepcontrol_launch_dependents();
  work.block(int(blockIdx.x));
}

/// One factor of a product: `extent` rows (or columns) of the result meet in the depth.
struct Operand {
  const Real* data;
  int stride, extent;
};

/// 16 bytes of numbers.
struct alignas(16) Piece {
  static constexpr int count = 16 / int(sizeof(Real));
  Real v[count];
};

/// Reads `count` ≤ Piece::count neighbours: whole pieces at once, an edge one by one, because what
/// lies behind a view's columns may be another's.
__device__ inline Piece fetch_piece(const Real* from, int count) {
  if (count == Piece::count) return *reinterpret_cast<const Piece*>(from);
  Piece piece = {};
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    if (e < count) piece.v[e] = from[e];
  return piece;
}
__device__ inline void put_piece(Real* to, const Piece& piece, int count) {
  if (count == Piece::count) {
    *reinterpret_cast<Piece*>(to) = piece;
    return;
  }
#pragma unroll
  for (int e = 0; e < Piece::count; ++e)
    if (e < count) to[e] = piece.v[e];
}

/// A tile of an operand in shared memory: line by line as in global memory, the lines being rows
/// (numbers next to each other along the depth) or steps of the depth.
///
/// The padding puts the 8 x 4 numbers of a fragment into 32 different banks in both cases.
template <bool depth_inner, int extent, int depth, int threads_>
struct Panel {
  static constexpr bool inner_is_depth = depth_inner;
  static constexpr int threads = threads_;
  static constexpr int lines = depth_inner ? extent : depth, length = depth_inner ? depth : extent;
  static constexpr int stride = length + (depth_inner ? 4 : 8), size = lines * stride;
  __device__ static constexpr int index(int i, int k) {
    return depth_inner ? i * stride + k : k * stride + i;
  }

  /// Starts copying the tile at (first, k); what lies outside the matrix becomes zero.
  __device__ static void load(Real* panel, const Operand& from, int first, int k, int end) {
    constexpr int across = length / Piece::count, step = threads / across;
    const int line = int(threadIdx.x) / across, at = int(threadIdx.x) % across * Piece::count;
    const int first_line = (depth_inner ? first : k) + line,
              end_line = depth_inner ? from.extent : end;
    const int inner = (depth_inner ? k : first) + at,
              left = (depth_inner ? end : from.extent) - inner;
    const int valid = left >= Piece::count ? 16 : left > 0 ? left * int(sizeof(Real)) : 0;
    Real* const to = panel + line * stride + at;
#pragma unroll
    for (int i = 0; i < lines; i += step) {
      const bool inside = valid > 0 && first_line + i < end_line;
      cp_async<16>(
          to + i * stride,
          inside ? from.data + std::ptrdiff_t(first_line + i) * from.stride + inner : from.data,
          inside ? valid : 0);
    }
  }
};

// A mainloop's Sum<A, B> holds a warp's 32x32 numbers and knows where each lies in the tile:
// add() adds the products of `depth` steps from k on, store() writes the numbers down.

/// Multiply and add in Real: 8 x 4 numbers a thread.
struct Fma {
  template <class A, class B>
  struct Sum {
    Real sum[8][4] = {};

    __device__ static int row_of(int i) {
      return i / Piece::count * 4 * Piece::count + int(threadIdx.x) % 32 / 8 * Piece::count +
             i % Piece::count;
    }
    // Lanes beside each other take lines beside each other, or pieces beside each other.
    __device__ static int column_of(int j) {
      const int group = int(threadIdx.x) % 8;
      return B::inner_is_depth
                 ? group + 8 * j
                 : j / Piece::count * 8 * Piece::count + group * Piece::count + j % Piece::count;
    }
    template <class P, int count, class Of>
    __device__ static void fetch(Real (&out)[Piece::count][count], const Real* panel, int first,
                                 int k, Of of) {
#pragma unroll
      for (int i = 0; i < count; i += P::inner_is_depth ? 1 : Piece::count)
#pragma unroll
        for (int p = 0; p < (P::inner_is_depth ? 1 : Piece::count); ++p) {
          const Piece piece =
              *reinterpret_cast<const Piece*>(panel + P::index(first + of(i), k + p));
#pragma unroll
          for (int e = 0; e < Piece::count; ++e)
            (P::inner_is_depth ? out[e][i] : out[p][i + e]) = piece.v[e];
        }
    }
    template <int depth>
    __device__ void add(const Real* a, const Real* b, int row, int column, int k) {
      for (int end = k + depth; k < end; k += Piece::count) {
        Real x[Piece::count][8], y[Piece::count][4];
        fetch<A>(x, a, row, k, row_of);
        fetch<B>(y, b, column, k, column_of);
#pragma unroll
        for (int p = 0; p < Piece::count; ++p)
#pragma unroll
          for (int i = 0; i < 8; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) sum[i][j] = fused(x[p][i], y[p][j], sum[i][j]);
      }
    }
    __device__ void store(Real* tile, int stride) const {
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) tile[row_of(i) * stride + column_of(j)] = sum[i][j];
    }
  };
};

#ifndef ELBO_DOUBLE

/// What the tensor-core mainloops share: 2 x 4 tiles of 16x8 numbers a warp, and the float
/// fragments of eight steps of the depth.
template <class A, class B>
struct TensorSum {
  float sum[2][4][4] = {};

  __device__ static void fragments(uint32_t (&x)[2][4], uint32_t (&y)[4][2], const float* a,
                                   const float* b, int row, int column, int k) {
    const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 2; ++i)
      if constexpr (A::inner_is_depth) {
        ldmatrix_x4(x[i], a + A::index(row + 16 * i + lane % 16, k + lane / 16 * 4));
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          x[i][e] = __float_as_uint(a[A::index(row + 16 * i + g + e % 2 * 8, k + t + e / 2 * 4)]);
      }
#pragma unroll
    for (int j = 0; j < 4; j += 2)
      if constexpr (B::inner_is_depth) {
        uint32_t both[4];
        ldmatrix_x4(both,
                    b + B::index(column + 8 * j + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 4));
        y[j][0] = both[0], y[j][1] = both[1], y[j + 1][0] = both[2], y[j + 1][1] = both[3];
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          y[j + e / 2][e % 2] =
              __float_as_uint(b[B::index(column + 8 * (j + e / 2) + g, k + t + e % 2 * 4)]);
      }
  }
  __device__ void store(float* tile, int stride) const {
    const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 4; e += 2)
          *reinterpret_cast<float2*>(tile + (16 * i + g + e * 4) * stride + 8 * j + 2 * t) =
              make_float2(sum[i][j][e], sum[i][j][e + 1]);
  }
};

/// Factors rounded to tf32 (10 bits after the point, ties away from zero), sums in float.
struct Tf32 {
  template <class A, class B>
  struct Sum : TensorSum<A, B> {
    template <int depth>
    __device__ void add(const float* a, const float* b, int row, int column, int k) {
#pragma unroll
      for (int at = 0; at < depth; at += 8) {
        uint32_t x[2][4], y[4][2];
        this->fragments(x, y, a, b, row, column, k + at);
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e) x[i][e] = to_tf32(__uint_as_float(x[i][e]));
#pragma unroll
        for (int j = 0; j < 4; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e) y[j][e] = to_tf32(__uint_as_float(y[j][e]));
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) mma_m16n8k8_tf32(this->sum[i][j], x[i], y[j]);
      }
    }
  };
};

/// Factors rounded to bf16 (7 bits after the point, ties to even), sums in float.
///
/// A fragment wants neighbours of the depth in one register; which steps count as neighbours is
/// ours to say, as long as both factors agree: k and k + 4, as the float fragments have them.
struct Bf16 {
  template <class A, class B>
  struct Sum : TensorSum<A, B> {
    __device__ static uint32_t pack(uint32_t low, uint32_t high) {
      return to_bf16x2(__uint_as_float(low), __uint_as_float(high));
    }
    template <int depth>
    __device__ void add(const float* a, const float* b, int row, int column, int k) {
#pragma unroll
      for (int at = 0; at < depth; at += 16) {
        uint32_t x[2][4], y[4][2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          uint32_t u[2][4], w[4][2];
          this->fragments(u, w, a, b, row, column, k + at + 8 * half);
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            x[i][2 * half] = pack(u[i][0], u[i][2]);
            x[i][2 * half + 1] = pack(u[i][1], u[i][3]);
          }
#pragma unroll
          for (int j = 0; j < 4; ++j) y[j][half] = pack(w[j][0], w[j][1]);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) mma_m16n8k16_bf16(this->sum[i][j], x[i], y[j]);
      }
    }
  };
};

#endif

/// A block's tile of a product: multiply() fills shared memory with it, at() reads it.
template <class Tile, class Mainloop, bool a_inner, bool b_inner>
struct BlockProduct {
  using A = Panel<a_inner, Tile::rows, Tile::depth, Tile::threads>;
  using B = Panel<b_inner, Tile::columns, Tile::depth, Tile::threads>;
  // The finished numbers take the place of the operands; + 8: a fragment's rows in different banks.
  static constexpr int stride = Tile::columns + 8;
  static constexpr int operands = Tile::stages * (A::size + B::size);
  static constexpr int finished = Tile::slices * Tile::rows * stride;
  static constexpr std::size_t shared_bytes =
      sizeof(Real) * (operands > finished ? operands : finished);

  /// `from` brings the panels of a: Operand's own copies, or Gathered's rows.  `meanwhile` runs
  /// once while the first copies are under way, `on_panel` on every tile of a.
  template <class From, class Meanwhile, class OnPanel>
  __device__ static void multiply(Real* shared, From&& from, const Operand& b, int first_column,
                                  int depth, Meanwhile&& meanwhile, OnPanel&& on_panel) {
    constexpr int across = Tile::columns / 32, warps = Tile::rows / 32 * across;
    constexpr int share = Tile::depth / Tile::slices, ahead = Tile::stages - 1;
    const int warp = int(threadIdx.x) / 32, slice = warp / warps;
    const int row = warp % warps / across * 32, column = warp % across * 32;
    const int steps = tiling::divide_up(depth, Tile::depth);
    Real* const panels_b = shared + Tile::stages * A::size;
    const auto panel_of = [&](int step) { return shared + step % Tile::stages * A::size; };
    const auto load = [&](int step) {
      if (step < steps) {
        const int k = step * Tile::depth;
        from.load(panel_of(step), k, depth);
        B::load(panels_b + step % Tile::stages * B::size, b, first_column, k, depth);
      }
      cp_async_commit();  // an empty group too: the wait below counts groups
    };

    typename Mainloop::template Sum<A, B> sum;
    for (int step = 0; step < ahead; ++step) {
      load(step);
      if (step < steps) from.put(panel_of(step), step * Tile::depth, depth);
    }
    meanwhile();
    for (int step = 0; step < steps; ++step) {
      cp_async_wait<Tile::stages - 2>();
      __syncthreads();  // this step's panels are there, and nobody reads those of the last
      load(step + ahead);
      on_panel(panel_of(step));
      sum.template add<share>(panel_of(step), panels_b + step % Tile::stages * B::size, row, column,
                              slice * share);
      if (step + ahead < steps)
        from.put(panel_of(step + ahead), (step + ahead) * Tile::depth, depth);
    }
    __syncthreads();  // nobody reads a panel; every copy was waited for: groups left are empty
    sum.store(shared + (slice * Tile::rows + row) * stride + column, stride);
    __syncthreads();
  }

  /// The number at (row, column) of the tile: its slices, in their order.
  __device__ static Real at(const Real* shared, int row, int column) {
    Real sum = shared[row * stride + column];
#pragma unroll
    for (int slice = 1; slice < Tile::slices; ++slice)
      sum += shared[(slice * Tile::rows + row) * stride + column];
    return sum;
  }
};

/// An epilogue within one row: what it works out once for a whole row, it does here.
template <class Body>
struct InRow {
  const Body& body;
  int row;
  __device__ auto operator()(int unit, const Vec<Body::width>& v) const {
    return body(row, unit, v);
  }
};
template <class Body>
__device__ auto in_row(const Body& body, int row) {
  if constexpr (requires { body.row(row); }) return body.row(row);
  else return InRow<Body>{body, row};
}

/// Hands a finished tile to an epilogue, neighbours in a row to neighbouring threads, and sums
/// what it returns over the tile's columns: a fixed order for a given shape.
template <class Product, class Tile, class Body>
__device__ void finish_tile(const Real* shared, const Body& body, int first_row, int rows,
                            int column_tile, int units) {
  constexpr int width = Body::width, across = Tile::columns / width;
  constexpr int lanes = across > 16 ? 32 : across > 8 ? 16 : 8;  // a row's threads
  const int lane = int(threadIdx.x) % lanes;
  for (int r = int(threadIdx.x) / lanes; r < Tile::rows; r += Tile::threads / lanes) {
    const int row = first_row + r;
    [[maybe_unused]] Real sum = 0;
    const int first = column_tile * across, some = units - first < across ? units - first : across;
    if (row < rows && lane < some) {
      const auto at = in_row(body, row);
      for (int u = lane; u < some; u += lanes) {
        const int unit = first + u;
        Vec<width> v;
#pragma unroll
        for (int k = 0; k < width; ++k) v[k] = Product::at(shared, r, u * width + k);
        if constexpr (Body::sums) sum += at(unit, v);
        else at(unit, v);
      }
    }
    if constexpr (Body::sums) {
#pragma unroll
      for (int distance = lanes / 2; distance; distance /= 2)
        sum += __shfl_xor_sync(~0u, sum, distance);
      if (lane == 0 && row < rows && body.op.terms.present()) body.op.terms(row, column_tile) = sum;
    }
  }
}

/// Where a product's left factor comes from: a matrix, copied panel by panel.
template <class Panel>
struct Copied {
  const Operand& a;
  int first;
  __device__ void load(Real* panel, int k, int end) const { Panel::load(panel, a, first, k, end); }
  __device__ void put(Real*, int, int) const {}
};

/// Or the data set itself: the rows of the batch, in the data's own type, become numbers on their
/// way into the panel, and one column of blocks leaves them in `out` for who reads them later.
///
/// 16 numbers a thread and panel.  Loads are issued before a step's multiplications and land after
/// them, as cp.async's would.
template <class Panel>
struct Gathered {
  static constexpr int count = 16, across = Panel::length / count;
  static_assert(Panel::inner_is_depth && Panel::lines * across == Panel::threads);

  const Gather& op;
  bool writes;
  int line, row;
  const unsigned char* data = nullptr;  // of this thread's row; null: it has none
  uint4 raw[4] = {};                    // its 16 numbers, in their own type

  __device__ Gathered(const Gather& op, int first, bool writes)
      : op(op), writes(writes), line(int(threadIdx.x) / across), row(first + line) {
    if (row < op.out.rows) data = op.source.row(op.source.row_of(op.batch.datum(row)));
  }
  __device__ static int column() { return int(threadIdx.x) % across * count; }
  __device__ void load(Real*, int k, int) {
    const int c = k + column(), left = op.out.columns - c;
    if (!data || left <= 0) return;
    if (op.source.type == Source::Type::bits) {
      raw[0].x = *reinterpret_cast<const std::uint16_t*>(data + c / 8);
    } else if (op.source.type == Source::Type::u8) {
      raw[0] = *reinterpret_cast<const uint4*>(data + c);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i)  // a row ends with a whole piece
        if (4 * i < left) raw[i] = reinterpret_cast<const uint4*>(data)[c / 4 + i];
    }
  }
  __device__ Real value(int i) const {
    if (op.source.type == Source::Type::bits) return Real(raw[0].x >> i & 1);
    if (op.source.type == Source::Type::u8)
      return Real(reinterpret_cast<const std::uint8_t*>(raw)[i]);
    return Real(reinterpret_cast<const float*>(raw)[i]);
  }
  __device__ void put(Real* panel, int k, int) const {
    const int first = k + column(), left = data ? op.out.columns - first : 0;
    Real* const to = panel + line * Panel::stride + column();
#pragma unroll
    for (int i = 0; i < count; i += Piece::count) {
      Piece piece = {};
#pragma unroll
      for (int e = 0; e < Piece::count; ++e)
        if (i + e < left) piece.v[e] = op.source.scale * value(i + e);
      *reinterpret_cast<Piece*>(to + i) = piece;
      if (writes && i < left)
        put_piece(op.out.row(row) + first + i, piece, min(left - i, Piece::count));
    }
  }
};

/// a b, or a bᵀ if b_transposed, and the epilogue.  Blocks are counted down the rows first.
///
/// 2 M N K flops and the epilogue's; reads sizeof(Real) K (M ⌈N/BN⌉ + N ⌈M/BM⌉) bytes and what the
/// epilogue reads, writes what the epilogue writes (traffic.h counts both).  A gathered factor is
/// read in its own type instead, and written once.
template <class Tile, class Mainloop, bool b_transposed, class Body, class Factor = Operand>
struct GemmWork {
  using Product = BlockProduct<Tile, Mainloop, true, b_transposed>;
  static constexpr bool gathers = std::is_same_v<Factor, Gather>;
  static constexpr int threads = Tile::threads, resident = Tile::resident;
  static constexpr int columns = tiling::usable(Tile::columns, Body::width);
  static constexpr std::size_t shared_bytes = Product::shared_bytes;
  static_assert(b_transposed || columns == Tile::columns, "16-byte copies need aligned columns");

  Factor a;
  Operand b;
  int rows, depth;
  Body body;

  HD int blocks() const {
    return tiling::divide_up(rows, Tile::rows) * tiling::divide_up(b.extent, columns);
  }
  __device__ void block(int index) const {
    ELBO_DYNAMIC_SHARED(shared, Real);
    const int down = tiling::divide_up(rows, Tile::rows);
    const int first_row = index % down * Tile::rows, across = index / down;
    const auto multiply = [&](auto&& from) {
      Product::multiply(shared, from, b, across * columns, depth, [] {}, [](const Real*) {});
    };
    using Panel = typename Product::A;
    if constexpr (gathers) multiply(Gathered<Panel>(a, first_row, across == 0));
    else multiply(Copied<Panel>{a, first_row});
    finish_tile<Product, Tile>(shared, body, first_row, rows, across, b.extent / Body::width);
  }
};

}  // namespace elbo::inline ELBO_TARGET
