#pragma once
#include <algorithm>
#include <limits>
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

/// One row, by loops: what f gives is worked out in pieces, so that the loop over f is vectorised.
struct RowTeam {
  static constexpr int piece = 128;

  template <class F>
  void each(int n, F&& f) const {
#pragma GCC ivdep
    for (int i = 0; i < n; ++i) f(i);
  }
  template <class F>
  auto sum(int n, F&& f) const {
    using Terms = decltype(f(0));
    constexpr int K = int(sizeof(Terms) / sizeof(Real));
    const auto here = f;
    double total[K] = {};
    Real terms[K][piece];
    for (int first = 0; first < n; first += piece) {
      const int count = std::min(piece, n - first);
#pragma GCC ivdep
      for (int i = 0; i < count; ++i) {
        const Terms v = here(first + i);
        for (int k = 0; k < K; ++k) terms[k][i] = v[k];
      }
      for (int k = 0; k < K; ++k)
        for (int i = 0; i < count; ++i) total[k] += terms[k][i];
    }
    Terms sums;
    for (int k = 0; k < K; ++k) sums[k] = Real(total[k]);
    return sums;
  }
  template <class F>
  Real max(int n, F&& f) const {
    Real most = -std::numeric_limits<Real>::infinity();
    for (int i = 0; i < n; ++i) most = larger(most, f(i));
    return most;
  }
  template <class F>
  void once(F&& f) const {
    f();
  }
  void meet() const {}
};

/// Adjacent columns of a matrix, walked row by row.
struct ColumnTeam {
  static constexpr int most = 16;  // floats of a cache line
  int first, count;

  template <class Numbers>
  struct PerColumn {
    static constexpr int K = int(sizeof(Numbers) / sizeof(Real));
    int first;
    Real v[K][most];
    Numbers operator()(int c) const {
      Numbers here;
      for (int k = 0; k < K; ++k) here[k] = v[k][c - first];
      return here;
    }
  };

  template <class F>
  void each(int n, F&& f) const {
    for (int i = 0; i < n; ++i) {
      const auto row = f(i);
#pragma GCC ivdep
      for (int c = first; c < first + count; ++c) row(c);
    }
  }
  template <class F>
  auto sum(int n, F&& f) const {
    using Terms = decltype(f(0)(0));
    PerColumn<Terms> sums{first, {}};
    double total[sums.K][most] = {};
    for (int i = 0; i < n; ++i) {
      const auto row = f(i);
#pragma GCC ivdep
      for (int c = 0; c < count; ++c) {
        const Terms v = row(first + c);
        for (int k = 0; k < sums.K; ++k) total[k][c] += v[k];
      }
    }
    for (int k = 0; k < sums.K; ++k)
      for (int c = 0; c < count; ++c) sums.v[k][c] = Real(total[k][c]);
    return sums;
  }
  template <class F>
  auto per_column(F&& f) const {
    using Numbers = decltype(f(0));
    PerColumn<Numbers> all{first, {}};
    for (int c = 0; c < count; ++c) {
      const Numbers v = f(first + c);
      for (int k = 0; k < all.K; ++k) all.v[k][c] = v[k];
    }
    return all;
  }
  template <class F>
  void columns(F&& f) const {
    for (int c = first; c < first + count; ++c) f(c);
  }
};

/// The skeletons on the host.  Work is cut into tiles of fixed size, whatever the number of
/// threads, and every sum has a fixed order: results do not depend on who did what.
struct Skeletons {
  static constexpr int tile_rows = 64, tile_columns = 1024, map_rows_per_task = 16;

  template <class F>
  void with(const Activation& activation, F&& f) const {
    std::visit(f, activation);
  }

  template <class F>
  void with(const Norm& norm, F&& f) const {
    std::visit(
        [&](const auto& activation) {
          if (norm.mask.present()) f(activation, Drops<1>{});
          else f(activation, Drops<0>{});
        },
        norm.activation);
  }

