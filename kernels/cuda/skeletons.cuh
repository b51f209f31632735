#pragma once
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/aggregate.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/update.cuh"
#include "kernels/ops.h"

namespace elbo::inline ELBO_TARGET {

/// In which products an epilogue occurs: after x Wᵀ (forward), after dy W (backward).  A kernel is
/// compiled for these forms alone; gemm() throws at the other.
template <class Body>
struct Forms {
  static constexpr bool forward = Body::sums, backward = false;  // sampling, likelihoods
};
template <>
struct Forms<StoreBody> {
  static constexpr bool forward = true, backward = true;
};
template <class Act>
struct Forms<BiasActivateBody<Act>> {
  static constexpr bool forward = true, backward = false;
};
template <class Act>
struct Forms<ActivationGradientBody<Act>> {
  static constexpr bool forward = false, backward = true;
};
template <>
struct Forms<LatentGradientBody> {
  static constexpr bool forward = false, backward = true;
};

/// The likelihoods that get kernels of their own.
template <class Law>
constexpr bool is_common = std::is_same_v<Law, Bernoulli> || std::is_same_v<Law, Gaussian> ||
                           std::is_same_v<Law, FixedGaussian> ||
                           std::is_same_v<Law, NegativeBinomial> ||
                           std::is_same_v<Law, ZeroInflatedNegativeBinomial>;

/// The skeletons as CUDA kernels, in the order of their stream.
///
/// A product's numbers are rounded to the precision as they are read; sums are in Real.  The double
/// build knows no precision but its own.
struct Skeletons {
  cudaStream_t stream = nullptr;
  Precision precision = Precision::fp32;
  bool overlap = false;  // a kernel's blocks may be placed while the kernel before it ends

  /// One kernel serves all activations: they differ by a few instructions, a kernel by a second of
  /// compile time.
  template <class F>
  void with(const Activation& activation, F&& f) const {
    f(AnyActivation{activation});
  }
  template <class F>
  void with(const Norm& norm, F&& f) const {
    f(AnyActivation{norm.activation}, Drops<-1>{});
  }
  /// A likelihood that is not often trained with shares its kernels with its like.
  template <class Law, int K, class F>
  void with(const Observe& op, const Law& law, F&& f) const {
    if constexpr (is_common<Law>) f(ObserveBody<Law, K>{op, law});
    else f(ObserveBody<Likelihood, K>{op, op.law});
  }

  template <class Body>
  void map(int rows, int columns, Body body) const {
    if (rows <= 0 || columns <= 0) return;
    int shift = 0;
    while (shift < 8 && 1 << shift < columns) ++shift;
    const int down = map_threads >> shift;
    const unsigned y = unsigned(std::min(tiling::divide_up(columns, 1 << shift), 256));
    const unsigned x = unsigned(std::min(tiling::divide_up(rows, down), 1 << 20));
    run(map_kernel<Body>, {x, y}, map_threads, 0, rows, columns, shift, body);
  }

  template <class Body>
  void map_rows(Matrix in, Body body) const {
    const int lanes = lanes_for(in.columns / Body::width);
    run(map_rows_kernel<Body>, rows_grid(in.rows, lanes), row_threads, 0, in, lanes, body);
  }

  template <class Body>
  void row_sums(int rows, int columns, Matrix out, Body body) const {
    const int lanes = lanes_for(columns);
    run(row_sums_kernel<Body>, rows_grid(rows, lanes), row_threads, 0, rows, columns, out, lanes,
        body);
  }

  template <class Body>
  void row_pass(int rows, int columns, const Body& body) const {
    const int lanes = lanes_for(columns);
    run(row_pass_kernel<Body>, rows_grid(rows, lanes), row_threads, 0, rows, lanes, body);
  }

  template <class Body>
  void column_pass(int columns, const Body& body) const {
    run(column_pass_kernel<Body>, unsigned(tiling::divide_up(columns, team_columns)), team_threads,
        0, columns, body);
  }

  int column_tiles(const Product& op, int width) const {
    return large(op, width) ? tiling::tiles_across<tiling::Large>(op.columns(), width)
                            : tiling::tiles_across<tiling::Small>(op.columns(), width);
  }

  template <class Body>
  void gemm(const Product& op, const Body& body) const {
    if constexpr (Forms<Body>::forward)
      if (op.b_transposed) return multiply<true>(op, body);
    if constexpr (Forms<Body>::backward)
      if (!op.b_transposed) return multiply<false>(op, body);
    throw std::logic_error(op.b_transposed
                               ? "this epilogue follows dy W only; no kernel has it after x Wᵀ"
                               : "this epilogue follows x Wᵀ only; no kernel has it after dy W");
  }

  void weight_gradients(const WeightGradients& op) const {
    constexpr std::size_t most = LayerTable::most;
    for (std::size_t first = 0; first < op.layers.size(); first += most) {
      const std::size_t end = std::min(op.layers.size(), first + most);
      std::int64_t tiles = 0;
      for (std::size_t i = first; i < end; ++i)
        tiles += tiling::tiles<tiling::Large>(op.layers[i].dy.columns, op.layers[i].x.columns, 1);
      with_mainloop([&]<class Mainloop>() {
        if (tiling::takes_large(tiles)) weight_gradients<tiling::Large, Mainloop>(op, first, end);
        else weight_gradients<tiling::Small, Mainloop>(op, first, end);
      });
    }
  }

