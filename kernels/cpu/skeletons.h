#pragma once
#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "kernels/cpu/multiply.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/operations.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// Uninitialised memory of the calling thread, for one purpose, kept from call to call.
enum class Purpose { tile, noise };
template <Purpose = Purpose::tile>
inline Real* scratch(std::size_t count) {
  struct Memory {
    Real* data = nullptr;
    std::size_t size = 0;
    ~Memory() { operator delete[](data, std::align_val_t(64)); }
  };
  thread_local Memory memory;
  if (memory.size < count) {
    operator delete[](std::exchange(memory.data, nullptr), std::align_val_t(64));
    memory.size = 0;
    memory.data = static_cast<Real*>(operator new[](count * sizeof(Real), std::align_val_t(64)));
    memory.size = count;
  }
  return memory.data;
}

/// Σ f(i) of a row, in double: f is worked out in pieces, so that the loop over it is vectorised,
/// and so are the sums, of every eighth term.
template <class F>
[[gnu::always_inline]] inline double sum_of(int n, F&& f) {
  constexpr int piece = 256, beside = 8;
  Real terms[piece];
  double sums[beside] = {};
  for (int first = 0; first < n; first += piece) {
    const int count = std::min(piece, n - first);
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) terms[i] = f(first + i);
    const int even = count / beside * beside;
    for (int i = 0; i < even; i += beside)
      for (int k = 0; k < beside; ++k) sums[k] += double(terms[i + k]);
    for (int i = even; i < count; ++i) sums[i - even] += double(terms[i]);
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
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
      for (int k = 0; k < K; ++k) total[k] += sum_of(count, [&](int i) { return terms[k][i]; });
    }
    Terms sums;
    for (int k = 0; k < K; ++k) sums[k] = Real(total[k]);
    return sums;
  }
  template <class F>
  Real max(int n, F&& f) const {
    // In any order: the largest is the same.
    Vector most = Vector{} - std::numeric_limits<Real>::infinity();
    Real some[piece];
    for (int first = 0; first < n; first += piece) {
      const int count = std::min(piece, n - first);
#pragma GCC ivdep
      for (int i = 0; i < count; ++i) some[i] = f(first + i);
      for (int i = count; i % lanes != 0; ++i) some[i] = some[0];
      for (int i = 0; i < count; i += lanes) {
        const Vector next = load(some + i);
        most = (next > most) | (next != next) ? next : most;
      }
    }
    Real largest = most[0];
    for (int k = 1; k < lanes; ++k) largest = larger(largest, most[k]);
    return largest;
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
  static constexpr int map_rows_per_task = 8;

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
#pragma GCC ivdep
      for (int c = 0; c < columns; ++c) body(r, c);
    });
  }

  /// A row at a time, of one type: it vectorises.
  void map(int rows, int columns, const GatherBody& body) const {
    row_pass(rows, columns, GatherRowBody{body.op});
  }
  /// Units, not samples, in the inner loop: it vectorises.
  void map(int rows, int columns, const SampleManyGradientBody&) const;

  template <class Body>
  void map_rows(Matrix in, Body body) const {
    ThreadPool::shared().run(divide_up(in.rows, map_rows_per_task), [&](int task) {
      const Body own = body;
      const int end = std::min(in.rows, (task + 1) * map_rows_per_task);
      for (int r = task * map_rows_per_task; r < end; ++r)
        finish_row(own, r, 0, in.columns / Body::width, in.row(r), 0);
    });
  }

  template <class Body>
  void row_sums(int rows, int columns, Matrix out, Body body) const {
    ThreadPool::shared().run(divide_up(rows, map_rows_per_task), [&](int task) {
      const Body own = body;
      const int end = std::min(rows, (task + 1) * map_rows_per_task);
      for (int r = task * map_rows_per_task; r < end; ++r) {
        double sum;
        if constexpr (requires { own.row(r); })
          sum = sum_of(columns, drawn(own, r, 0, columns).row(r));
        else sum = sum_of(columns, [&](int c) { return own(r, c); });
        if (out.present()) out(r, 0) = Real(sum);
      }
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

  int column_tiles(const Product& op, int) const { return Tiles(op.columns(), 1).across; }

  /// A tile of the product, and the body over its rows while it is in cache.
  template <class Body>
  void gemm(const Product& op, const Body& shared) const {
    static_assert(panel_columns % Body::width == 0);
    if (op.gathers()) row_pass(op.rows(), op.depth(), GatherRowBody{op.gather});
    const Tiles tiles(op.columns(), op.rows());
    ThreadPool::shared().run(tiles.across * tiles.down, [&](int task) {
      const Body body = shared;
      const int across = task % tiles.across, column = across * tiles.columns;
      const int row = task / tiles.across * tiles.rows;
      const int m = std::min(tiles.rows, op.rows() - row);
      const int n = std::min(tiles.columns, op.columns() - column), stride = padded(n);
      Real* const tile = scratch(std::size_t(m) * stride);
      multiply(false, op.b_transposed, m, n, op.depth(), op.a.row(row), op.a.stride,
               op.b_transposed ? op.b.row(column) : op.b.data + column, op.b.stride, tile, stride);
      for (int r = 0; r < m; ++r)
        finish_row(body, row + r, column / Body::width, n / Body::width,
                   tile + std::ptrdiff_t(r) * stride, across);
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
      const std::size_t scalars = std::size_t(body.scalars());
      Real* const numbers = scratch(scalars * (K + sorting<K>));
      team.each(body.scalars(), [&](int c) {
        const Vec<K> p = body.parameters(r, c, logs);
        for (int k = 0; k < K; ++k) numbers[c * K + k] = p[k];
      });
      if (!finish_zeros(body.body, r, body.scalars(), numbers, numbers + scalars * K))
        finish_row(body.body, r, 0, body.scalars(), numbers, 0);
      body.centre(r, logs, team);
    });
  }
  static bool chains() { return false; }
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

  /// How a product is cut into tasks: some panels wide, and as high as stays in the second cache,
  /// or less where there would be few.  The width does not depend on the rows.
  struct Tiles {
    int columns, across, rows, down;
    Tiles(int all_columns, int all_rows) {
      constexpr int enough = 6, most_panels = 4, most_rows = 512, least_rows = 32;
      const int panels = divide_up(all_columns, panel_columns);
      columns = std::min(most_panels, divide_up(panels, enough)) * panel_columns;
      across = divide_up(all_columns, columns);
      const int parts = std::clamp(enough / across, 1, divide_up(all_rows, least_rows));
      rows = std::min(most_rows, divide_up(divide_up(all_rows, parts), 8) * 8);
      down = divide_up(all_rows, rows);
    }
  };

  /// Of the others of a row: which they are, x, two of the side's, scores and numbers.
  template <int K>
  static constexpr std::size_t sorting = 1 + 3 + 2 * K;

  /// As finish_row, of a row whose data are mostly 0, for which the compiler leaves little of the
  /// law: all units as if they were, and then the others, side by side.  False: they are not.
  /// room: for sorting<K> times `units` numbers.
  template <class Body>
  static bool finish_zeros(const Body& body, int r, int units, const Real* numbers, Real* room) {
    constexpr int K = Body::width;
    const auto row = body.row(r);
    const Real* const x = body.op.x.row(row.datum);
    int* const others = reinterpret_cast<int*>(room);
    Real* const beside = room + units;
    int n = 0;
    for (int u = 0; u < units; ++u) others[n] = u, n += !(x[u] == 0);
    if (2 * n > units) return false;

    const auto entry = [&](int u) __attribute__((always_inline)) {
      Vec<K> v;
      for (int k = 0; k < K; ++k) v[k] = numbers[u * K + k];
      const Real term = row(u, v, Real(0));
      return x[u] == 0 ? term : Real(0);
    };
    double sum = sum_of(units, entry);

    const auto part = [&](int first, int columns) {
      return Matrix{beside + std::ptrdiff_t(first) * n, 1, n * columns, n * columns};
    };
    Body own = body;
    Observe& op = own.op;
    op.x = part(0, 1), op.stored = {};
    if (op.side.columns > 1) op.side = part(1, 1);
    if (op.side_score.present()) op.side_score = part(2, 1);
    if (op.score.present()) op.score = part(3, K);
    const Matrix of_others = part(3 + K, K);
    for (int i = 0; i < n; ++i) {
      op.x(0, i) = x[others[i]];
      if (body.op.side.columns > 1) op.side(0, i) = body.op.side(0, others[i]);
      for (int k = 0; k < K; ++k) of_others(0, i * K + k) = numbers[others[i] * K + k];
    }
    const typename Body::Row near{own, 0, 0, row.weight};
    const auto other = [&](int i) __attribute__((always_inline)) {
      Vec<K> v;
      for (int k = 0; k < K; ++k) v[k] = of_others(0, i * K + k);
      return near(i, v);
    };
    sum += sum_of(n, other);
    for (int i = 0; i < n; ++i) {
      for (int k = 0; k < K && op.score.present(); ++k)
        body.op.score(r, others[i] * K + k) = op.score(0, i * K + k);
      if (op.side_score.present()) body.op.side_score(r, others[i]) = op.side_score(0, i);
    }
    if (body.op.terms.present()) body.op.terms(r, 0) = Real(sum);
    return true;
  }

  /// The body for some units of a row; noise that it needs is drawn beforehand, side by side.
  template <class Body>
  [[gnu::always_inline]] static decltype(auto) drawn(const Body& body, int r, int unit, int units) {
    if constexpr (!requires { body.op.noise.given; }) return (body);
    else {
      Body own = body;
      if (Noise& noise = own.op.noise; !noise.given.present()) {
        const int end = unit + units;
        Real* const all = scratch<Purpose::noise>(std::size_t(end) + normals_beyond);
        draw_normals(noise.row(r), unit, units, all);
        noise.given = {all, 1, end, 0};  // the same row whichever is asked for
      }
      return own;
    }
  }

  /// The body over `units` units of one row whose numbers lie at `numbers`, the first being `unit`.
  /// Inlined where `body` is a task's own copy, which nothing that it writes can change.
  template <class Body>
  [[gnu::always_inline]] static void finish_row(const Body& body, int r, int unit, int units,
                                                const Real* numbers, int tile) {
    const Body& own = drawn(body, r, unit, units);
    const auto at = [&] {
      if constexpr (requires { own.row(r); }) return own.row(r);
      else return [&own, r](int u, const auto& v) { return own(r, u, v); };
    }();
    const auto entry = [&](int u) __attribute__((always_inline)) {
      Vec<Body::width> v;
      for (int k = 0; k < Body::width; ++k) v[k] = numbers[u * Body::width + k];
      return at(unit + u, v);
    };
    if constexpr (Body::sums) {
      const double sum = sum_of(units, entry);
      if (body.op.terms.present()) body.op.terms(r, tile) = Real(sum);
    } else {
#pragma GCC ivdep
      for (int u = 0; u < units; ++u) entry(u);
    }
  }
};

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
