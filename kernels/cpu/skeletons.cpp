#include "kernels/cpu/skeletons.h"

#include <atomic>
#include <cmath>
#include <utility>

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

/// The columns of a matrix from `first` on.
Matrix from_column(Matrix all, int first) {
  if (all.present()) all.data += first;
  return all;
}

/// Sends a tile [m,n] of a gradient, whose first entry is (row, column) of all of it, to where it
/// belongs.
void drain(const Sink& sink, int row, int column, int m, int n, const Real* tile, int stride) {
  if (sink.gradient.present())
    for (int r = 0; r < m; ++r) {
      Real* const out = sink.gradient.row(row + r) + column;
      const Real* const in = tile + r * stride;
      if (sink.accumulate)
        for (int c = 0; c < n; ++c) out[c] += in[c];
      else std::copy_n(in, n, out);
    }
  if (sink.updates && !halted(sink.update.rate.state))
    std::visit(
        [&](const auto& rule) {
          Update update = sink.update;
          for (Matrix* part : {&update.w, &update.m, &update.v}) *part = from_column(*part, column);
          const UpdateBody body(update, rule);
          for (int r = 0; r < m; ++r) {
#pragma GCC ivdep
            for (int c = 0; c < n; ++c) body(row + r, c, {tile[r * stride + c]});
          }
        },
        sink.update.rule);
}

}  // namespace

void Skeletons::weight_gradients(const WeightGradients& op) const {
  // Tiles of a gradient that stay in the second cache until they are drained.  Of a large batch they
  // are squares, as large as leaves every thread some: the least of dy and x is copied for them.  Of
  // a small one the update takes as long as the product, and they are of whole rows where those are
  // not too long: what it reads and writes is then foreseen by the processor.
  constexpr int most_rows = 512, most_numbers = 100 << 10;
  const auto share = [](int all, int most, int unit) {
    return divide_up(divide_up(all, divide_up(all, most)), unit) * unit;
  };
  struct Task {
    const WeightGradient* layer;
    int row, column, rows, columns;
  };
  std::vector<Task> tasks;
  const auto cut = [&](int high, int wide) {
    tasks.clear();
    for (const WeightGradient& layer : op.layers) {
      const bool large = layer.dy.rows > 1024, bias = layer.bias_alone();
      const int all_rows = layer.dy.columns, all_columns = bias ? 1 : layer.x.columns;
      const int unit = layer.lists.present() ? Lists::piece : split ? 32 : panel_columns;
      const int columns = share(all_columns, large ? wide : 1024, unit);
      const int rows =
          bias ? most_rows : share(all_rows, large ? high : std::min(high, most_numbers / columns), 16);
      for (int row = 0; row < all_rows; row += rows)
        for (int column = 0; column < all_columns; column += columns)
          tasks.push_back({&layer, row, column, std::min(rows, all_rows - row),
                           std::min(columns, all_columns - column)});
    }
  };
  const std::size_t enough = 3 * std::size_t(ThreadPool::shared().threads());
  if (split) cut(416, 416);
  if (split && tasks.size() < enough) cut(256, 256);
  if (!split || tasks.size() < enough) cut(128, 256);
  static std::atomic<std::uint64_t> calls{0};
  using Seen = std::pair<std::uint64_t, const Real*>;
  const std::uint64_t call = ++calls;
  ThreadPool::shared().run(int(tasks.size()), [&](int i) {
    static thread_local Seen before;
    const auto [layer, row, column, m, n] = tasks[i];
    const auto& [dy, x, weight, bias, unit, lists] = *layer;
    const bool sums_bias = column == 0 && (bias.gradient.present() || bias.updates);
    Real sums[room(most_rows)];
    if (sums_bias) std::fill_n(sums, room(m), Real(0));
    if (sums_bias && !x.present()) column_sums(dy.data + row, dy.rows, m, dy.stride, sums);
    if (!layer->bias_alone()) {
      const int stride = room(n);
      Real* const tile = scratch(std::size_t(room(m)) * stride);
      if (lists.present()) {
        times_listed(m, n, dy.rows, dy.data + row, dy.stride, lists, column, tile, stride);
      } else {
        const Seen here{call, x.data + column};
        multiply(true, false, m, n, dy.rows, dy.data + row, dy.stride, x.data + column, x.stride,
                 tile, stride, {.same_b = std::exchange(before, here) == here, .unit_b = unit},
                 sums_bias ? sums : nullptr);
      }
      drain(weight, row, column, m, n, tile, stride);
    }
    // A bias is a row; the tile covers some of its columns.
    if (sums_bias) drain(bias, 0, row, 1, m, sums, m);
  });
  if (op.tail.objective.count > 0) objective(op.tail.objective);
  if (op.tail.advance.state) advance(op.tail.advance);
}

void Skeletons::column_sum(const ColumnSum& op) const {
  constexpr int columns = 256;
  if (op.out.columns == 1 && op.in.columns != 1) {
    double sum = 0;
    for (int r = 0; r < op.in.rows; ++r)
      for (int c = 0; c < op.in.columns; ++c) sum += op.in(r, c);
    op.out(0, 0) = Real(op.accumulate ? op.out(0, 0) + sum : sum);
    return;
  }
  ThreadPool::shared().run(divide_up(op.in.columns, columns), [&](int task) {
    const int first = task * columns, n = std::min(columns, op.in.columns - first);
    Real sums[columns] = {};
    column_sums(op.in.data + first, op.in.rows, n, op.in.stride, sums);
    for (int c = 0; c < n; ++c)
      op.out(0, first + c) = op.accumulate ? op.out(0, first + c) + sums[c] : sums[c];
  });
}