  void column_sum(const ColumnSum& op) const {
    if (op.out.columns == 1 && op.in.columns != 1)
      run(total_kernel, 1, sum_threads, 0, op.in, op.out, op.accumulate);
    else
      run(column_sum_kernel, unsigned(tiling::divide_up(op.in.columns, 32)), 256, 0, op.in, op.out,
          op.accumulate);
  }

  void objective(const Objective& op) const { run(objective_kernel, 1, sum_threads, 0, op); }

  void aggregate_posterior(const AggregatePosterior& op) const {
    const int groups = tiling::divide_up(op.z.rows, aggregate_rows);
    run(aggregate_kernel, unsigned(groups * (op.z.columns + 1)), aggregate_threads, 0, op);
  }

  void update_all(const UpdateAll& op) const {
    constexpr std::size_t most = UpdateTable::most;
    for (std::size_t first = 0; first < op.updates.size(); first += most) {
      UpdateTable table;
      int blocks = 0;
      for (std::size_t i = first; i < std::min(op.updates.size(), first + most); ++i) {
        const Update& u = op.updates[i];
        UpdateEntry& entry = table.entries[table.count++];
        entry = {Target(u), u.in.data, u.in.stride, u.w.rows, u.w.columns, blocks};
        blocks += tiling::divide_up(u.w.rows * tiling::divide_up(u.w.columns, Piece::count),
                                    UpdateTable::pieces_per_block);
      }
      run(update_all_kernel, unsigned(blocks), UpdateTable::threads, 0, table);
    }
  }

  void clip_scale(const ClipScale& op) const {
    const int count = int(op.gradients.size());
    for (int first = 0; first < count; first += GradientTable::most) {
      GradientTable table;
      const int here = std::min(GradientTable::most, count - first);
      std::copy_n(op.gradients.begin() + first, here, table.gradients);
      run(squares_kernel, unsigned(here), sum_threads, 0, table, first, op.squares);
    }
    run(clip_kernel, 1, 32, 0, op.squares, op.scale, count, op.limit);
  }

  void advance(const Advance& op) const {
    run(advance_kernel, 1, 32, 0, op.state, unsigned(op.rows));
  }

 private:
  template <class... P, class... A>
  void run(void (*kernel)(P...), dim3 grid, int threads, std::size_t shared_bytes,
           const A&... arguments) const {
    Launch shape{grid, dim3(unsigned(threads))};
    shape.shared_bytes = shared_bytes, shape.stream = stream, shape.overlap = overlap;
    launch(kernel, shape, arguments...);
  }
  static dim3 rows_grid(int rows, int lanes) {
    return unsigned(tiling::divide_up(rows, row_threads / lanes));
  }
  static bool large(const Product& op, int width) {
    return tiling::takes_large(tiling::tiles<tiling::Large>(op.rows(), op.columns(), width));
  }

  template <class F>
  void with_mainloop(F&& f) const {
#ifndef ELBO_DOUBLE
    if (precision == Precision::tf32) return f.template operator()<Tf32>();
    if (precision == Precision::bf16) return f.template operator()<Bf16>();
#endif
    f.template operator()<Fma>();
  }

  template <bool b_transposed, class Body>
  void multiply(const Product& op, const Body& body) const {
    with_mainloop([&]<class Mainloop>() {
      if (large(op, Body::width)) multiply<tiling::Large, Mainloop, b_transposed>(op, body);
      else multiply<tiling::Small, Mainloop, b_transposed>(op, body);
    });
  }
  template <class Tile, class Mainloop, bool b_transposed, class Body>
  void multiply(const Product& op, const Body& body) const {
    const dim3 grid(unsigned(tiling::divide_up(op.rows(), Tile::rows)),
                    unsigned(tiling::tiles_across<Tile>(op.columns(), Body::width)));
    run(gemm_kernel<Tile, Mainloop, b_transposed, Body>, grid, Tile::threads,
        BlockProduct<Tile, Mainloop, true, b_transposed>::shared_bytes,
        Operand{op.a.data, op.a.stride, op.rows()}, Operand{op.b.data, op.b.stride, op.columns()},
        op.depth(), body);
  }

  template <class Tile, class Mainloop>
  void weight_gradients(const WeightGradients& op, std::size_t first, std::size_t end) const {
    LayerTable table;
    int blocks = 0;
    for (std::size_t i = first; i < end; ++i) {
      const WeightGradient& from = op.layers[i];
      LayerGradient& to = table.layers[table.count++];
      to.dy = {from.dy.data, from.dy.stride, from.dy.columns};
      to.x = {from.x.data, from.x.stride, from.x.columns};
      to.batch = from.dy.rows, to.first_block = blocks;
      to.weight = Target(from.weight), to.bias = Target(from.bias);
      blocks += int(tiling::tiles<Tile>(from.dy.columns, from.x.columns, 1));
    }
    run(weight_gradients_kernel<Tile, Mainloop>, unsigned(blocks), Tile::threads,
        BlockProduct<Tile, Mainloop, false, false>::shared_bytes, table);
  }
};

}  // namespace elbo::inline ELBO_TARGET
