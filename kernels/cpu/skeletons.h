#pragma once
#include <algorithm>
#include <limits>

#include "kernels/cpu/lists.h"
#include "kernels/cpu/multiply.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/operations.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// Σ f(i) of a row, in double: f is worked out in pieces, so that the loop over it is vectorised,
/// and so are the sums.  `padded`: f may be asked for up to room(n) terms, which do not count.
template <bool padded = false, class F>
[[gnu::always_inline]] inline double sum_of(int n, F&& f) {
  constexpr int piece = 256, beside = 4;
  Real terms[piece + beside * wide_lanes];
  Wide sums[beside] = {};
  for (int first = 0; first < n; first += piece) {
    const int count = std::min(piece, n - first);
    if constexpr (padded)
      for (int i = 0; i < count; i += lanes)
#pragma GCC ivdep
        for (int k = i; k < i + lanes; ++k) terms[k] = f(first + k);
    else
#pragma GCC ivdep
      for (int i = 0; i < count; ++i) terms[i] = f(first + i);
    std::fill_n(terms + count, beside * wide_lanes, Real(0));
    for (int i = 0; i < count; i += beside * wide_lanes)
#pragma GCC unroll 4
      for (int k = 0; k < beside; ++k) sums[k] += widened(terms + i + k * wide_lanes);
  }
  const Wide all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (int k = 0; k < wide_lanes; ++k) sum += all[k];
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
    if constexpr (K == 1) return Terms{Real(sum_of(n, [&](int i) { return here(i)[0]; }))};
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

/// The columns of a team: floats of two cache lines, what one drawing of noise gives.
constexpr int most_columns = 32;
static_assert(most_columns % factors_together == 0);

/// Adjacent columns of a matrix, walked row by row; `whole`: there are most_columns of them.
template <bool whole>
struct ColumnTeam {
  int first, some;
  int count() const { return whole ? most_columns : some; }

  template <class Numbers>
  struct PerColumn {
    static constexpr int K = int(sizeof(Numbers) / sizeof(Real));
    int first;
    Real v[K][most_columns];
    Numbers operator()(int c) const {
      Numbers here;
      for (int k = 0; k < K; ++k) here[k] = v[k][c - first];
      return here;
    }
  };

  template <class F>
  void each(int n, F&& f) const {
    const int columns = count();
    for (int i = 0; i < n; ++i) {
      const auto row = f(i);
#pragma GCC ivdep
      for (int c = first; c < first + columns; ++c) row(c);
    }
  }
  template <class F>
  auto sum(int n, F&& f) const {
    using Terms = decltype(f(0)(0));
    PerColumn<Terms> sums{first, {}};
    double total[sums.K][most_columns] = {};
    const int columns = count();
    for (int i = 0; i < n; ++i) {
      const auto row = f(i);
#pragma GCC ivdep
      for (int c = 0; c < columns; ++c) {
        const Terms v = row(first + c);
        for (int k = 0; k < sums.K; ++k) total[k][c] += v[k];
      }
    }
    for (int k = 0; k < sums.K; ++k)
      for (int c = 0; c < columns; ++c) sums.v[k][c] = Real(total[k][c]);
    return sums;
  }
  template <class F>
  auto per_column(F&& f) const {
    using Numbers = decltype(f(0));
    PerColumn<Numbers> all{first, {}};
    for (int c = 0; c < count(); ++c) {
      const Numbers v = f(first + c);
      for (int k = 0; k < all.K; ++k) all.v[k][c] = v[k];
    }
    return all;
  }
  template <class F>
  void columns(F&& f) const {
    for (int c = first; c < first + count(); ++c) f(c);
  }
};

/// The skeletons on the host.  Work is cut into tiles of fixed size, whatever the number of
/// threads, and every sum has a fixed order: results do not depend on who did what.
struct Skeletons {
  static constexpr int map_rows_per_task = 8;
  static constexpr int rows_of_band = 128;
  Multiply* multiply = cpu::multiply;
  Split* split = nullptr;  // where that is multiply_on_tiles
  // Of a band: the rows that gemm and observe_rates go through, on one thread, the dispersions, and
  // as tiles the weights of its two products, that from the decoder and that to it (b_transposed).
  int first = 0, end = 0;
  const Real* dispersions = nullptr;
  const std::byte* weights[2] = {};

  template <class F>
  void with(const Activation& activation, F&& f) const {
    std::visit(f, activation);
  }

  template <class F>
  void with(const Norm& norm, F&& f) const {
    std::visit(
        [&](const auto& activation) {
          if (norm.mask.present()) f(activation, Drops<2>{});
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
  void row_pass(int rows, int columns, const Body& shared) const {
    ThreadPool::shared().run(divide_up(rows, map_rows_per_task), [&](int task) {
      Body body = shared;
      const int end = std::min(rows, (task + 1) * map_rows_per_task);
      for (int r = task * map_rows_per_task; r < end; ++r) {
        if constexpr (takes_factors<Body>) {
          DropoutMask& mask = body.op.norm.mask;
          Real* const factors = scratch<Purpose::noise>(std::size_t(columns) + factors_together);
          draw_factors(mask.row(r), 0, columns, factors);
          mask.given = {factors, 1, columns, 0};  // the same row whichever is asked for
        }
        body(r, RowTeam{});
      }
    });
  }

  template <class Body>
  void column_pass(int columns, const Body& shared) const {
    ThreadPool::shared().run(divide_up(columns, most_columns), [&](int task) {
      Body body = shared;
      const int first = task * most_columns, n = std::min(most_columns, columns - first);
      if constexpr (takes_factors<Body>) {
        DropoutMask& mask = body.op.norm.mask;
        const int rows = body.op.norm.x.rows;
        Real* const factors = scratch<Purpose::noise>(std::size_t(rows) * most_columns);
        for (int r = 0; r < rows; ++r)
          draw_factors(mask.row(r), first, n, factors + std::ptrdiff_t(r) * most_columns);
        mask.given = {factors, rows, n, most_columns}, mask.given_from = first;
      }
      if (n == most_columns) body(ColumnTeam<true>{first, n});
      else body(ColumnTeam<false>{first, n});
    });
  }

  int column_tiles(const Product& op, int) const { return tiles(op.columns(), 1, true).across; }

  /// A tile of the product, and the body over its rows while it is in cache.
  template <class Body>
  void gemm(const Product& op, const Body& shared) const {
    static_assert(panel_columns % Body::width == 0);
    const bool lists = op.lists.present();
    if (op.gathers() && !lists) row_pass(op.rows(), op.depth(), GatherRowBody{op.gather});
    const int last = last_of(op.rows());
    const Tiles tiles = lists && !Body::sums ? listed_tiles(op.columns(), last - first)
                                             : this->tiles(op.columns(), last - first, Body::sums);
    const std::byte* const weights = lists ? nullptr : split_weights(op, tiles.down);
    run(tiles.across * tiles.down, [&](int task) {
      const Body body = shared;
      const int across = task % tiles.across, column = across * tiles.columns;
      const int row = first + task / tiles.across * tiles.rows;
      const int m = std::min(tiles.rows, last - row);
      const int n = std::min(tiles.columns, op.columns() - column);
      const bool whole = m == room(m) && n == room(n) && op.depth() > 0;
      Place to = whole ? place_of(body, row, column) : Place{};
      const bool finished = to.sums && (!to.bias || (split && !lists));
      if (!to.sums) to = {scratch(std::size_t(room(m)) * room(n)), room(n)};
      const Real* const b = op.b_transposed ? op.b.row(column) : op.b.data + column;
      if (lists) {
        for (int r = row; r < row + m && op.gathers(); ++r) list_row(op.gather, r);
        listed_times(op.lists, row, op.b_transposed, m, n, op.depth(), b, op.b.stride, to.sums,
                     to.stride);
      } else
        multiply(false, op.b_transposed, m, n, op.depth(), op.a.row(row), op.a.stride, b,
                 op.b.stride, to.sums, to.stride,
                 {.unit_a = op.unit,
                  .split_b = weights ? weights + split_bytes(column, op.depth()) : nullptr,
                  .bias = finished ? to.bias : nullptr},
                 nullptr);
      if (finished) return;
      for (int r = 0; r < m; ++r)
        finish_row(body, row + r, column / Body::width, n / Body::width,
                   to.sums + std::ptrdiff_t(r) * to.stride, across);
    });
  }

  /// Their noise is drawn beforehand, and of the usual ones nothing else is asked in a loop.
  void gemm(const Product& op, const SampleLatentBody& body) const {
    const SampleLatent& e = body.op;
    if (e.bias.present() && e.stored.present() && e.z.present()) gemm(op, SampleLatentOf<true>{e});
    else gemm<SampleLatentBody>(op, body);
  }
  void gemm(const Product& op, const LatentGradientBody& body) const {
    if (!body.op.means.present()) gemm(op, LatentGradientOf<true>{body.op});
    else gemm<LatentGradientBody>(op, body);
  }

  /// Where a tile's sums are made.
  struct Place {
    Real* sums = nullptr;
    int stride = 0;
    const Real* bias = nullptr;
  };
  /// There where they belong, if they are stored as they are, or but for a bias.
  template <class Body>
  static Place place_of(const Body& body, int row, int column) {
    if constexpr (std::is_same_v<Body, StoreBody>) {
      if (const Store& op = body.op; !op.accumulate)
        return {op.out.row(row) + column, op.out.stride};
    } else if constexpr (std::is_same_v<Body, BiasActivateBody<Identity>>) {
      if (const BiasActivate& op = body.op; !op.pre.present())
        return {op.out.row(row) + column, op.out.stride, op.bias.row(0) + column};
    }
    return {};
  }

  /// A row whose counts are mostly 0 is worked out as if all were, from the e^a that the softmax
  /// has made, and then the others, side by side.
  template <class Body>
  void observe_rates(const ObserveRatesBody<Body>& shared) const {
    constexpr int K = Body::width;
    const int n = shared.scalars(), rows = shared.op.rates.theta.rows;
    const Matrix& side = shared.op.observe.side;
    const Real* const of_side = dispersions ? dispersions : work_out_dispersions(side);
    const Matrix sums = shared.op.observe.side_score;
    const bool summed = sums.present() && sums.rows < rows;
    const auto of_row = [&](ObserveRatesBody<Body>& body, int r) {
      const RowTeam team;
      Real* const rate = scratch(n + std::size_t(room(n)) * sorting<K>);
      Real* const numbers = rate + n;  // first of all the others' counts
      int* const others = scratch<Purpose::places, int>(std::size_t(n) + lanes);
      const int datum = r / body.op.observe.repeat;
      int count = 0;
      Real log_size;
      if (const Lists& lists = body.op.lists; lists.present()) {
        Real* const x = scratch<Purpose::data>(std::size_t(n));
        const int at = lists.start(datum, 0);
        count = lists.start(datum, lists.pieces()) - at;
        std::copy_n(lists.places(datum) + at, count, others);
        std::copy_n(lists.values(datum) + at, count, numbers);
        std::fill_n(x, n, Real(0));
        for (int i = 0; i < count; ++i) x[others[i]] = numbers[i];
        for (Observe* op : {&body.op.observe, &body.body.op}) op->x.data = x, op->x.stride = 0;
        if (!shared.op.rates.log_size.present()) {
          log_size = log_total({numbers, 1, count, 0}, 0, team);
          body.op.rates.log_size = {&log_size, rows, 1, 0};
        }
      } else count = not_zero(body.op.observe.x.row(datum), n, others, numbers);
      const auto logs = body.logarithms(r, team, [&](int c, Real e) { rate[c] = e; });
      if (!body.op.rates.softmax)
        team.each(n, [&](int c) { rate[c] = elbo::exp(body.op.rates.theta(r, c * K)); });
      if (2 * count > n || body.op.observe.stored.present()) {
        team.each(n, [&](int c) {
          const Vec<K> p = body.parameters(r, c, logs);
          for (int k = 0; k < K; ++k) numbers[c * K + k] = p[k];
        });
        finish_row(body.body, r, 0, n, numbers, 0);
      } else {
        const Real to_size = elbo::exp(logs.size + logs.largest - logs.sum);
        double sum = observe_zeros(body, r, rate, to_size, of_side);
        sum += observe_others(body, r, logs, others, count, of_side, numbers);
        if (body.op.observe.terms.present()) body.op.observe.terms(r, 0) = Real(sum);
      }
      const Real to_one = elbo::exp(logs.largest - logs.sum);
      body.centre(r, team, [&](int c) { return rate[c] * to_one; });
      if (!summed) return;
      const Real* const own = body.op.observe.side_score.row(r);
      Real* const out = sums.row(r / summed_rows());
      if (r % summed_rows() == 0) std::copy_n(own, n, out);
      else
        for (int c = 0; c < n; ++c) out[c] += own[c];
    };
    const int last = last_of(rows);
    run(divide_up(last - first, summed_rows()), [&](int task) {
      ObserveRatesBody<Body> body = shared;
      if (summed) {  // each row's by themselves
        Real* const own = scratch<Purpose::own>(std::size_t(n));
        for (Observe* op : {&body.op.observe, &body.body.op}) op->side_score = {own, rows, n, 0};
      }
      const int low = first + task * summed_rows();
      for (int r = low; r < std::min(last, low + summed_rows()); ++r) of_row(body, r);
    });
  }
  static int summed_rows() { return 16; }
  void list(const Gather& op) const {
    static_assert(map_rows_per_task % Lists::together == 0);
    each(op.out.rows, map_rows_per_task, [&](int r) { list_row(op, r); });
  }
  Real lists_up_to() const { return split ? Real(0.15) : Real(0.25); }

  /// Some rows of theta at a time, in a thread's memory.
  template <class F>
  void bands(const DecodeRates& op, F&& f) const {
    const Matrix& theta = op.rates.rates.theta;
    const Real* const of_side = work_out_dispersions(op.rates.observe.side);
    Skeletons all = *this;
    if (split)
      all.weights[op.decode.b_transposed] = as_tiles<Purpose::tiles>(op.decode),
      all.weights[op.back.b_transposed] = as_tiles<Purpose::more_tiles>(op.back);
    ThreadPool::shared().run(divide_up(op.rows(), rows_of_band), [&](int task) {
      Skeletons band = all;
      band.first = task * rows_of_band, band.end = std::min(op.rows(), band.first + rows_of_band);
      band.dispersions = of_side;
      Matrix some = theta;
      some.data = scratch<Purpose::theta>(std::size_t(rows_of_band) * theta.stride) -
                  std::ptrdiff_t(band.first) * theta.stride;
      f(band, some);
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
  template <class Body>
  static constexpr bool takes_factors = [] {
    if constexpr (requires { Body::takes_factors; }) return Body::takes_factors;
    else return false;
  }();
  static int divide_up(int a, int b) { return (a + b - 1) / b; }

  int last_of(int rows) const { return end > 0 ? end : rows; }

  /// Tasks of all threads, or of the one that works on a band.
  template <class F>
  void run(int tasks, F&& f) const {
    if (end == 0) return ThreadPool::shared().run(tasks, f);
    for (int i = 0; i < tasks; ++i) f(i);
  }
  template <class F>
  static void each(int rows, int rows_per_task, F&& f) {
    ThreadPool::shared().run(divide_up(rows, rows_per_task), [&](int task) {
      const int end = std::min(rows, (task + 1) * rows_per_task);
      for (int r = task * rows_per_task; r < end; ++r) f(r);
    });
  }

  /// How a product is cut into tasks: some columns wide, and as high as stays in the second cache,
  /// or less where there would be few.  Where there are many rows tiles are wider, so that a is
  /// read less often, unless each leaves sums: those do not depend on the rows.
  struct Tiles {
    int columns, across, rows, down;
  };
  Tiles tiles(int all_columns, int all_rows, bool sums) const {
    constexpr int enough = 6, most_rows = 512, least_rows = 32;
    const bool tall = !sums && (end > 0 || all_rows >= enough * most_rows);
    Tiles t;
    if (split) {
      // Each splits its rows of a: wide ones, and as many as two threads can share; one of a band.
      constexpr int unit = 16;
      const int units = divide_up(all_columns, unit), most_units = end > 0 ? units : 26;
      t.across = divide_up(units, most_units);
      if (t.across > 1 || (!tall && units >= 8)) t.across = divide_up(t.across, 2) * 2;
      t.columns = divide_up(units, t.across) * unit;
    } else {
      constexpr int most_panels = 4;
      const int panels = divide_up(all_columns, panel_columns);
      t.columns = panel_columns * (tall ? divide_up(panels, divide_up(panels, most_panels))
                                        : std::min(most_panels, divide_up(panels, enough)));
    }
    t.across = divide_up(all_columns, t.columns);
    const int tasks = end > 0 ? 1 : split ? 2 : enough;
    const int parts = std::clamp(tasks / t.across, 1, divide_up(all_rows, least_rows));
    const int unit = split ? 1 : 8;
    t.rows = std::min(most_rows, divide_up(divide_up(all_rows, parts), unit) * unit);
    t.down = divide_up(all_rows, t.rows);
    return t;
  }

  /// The same of a product with lists: they are of whole rows.
  static Tiles listed_tiles(int all_columns, int all_rows) {
    constexpr int most_rows = 512;
    const int tasks = std::max(2, ThreadPool::shared().threads());
    const int blocks = divide_up(divide_up(all_rows, tasks), Lists::together);
    const int rows = std::min(most_rows, blocks * Lists::together);
    return {all_columns, 1, rows, divide_up(all_rows, rows)};
  }

  /// A product's weights as tiles, made by all threads in the calling one's memory.
  template <Purpose purpose>
  const std::byte* as_tiles(const Product& op) const {
    constexpr int together = 64;
    const int n = op.columns(), depth = op.depth();
    std::byte* const tiles = scratch<purpose, std::byte>(split_bytes(n, depth));
    ThreadPool::shared().run(divide_up(n, together), [&](int task) {
      const int from = task * together;
      split(op.b_transposed, from, std::min(together, n - from), depth, op.b.data, op.b.stride,
            op.unit != 0 ? op.unit : Real(1), tiles);
    });
    return tiles;
  }
  /// The same where several tasks share them; else null.
  const std::byte* split_weights(const Product& op, int tasks) const {
    if (end > 0) return weights[op.b_transposed];
    return split && tasks > 1 ? as_tiles<Purpose::tiles>(op) : nullptr;
  }

  /// What a law of counts needs of the dispersions that no decoder gives, one of each column (or
  /// one of all), [5][columns] in the calling thread's memory: worked out once for all rows.
  static const Real* work_out_dispersions(const Matrix& side) {
    if (!side.present()) return nullptr;
    constexpr int piece = 2048;
    const int n = side.columns;
    Real* const out = scratch<Purpose::side>(5 * std::size_t(n));
    ThreadPool::shared().run(divide_up(n, piece), [&](int task) {
      const Real* const t = side.row(0);
      const int end = std::min(n, (task + 1) * piece);
#pragma GCC ivdep
      for (int c = task * piece; c < end; ++c) {
        const auto d = NegativeBinomial::dispersion(t[c]);
        out[c] = d.log, out[n + c] = d.theta, out[2 * n + c] = d.each;
        out[3 * n + c] = d.error, out[4 * n + c] = d.slope;
      }
    });
    return out;
  }

  /// Scores of a row's units as if all counts were 0; the sum of the terms of those that are.
  template <class Body>
  static double observe_zeros(const ObserveRatesBody<Body>& rates, int r, const Real* rate,
                              Real to_size, const Real* dispersions) {
    using Law = typename Body::law_type;
    constexpr int K = Body::width, all = Law::parameters;
    const Body& body = rates.body;
    const Observe& op = body.op;
    const auto row = body.row(r);
    const Real* const x = op.x.row(row.datum);
    const Real* const theta = rates.op.rates.theta.row(r);
    const Real* const side = dispersions + op.side.columns;
    const Real* const each = side + op.side.columns;
    return sum_of(rates.scalars(), [&](int c) __attribute__((always_inline)) {
      Vec<all> linear;
      linear[0] = rate[c] * to_size;
      for (int k = 1; k < K; ++k)
        linear[k] = k == all - 1 ? elbo::exp(theta[c * K + k]) : theta[c * K + k];
      if constexpr (K < all) {
        const int of = body.per_scalar() ? c : 0;
        linear[K] = side[of], linear[0] *= each[of];
      } else if constexpr (all > 1) linear[0] /= linear[all - 1];
      const Observed<all, Real> zero = Law::zero(linear);
      if (body.has(Body::score, op.score)) {
        for (int k = 0; k < K; ++k) op.score(r, c * K + k) = row.weight * zero.score[k];
        if constexpr (K < all)
          if (body.has(Body::side_score, op.side_score))
            op.side_score(r, c) = row.weight * zero.score[K];
      }
      return x[c] == 0 ? zero.log_prob : Real(0);
    });
  }

  /// Room that observe_others needs for each unit: x, parameters, dispersion and scores.
  template <int K>
  static constexpr std::size_t sorting = 1 + K + 5 + K + 1;

  /// Scores of the `count` units that `others` names, whose counts room begins with, and the sum of
  /// their terms; a missing one has none.
  template <class Body>
  static double observe_others(const ObserveRatesBody<Body>& rates, int r,
                               const typename ObserveRatesBody<Body>::Logarithms& logs, int* others,
                               int count, const Real* dispersions, Real* room) {
    using Law = typename Body::law_type;
    constexpr int K = Body::width, all = Law::parameters;
    const Body& body = rates.body;
    const Observe& op = body.op;
    const int apart = cpu::room(count);
    Real *const x = room, *const p = x + apart, *const t = p + K * apart;
    Real* const slope = t + 5 * apart;
    const bool scores = body.has(Body::score, op.score);
    const bool side_scores = K < all && body.has(Body::side_score, op.side_score);
    Real* const score = scores ? op.score.row(r) : nullptr;
    Real* const side_score = side_scores ? op.side_score.row(r) : nullptr;
    int n = 0;
    for (int i = 0; i < count; ++i) n += x[i] == x[i];
    if (n < count) {
      n = 0;
      for (int i = 0; i < count; ++i) {
        const int c = others[i];
        if (x[i] == x[i]) others[n] = c, x[n++] = x[i];
        else {
          for (int k = 0; k < K && scores; ++k) score[c * K + k] = 0;
          if (side_scores) side_score[c] = 0;
        }
      }
    }
    // Each from where it lies and to there in a loop of its own: they vectorise, and those over
    // whole registers have nothing left at their end.
    const int whole = cpu::room(n);
    for (int i = n; i < whole; ++i) others[i] = others[0], x[i] = x[0];
    const auto parameters = rates.row_parameters(r, logs);
    for (int k = 0; k < K; ++k)
#pragma GCC ivdep
      for (int i = 0; i < whole; ++i) p[k * apart + i] = parameters(others[i], k);
    if constexpr (K < all)
      for (int k = 0; k < 5; ++k) {
        const Real* const of = dispersions + std::ptrdiff_t(k) * op.side.columns;
        if (body.per_scalar())
          for (int i = 0; i < whole; i += lanes) store(t + k * apart + i, gather(of, others + i));
        else std::fill_n(t + k * apart, whole, of[0]);
      }
    const Real weight = body.row(r).weight;
    const double sum = sum_of<true>(n, [=](int i) __attribute__((always_inline)) {
      Vec<K> v;
      for (int k = 0; k < K; ++k) v[k] = p[k * apart + i];
      const Observed<all, Real> observed = [&]() __attribute__((always_inline)) {
        if constexpr (K == all) return Law::positive(x[i], v);
        else
          return Law::positive(
              x[i], v,
              NegativeBinomial::Dispersion<Real>{t[i], t[apart + i], t[2 * apart + i],
                                                 t[3 * apart + i], t[4 * apart + i]});
      }();
      for (int k = 0; k < all; ++k) slope[k * apart + i] = weight * observed.score[k];
      return observed.log_prob;
    });
    for (int k = 0; k < K && scores; ++k)
#pragma GCC ivdep
      for (int i = 0; i < n; ++i) score[others[i] * K + k] = slope[k * apart + i];
    if (side_scores)
#pragma GCC ivdep
      for (int i = 0; i < n; ++i) side_score[others[i]] = slope[K * apart + i];
    return sum;
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
