#pragma once
#include <algorithm>
#include <memory>

#include "kernels/cpu/multiply.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/operations.h"

namespace elbo::cpu {

/// Uninitialised memory of the calling thread, kept from call to call.
inline Real* scratch(std::size_t count) {
  thread_local std::unique_ptr<Real[]> memory;
  thread_local std::size_t size = 0;
  if (size < count) memory.reset(new Real[size = count]);
  return memory.get();
}

/// The skeletons on the host.  Work is cut into tiles of fixed size, whatever the number of
/// threads, and every sum has a fixed order: results do not depend on who did what.
struct Skeletons {
  static constexpr int tile_rows = 64, tile_columns = 1024, map_rows_per_task = 16;

  template <class F>
  void with(const Activation& activation, F&& f) const {
    std::visit(f, activation);
  }

  template <class Body>
  void map(int rows, int columns, Body body) const {
    each(rows, map_rows_per_task, [&](int r) {
      for (int c = 0; c < columns; ++c) body(r, c);
    });
  }

  template <class Body>
  void map_rows(Matrix in, Body body) const {
    each(in.rows, map_rows_per_task,
         [&](int r) { finish_row(body, r, 0, in.columns / Body::width, in.row(r), 0); });
  }

  template <class Body>
  void row_sums(int rows, int columns, Matrix out, Body body) const {
    each(rows, map_rows_per_task, [&](int r) {
      double sum = 0;
      for (int c = 0; c < columns; ++c) sum += body(r, c);
      out(r, 0) = Real(sum);
    });
  }

  int column_tiles(const Product& op, int) const { return divide_up(op.columns(), tile_columns); }

  template <class Body>
  void gemm(const Product& op, Body body) const {
    static_assert(tile_columns % Body::width == 0 || Body::width == 3);
    constexpr int step = tile_columns / Body::width * Body::width;
    const int tiles = divide_up(op.columns(), step);
    ThreadPool::shared().run(divide_up(op.rows(), tile_rows) * tiles, [&](int task) {
      const int first = task / tiles * tile_rows, column = task % tiles * step;
      const int m = std::min(tile_rows, op.rows() - first), n = std::min(step, op.columns() - column);
      Real* const tile = scratch(std::size_t(m) * padded(n));
      multiply(false, op.b_transposed, m, n, op.depth(), op.a.row(first), op.a.stride,
               op.b_transposed ? op.b.row(column) : op.b.data + column, op.b.stride, tile,
               padded(n));
      for (int r = 0; r < m; ++r)
        finish_row(body, first + r, column / Body::width, n / Body::width, tile + r * padded(n),
                   task % tiles);
    });
  }

  void weight_gradients(const WeightGradients&) const;
  void column_sum(const ColumnSum&) const;
  void objective(const Objective&) const;
  void update_all(const UpdateAll&) const;
  void clip_scale(const ClipScale&) const;
  void advance(const Advance&) const;

 private:
  static int divide_up(int a, int b) { return (a + b - 1) / b; }

  template <class F>
  static void each(int rows, int rows_per_task, F&& f) {
    ThreadPool::shared().run(divide_up(rows, rows_per_task), [&](int task) {
      const int end = std::min(rows, (task + 1) * rows_per_task);
      for (int r = task * rows_per_task; r < end; ++r) f(r);
    });
  }

  /// The body over `units` units of one row whose numbers lie at `numbers`, the first being `unit`.
  template <class Body>
  static void finish_row(const Body& shared, int r, int unit, int units, const Real* numbers,
                         int tile) {
    const Body body = shared;
    Vec<Body::width> v;
    if constexpr (Body::sums) {
      double sum = 0;
      for (int u = 0; u < units; ++u) {
        std::copy_n(numbers + u * Body::width, Body::width, v.v);
        sum += body(r, unit + u, v);
      }
      if (body.op.terms.present()) body.op.terms(r, tile) = Real(sum);
    } else {
#pragma GCC ivdep
      for (int u = 0; u < units; ++u) {
        std::copy_n(numbers + u * Body::width, Body::width, v.v);
        body(r, unit + u, v);
      }
    }
  }
};

}  // namespace elbo::cpu