  /// Loops of the usual cases are compiled without a question in them, so that they vectorise.
  template <class Law, int K, class F>
  void with(const Observe& op, const Law& law, F&& f) const {
    using Any = ObserveBody<Law, K>;
    // With a parameter a feature beside it, it is trained with and without a bias.
    constexpr bool shared = K < Law::parameters;
    constexpr int step = Any::terms | Any::score | (shared ? Any::side_score | Any::feature : 0);
    constexpr int training = step | Any::bias;
    constexpr int other = shared ? step : Any::bias | Any::terms;
    const int present =
        (op.bias.present() ? Any::bias : 0) | (op.stored.present() ? Any::stored : 0) |
        (op.upstream.present() ? Any::upstream : 0) | (op.score.present() ? Any::score : 0) |
        (op.side_score.present() ? Any::side_score : 0) | (op.terms.present() ? Any::terms : 0) |
        (op.side.columns > 1 ? Any::feature : 0);
    if (present == training) return f(ObserveBody<Law, K, training>{op, law});
    if (present == other) return f(ObserveBody<Law, K, other>{op, law});
    f(Any{op, law});
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
      if (out.present()) out(r, 0) = Real(sum);
    });
  }

  template <class Body>
  void row_pass(int rows, int, const Body& shared) const {
    ThreadPool::shared().run(divide_up(rows, map_rows_per_task), [&](int task) {
      const Body body = shared;
      const int end = std::min(rows, (task + 1) * map_rows_per_task);
      for (int r = task * map_rows_per_task; r < end; ++r) body(r, RowTeam{});
    });
  }

  template <class Body>
  void column_pass(int columns, const Body& shared) const {
    ThreadPool::shared().run(divide_up(columns, ColumnTeam::most), [&](int task) {
      const Body body = shared;
      const int first = task * ColumnTeam::most;
      body(ColumnTeam{first, std::min(ColumnTeam::most, columns - first)});
    });
  }

  int column_tiles(const Product& op, int) const { return divide_up(op.columns(), tile_columns); }

  template <class Body>
  void gemm(const Product& op, Body body) const {
    static_assert(tile_columns % Body::width == 0 || Body::width == 3);
    if (op.gathers()) map(op.rows(), op.depth(), GatherBody{op.gather});
    constexpr int step = tile_columns / Body::width * Body::width;
    const int tiles = divide_up(op.columns(), step);
    ThreadPool::shared().run(divide_up(op.rows(), tile_rows) * tiles, [&](int task) {
      const int first = task / tiles * tile_rows, column = task % tiles * step;
      const int m = std::min(tile_rows, op.rows() - first),
                n = std::min(step, op.columns() - column);
      Real* const tile = scratch(std::size_t(m) * padded(n));
      multiply(false, op.b_transposed, m, n, op.depth(), op.a.row(first), op.a.stride,
               op.b_transposed ? op.b.row(column) : op.b.data + column, op.b.stride, tile,
               padded(n));
      for (int r = 0; r < m; ++r)
        finish_row(body, first + r, column / Body::width, n / Body::width, tile + r * padded(n),
                   task % tiles);
    });
  }

  /// A row's parameters first, so that the law's loop is the one that finishes a product.
  template <class Body>
  void observe_rates(const ObserveRatesBody<Body>& shared) const {
    constexpr int K = Body::width;
    each(shared.op.rates.theta.rows, 1, [&](int r) {
      const ObserveRatesBody<Body> body = shared;
      const RowTeam team;
      const Vec<2> logs = body.logarithms(r, team);
      Real* const numbers = scratch(std::size_t(body.scalars()) * K);
      team.each(body.scalars(), [&](int c) {
        const Vec<K> p = body.parameters(r, c, logs);
        for (int k = 0; k < K; ++k) numbers[c * K + k] = p[k];
      });
      finish_row(body.body, r, 0, body.scalars(), numbers, 0);
      body.centre(r, logs, team);
    });
  }
  bool chain(const Chain&) const { return false; }
  static bool narrow() { return false; }
  void weight_gradients(const WeightGradients&) const;
  void column_sum(const ColumnSum&) const;
  void objective(const Objective&) const;
  void aggregate_posterior(const AggregatePosterior&) const;
  void importance_bound(const ImportanceBound&) const;
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
    const auto at = [&] {
      if constexpr (requires { body.row(r); }) return body.row(r);
      else return [&body, r](int u, const auto& v) { return body(r, u, v); };
    }();
    constexpr int most = 256;
    Real terms[most];
    double sum = 0;
    for (int first = 0; first < units; first += most) {
      const int n = std::min(most, units - first);
      const Real* const from = numbers + first * Body::width;
#pragma GCC ivdep
      for (int u = 0; u < n; ++u) {
        Vec<Body::width> v;
        for (int k = 0; k < Body::width; ++k) v[k] = from[u * Body::width + k];
        if constexpr (Body::sums) terms[u] = at(unit + first + u, v);
        else at(unit + first + u, v);
      }
      if constexpr (Body::sums)
        for (int u = 0; u < n; ++u) sum += terms[u];
    }
    if constexpr (Body::sums)
      if (body.op.terms.present()) body.op.terms(r, tile) = Real(sum);
  }
};

}  // namespace elbo::cpu