void Skeletons::objective(const Objective& op) const {
  const bool counts = !halted(op.state);
  Outcome* const outcome = counts ? op.outcome() : nullptr;
  // A thread that reads meanwhile, and sees any of the new numbers, sees this 0 too.
  if (outcome) __atomic_store_n(&outcome->step, 0, __ATOMIC_RELAXED);
  const auto put = [](double& to, double x) { __atomic_store(&to, &x, __ATOMIC_RELEASE); };
  double loss = 0;
  for (int i = 0; i < op.count; ++i) {
    double sum = 0;
    for (int r = 0; r < op.terms[i].rows; ++r)
      for (int c = 0; c < op.terms[i].columns; ++c) sum += op.terms[i](r, c);
    loss += double(op.weights[i].value()) * sum / op.terms[i].rows;
    if (op.totals && counts) op.totals[i] += sum;
    if (outcome) put(outcome->terms[i], sum), put(outcome->totals[i], op.totals ? op.totals[i] : 0);
  }
  op.loss(0, 0) = Real(loss);
  if (!counts) return;
  op.judge(loss);
  if (op.totals) op.totals[op.count] += op.terms[0].rows;
  if (!outcome) return;
  put(outcome->loss, loss), put(outcome->totals[op.count], op.totals ? op.totals[op.count] : 0);
  __atomic_store_n(&outcome->step, op.state->step + 1, __ATOMIC_RELEASE);
}

void Skeletons::map(int rows, int columns, const SampleManyGradientBody& shared) const {
  each(rows, 1, [&](int b) {
    SampleManyGradientBody body = shared;
    Real* const sums = scratch(2 * std::size_t(columns));
    std::fill_n(sums, 2 * columns, Real(0));
    Real* noise = nullptr;
    if (Matrix& given = body.op.noise.given; !given.present()) {
      noise = scratch<Purpose::noise>(std::size_t(columns) + normals_beyond);
      given = {noise, 1, columns, 0};  // of one sample after the other
    }
    const auto add = [&](const auto& row) {
      if (noise) draw_normals(row.noise, 0, columns, noise);
#pragma GCC ivdep
      for (int unit = 0; unit < columns; ++unit) {
        const Vec<2> part = row(unit);
        sums[2 * unit] += part[0], sums[2 * unit + 1] += part[1];
      }
    };
    if (body.op.doubly) body.each<true>(b, add);
    else body.each<false>(b, add);
    std::copy_n(sums, 2 * columns, body.op.out.row(b));
  });
}

void Skeletons::importance_bound(const ImportanceBound& op) const {
  each(op.data(), map_rows_per_task, [&](int b) {
    const int first = b * op.samples, end = first + op.samples;
    Real most = ImportanceBound::least;
    for (int r = first; r < end; ++r) most = std::max(most, op.log_weight(r));
    double total = 0;
    for (int r = first; r < end; ++r) total += elbo::exp(op.log_weight(r) - most);
    if (op.bound.present()) op.bound(b, 0) = Real(most + std::log(total / op.samples));
    if (!op.weights.present()) return;
    const Real share = Real(op.weight(b) / total);
    for (int r = first; r < end; ++r) {
      const Real weight = op.weights(r, 0) = share * elbo::exp(op.log_weight(r) - most);
      for (int c = 0; c < op.score.columns; ++c) op.score(r, c) *= weight;
      for (int c = 0; c < op.side_score.columns; ++c) op.side_score(r, c) *= weight;
    }
  });
}

void Skeletons::update_all(const UpdateAll& op) const {
  constexpr int rows_per_task = 64;
  struct Task {
    const Update* update;
    int first;
  };
  std::vector<Task> tasks;
  for (const Update& u : op.updates)
    for (int first = 0; first < u.w.rows; first += rows_per_task) tasks.push_back({&u, first});
  ThreadPool::shared().run(int(tasks.size()), [&](int i) {
    const Update& u = *tasks[i].update;
    if (halted(u.rate.state)) return;
    std::visit(
        [&](const auto& rule) {
          const UpdateBody body(u, rule);
          const int end = std::min(u.w.rows, tasks[i].first + rows_per_task);
          for (int r = tasks[i].first; r < end; ++r)
#pragma GCC ivdep
            for (int c = 0; c < u.w.columns; ++c) body(r, c, {u.in(r, c)});
        },
        u.rule);
  });
}

void Skeletons::clip_scale(const ClipScale& op) const {
  ThreadPool::shared().run(int(op.gradients.size()), [&](int i) {
    const Matrix& g = op.gradients[i];
    double sum = 0;
    for (int r = 0; r < g.rows; ++r)
      for (int c = 0; c < g.columns; ++c) sum += square(double(g(r, c)));
    op.squares(0, i) = Real(sum);
  });
  double total = 0;
  for (std::size_t i = 0; i < op.gradients.size(); ++i) total += op.squares(0, int(i));
  op.scale(0, 0) = Real(std::min(1.0, double(op.limit) / std::sqrt(total)));
}

void Skeletons::advance(const Advance& op) const { op.move(); }

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
