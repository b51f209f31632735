#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/cpu/lists.h"
#include "kernels/cpu/multiply.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/scratch.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int most = 8;  // registers of a row of sums

/// f of the constant that V is, 1 … most.
template <class F>
void with_constant(int V, const F& f) {
  const auto choose = [&]<int... v>(std::integer_sequence<int, v...>) {
    (void)((V == v + 1 && (f(std::integral_constant<int, v + 1>{}), true)) || ...);
  };
  choose(std::make_integer_sequence<int, most>{});
}

/// Some entries of a row's list.
struct Part {
  const int* place;
  const Real* value;
  int count;
};
Part part(const Lists& lists, int r, int first_piece, int end_piece) {
  const int at = lists.start(r, first_piece);
  return {lists.places(r) + at, (lists.transformed ? lists.seen(r) : lists.values(r)) + at,
          lists.start(r, end_piece) - at};
}

/// A row of c, or what is added to it; place `first` stands for the panel's first row.
template <int V>
void listed_row(const Part& a, const Real* panel, int first, bool add, Real* c) {
  Vector sum[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) sum[v] = add ? load(c + v * lanes) : Vector{};
  for (int i = 0; i < a.count; ++i) {
    const Real* const columns = panel + std::ptrdiff_t(a.place[i] - first) * V * lanes;
    const Real x = a.value[i];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[v] += x * load(columns + v * lanes);
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) store(c + v * lanes, sum[v]);
}

/// From row to row of sums that stand transposed: without the one more, 8 rows of 8 registers would
/// be a page, and a row that is read would wait for those that are being written.
constexpr int apart(int vectors) { return (vectors + 1) * lanes; }

/// Adds aᵀ b of a [depth, m], m ≤ V * lanes, and those of b's rows' entries that are in columns
/// before `end` to c, which stands transposed, and takes them from the rows.  Each adds a row of a
/// to one of c.
template <int V>
void add_rows(int m, int depth, const Real* a, int a_stride, Part* rows, int end, Real* c) {
  constexpr int width = apart(V);
  for (int k = 0; k < depth; ++k, a += a_stride) {
    Part& b = rows[k];
    if (b.count == 0 || *b.place >= end) continue;
    Vector row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V - 1; ++v) row[v] = load(a + v * lanes);
    row[V - 1] = load_some(a + (V - 1) * lanes, m - (V - 1) * lanes);
    int i = 0;
    do {
      Real* const sums = c + std::ptrdiff_t(b.place[i]) * width;
      const Real x = b.value[i];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) store(sums + v * lanes, load(sums + v * lanes) + x * row[v]);
    } while (++i < b.count && b.place[i] < end);
    b.place += i, b.value += i, b.count -= i;
  }
}

/// c [m, n] of what stands transposed, [n][width].
void put_transposed(const Real* from, int width, int m, int n, Real* c, int c_stride) {
  for (int row = 0; row < m; row += lanes)
    for (int first = 0; first < n; first += lanes) {
      Vector square[lanes];
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i)
        square[i] = first + i < n ? load(from + std::ptrdiff_t(first + i) * width + row) : Vector{};
      transpose(square);
      for (int r = 0; r < std::min(lanes, m - row); ++r) {
        alignas(64) Real numbers[lanes];
        store(numbers, square[r]);
        std::copy_n(numbers, std::min(lanes, n - first),
                    c + std::ptrdiff_t(row + r) * c_stride + first);
      }
    }
}

}  // namespace

void listed_times(const Lists& a, int first, bool b_transposed, int m, int n, int depth,
                  const Real* b, int b_stride, Real* c, int c_stride) {
  constexpr int pieces = 3;  // of the depth, that are copied: they stay in the second cache
  const Factor right{b, b_transposed ? b_stride : 1, b_transposed ? 1 : b_stride};
  const int panels = (n + most * lanes - 1) / (most * lanes);
  const int wide = (n + panels * lanes - 1) / (panels * lanes);  // registers of a panel
  for (int piece = 0; piece < a.pieces(); piece += pieces) {
    const int from = piece * Lists::piece, deep = std::min(pieces * Lists::piece, depth - from);
    const int end = std::min(piece + pieces, a.pieces());
    Real* const panel = scratch<Purpose::columns>(std::size_t(deep) * wide * lanes);
    for (int column = 0; column < n; column += wide * lanes) {
      const int count = std::min(wide * lanes, n - column);
      with_constant((count + lanes - 1) / lanes, [&]<int V>(std::integral_constant<int, V>) {
        pack<V>(right, column, count, from, deep, panel);
        for (int r = 0; r < m; ++r)
          listed_row<V>(part(a, first + r, piece, end), panel, from, piece > 0,
                        c + std::ptrdiff_t(r) * c_stride + column);
      });
    }
  }
}

void times_listed(int m, int n, int depth, const Real* a, int a_stride, const Lists& b, int first,
                  Real* c, int c_stride) {
  constexpr int together = 256;     // rows of a, which stay in the second cache,
  constexpr int panel = 3 * lanes;  // with sums of so many columns of b in the first
  const int piece = first / Lists::piece, end = (first + n + Lists::piece - 1) / Lists::piece;
  for (int row = 0; row < m; row += most * lanes) {
    const int rows = std::min(most * lanes, m - row), vectors = (rows + lanes - 1) / lanes;
    const std::size_t size = std::size_t(n) * apart(vectors);
    Real* const sums = scratch<Purpose::sums>(size);
    std::fill_n(sums, size, Real(0));
    with_constant(vectors, [&]<int V>(std::integral_constant<int, V>) {
      for (int from = 0; from < depth; from += together) {
        const int deep = std::min(together, depth - from);
        Part of[together];
        for (int k = 0; k < deep; ++k) of[k] = part(b, from + k, piece, end);
        for (int column = panel; column < n + panel; column += panel)
          add_rows<V>(rows, deep, a + std::ptrdiff_t(from) * a_stride + row, a_stride, of,
                      first + column, sums - std::ptrdiff_t(first) * apart(V));
      }
    });
    put_transposed(sums, apart(vectors), rows, n, c + std::ptrdiff_t(row) * c_stride, c_stride);
  }
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
