#include "kernels/cpu/multiply.h"

#include <algorithm>
#include <cstddef>

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int tile_rows = registers == 32 ? 8 : 4, tile_vectors = panel_columns / lanes;
constexpr int most_depth = 512;  // of a copied panel: it stays in the second cache

/// A factor whose entry of a row (or column) i and depth k lies at data[i * line + k * step].
struct Factor {
  const Real* data;
  std::ptrdiff_t line, step;
  const Real* at(std::ptrdiff_t i, std::ptrdiff_t k) const { return data + i * line + k * step; }
};

/// Columns first … first + n of b, depth from … from + depth, as [depth][V * lanes], 0 beyond n.
template <int V>
void pack(const Factor& b, int first, int n, int from, int depth, Real* panel) {
  constexpr int width = V * lanes;
  int k = 0;
  if (b.step == 1)
    for (; k + lanes <= depth; k += lanes)
      for (int v = 0; v < V; ++v) {
        Vector square[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i)
          square[i] = v * lanes + i < n ? load(b.at(first + v * lanes + i, from + k)) : Vector{};
        transpose(square);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) store(panel + (k + i) * width + v * lanes, square[i]);
      }
  else if (n == width)
    for (; k < depth; ++k)
      for (int v = 0; v < V; ++v)
        store(panel + k * width + v * lanes, load(b.at(first + v * lanes, from + k)));
  for (; k < depth; ++k)
    for (int i = 0; i < width; ++i)
      panel[k * width + i] = i < n ? *b.at(first + i, from + k) : Real(0);
}

/// c [M, V * lanes] of a's rows first … first + M, or added to what is there.
template <int M, int V>
void tile(const Factor& a, int first, int from, int depth, const Real* panel, bool add, Real* c,
          int c_stride, Ahead& soon) {
  Ahead ahead = soon;
  Vector sum[M][V];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) sum[m][v] = add ? load(c + m * c_stride + v * lanes) : Vector{};
  const Real* const rows = a.at(first, from);
  for (int k = 0; k < depth; ++k) {
    // Where a lies depth by depth, lines are of pages that no prefetcher foresees.
    if (a.step != 1) __builtin_prefetch(rows + (k + 12) * a.step);
    if (k % 4 == 0) ahead.fetch();
    Vector columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) columns[v] = load(panel + (k * V + v) * lanes);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Real x = rows[m * a.line + k * a.step];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[m][v] += x * columns[v];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) store(c + m * c_stride + v * lanes, sum[m][v]);
  soon = ahead;
}

using Tile = void (*)(const Factor&, int, int, int, const Real*, bool, Real*, int, Ahead&);
template <int V, int... m>
constexpr Tile tile_of(int rows, std::integer_sequence<int, m...>) {
  constexpr Tile tiles[] = {tile<m + 1, V>...};
  return tiles[rows - 1];
}

/// One panel of c, of n ≤ V * lanes columns.
template <int V>
void panel(const Factor& a, const Factor& b, int m, int first, int n, int depth, Real* c,
           int c_stride, Ahead& ahead) {
  alignas(64) static thread_local Real copied[most_depth * V * lanes];
  alignas(64) Real edge[tile_rows * V * lanes];
  const bool whole = n == V * lanes;
  for (int from = 0; from < depth; from += most_depth) {
    const int deep = std::min(most_depth, depth - from);
    pack<V>(b, first, n, from, deep, copied);
    for (int r = 0; r < m; r += tile_rows) {
      const int rows = std::min(tile_rows, m - r);
      Real* const out = c + std::ptrdiff_t(r) * c_stride + first;
      Real* const to = whole ? out : edge;
      const int stride = whole ? c_stride : V * lanes;
      if (!whole && from > 0)
        for (int i = 0; i < rows; ++i)
          std::copy_n(out + std::ptrdiff_t(i) * c_stride, n, edge + i * stride);
      tile_of<V>(rows, std::make_integer_sequence<int, tile_rows>{})(a, r, from, deep, copied,
                                                                     from > 0, to, stride, ahead);
      if (!whole)
        for (int i = 0; i < rows; ++i)
          std::copy_n(edge + i * stride, n, out + std::ptrdiff_t(i) * c_stride);
    }
  }
}

}  // namespace

void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride, Ahead ahead) {
  const Factor left{a, a_transposed ? 1 : a_stride, a_transposed ? a_stride : 1};
  const Factor right{b, b_transposed ? b_stride : 1, b_transposed ? 1 : b_stride};
  for (int first = 0; first < n; first += panel_columns) {
    const int count = std::min(panel_columns, n - first);
    static_assert(tile_vectors == 3);
    const auto one = count > 2 * lanes ? panel<3> : count > lanes ? panel<2> : panel<1>;
    if (ahead.rows == 0 && first + count < n) {
      const int next = std::min(panel_columns, n - first - count);
      ahead = {.from = {right.at(first + count, 0)},
               .matrices = 1,
               .columns = b_transposed ? depth : next,
               .rows = b_transposed ? next : depth,
               .stride = b_stride};
    }
    one(left, right, m, first, count, depth, c, c_stride, ahead);
  }
  if (depth == 0)
    for (int r = 0; r < m; ++r) std::fill_n(c + std::ptrdiff_t(r) * c_stride, n, Real(0));
}

double arithmetic(int rounds) {
  Vector sum[tile_rows][tile_vectors] = {}, factor = Vector{} + Real(0.5);
  for (int i = 0; i < rounds; ++i)
    for (auto& row : sum)
      for (Vector& v : row) {
        v = factor * v + factor;
        asm volatile("" : "+v"(v));
      }
  return 2.0 * rounds * tile_rows * tile_vectors * lanes;
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
