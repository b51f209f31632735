#include "kernels/cpu/multiply.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/cpu/lists.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/scratch.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int tile_rows = registers == 32 ? 8 : 4, tile_vectors = panel_columns / lanes;
constexpr int most_depth = 192;  // of a copied panel: it stays in the first cache
constexpr int most_lines = 128;  // of a that are copied: they stay in the second

/// Some rows of a, tile after tile: entry m, k of one lies at data[m * line + k * step], and the
/// next tile begins `tile` numbers later.
struct Lines {
  const Real* data;
  std::ptrdiff_t line, step, tile;
};

/// Rows first … first + m of a transposed a, copied as [m / tile_rows][depth][tile_rows].
Lines pack_lines(const Factor& a, int first, int m, int from, int depth) {
  alignas(64) static thread_local Real copied[most_depth * most_lines];
  for (int k = 0; k < depth; ++k) {
    const Real* const in = a.at(first, from + k);
    // Each k is of a page that no prefetcher foresees.
    for (int r = 0; r < m; r += 64 / int(sizeof(Real))) __builtin_prefetch(in + 8 * a.step + r);
    Real* out = copied + k * tile_rows;
    int r = 0;
    for (; r + tile_rows <= m; r += tile_rows, out += depth * tile_rows)
      std::copy_n(in + r, tile_rows, out);
    for (int i = 0; r + i < m; ++i) out[i] = in[r + i];
  }
  return {copied, 1, tile_rows, depth * tile_rows};
}

/// c [M, V * lanes] of a tile of M rows of a, or added to what is there.
template <int M, int V>
void tile(const Lines& a, int depth, const Real* panel, bool add, Real* c, int c_stride,
          Ahead& soon) {
  Ahead ahead = soon;
  const std::ptrdiff_t line = a.line, step = a.step;
  const Real* rows = a.data;
  Vector sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[m][v] = add ? load(c + m * c_stride + v * lanes) : Vector{};
  for (int k = 0; k < depth; ++k, rows += step) {
    if (k % 4 == 0) ahead.fetch();
    Vector columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) columns[v] = load(panel + (k * V + v) * lanes);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Real x = rows[m * line];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[m][v] += x * columns[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(c + m * c_stride + v * lanes, sum[m][v]);
  soon = ahead;
}

using Tile = void (*)(const Lines&, int, const Real*, bool, Real*, int, Ahead&);
template <int V, int... m>
constexpr Tile tile_of(int rows, std::integer_sequence<int, m...>) {
  constexpr Tile tiles[] = {tile<m + 1, V>...};
  return tiles[rows - 1];
}

/// A part of the depth, and of the rows, of one panel of c, of n ≤ V * lanes columns.
template <int V>
void panel(Lines a, const Factor& b, int m, int first, int n, int from, int depth, Real* c,
           int c_stride, Ahead& ahead) {
  alignas(64) static thread_local Real copied[most_depth * V * lanes];
  const bool add = from > 0;
  pack<V>(b, first, n, from, depth, copied);
  for (int r = 0; r < m; r += tile_rows, a.data += a.tile) {
    const int rows = std::min(tile_rows, m - r);
    tile_of<V>(rows, std::make_integer_sequence<int, tile_rows>{})(
        a, depth, copied, add, c + std::ptrdiff_t(r) * c_stride + first, c_stride, ahead);
  }
}

/// Whether at most one in `of` of a matrix's numbers is not 0, by some of its rows.
bool mostly_zero(int of, const Real* data, int rows, int columns, int stride) {
  constexpr int least = 16;  // columns that are worth it
  const int looks = std::min(rows, 16);
  if (columns < least) return false;
  long found = 0;
  const long most = long(looks) * columns / of;
  for (int i = 0; i < looks && found <= most; ++i) {
    const Real* const row = data + std::ptrdiff_t(i) * rows / looks * stride;
    int here = 0;
    for (int c = 0; c < columns; ++c) here += !(row[c] == 0);
    found += here;
  }
  return found <= most;
}

/// In the thread's memory.
Lists lists_of(const Real* data, int rows, int columns, int stride) {
  Lists lists{.memory = Lists::memory_of(rows, columns, false), .columns = columns};
  Matrix& memory = lists.memory;
  memory.data = scratch<Purpose::lists>(std::size_t(memory.rows) * memory.stride);
  for (int r = 0; r < rows; ++r, data += stride) {
    for (int c = 0; c < columns; c += 64 / int(sizeof(Real)))  // no row foretells the next one
      __builtin_prefetch(data + stride + c);
    list_row(lists, r, [&](int first, int n, int* place, Real* value) {
      return not_zero(data + first, n, place, value, first);
    });
  }
  return lists;
}

}  // namespace

void column_sums(const Real* in, int rows, int columns, int stride, Real* out) {
  for (int r = 0; r < rows; ++r, in += stride)
    for (int c = 0; c < columns; ++c) out[c] += in[c];
}

void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride, const Known&,
              Real* a_sums) {
  static_assert(tile_vectors == 3);
  if (a_sums) column_sums(a, depth, m, a_stride, a_sums);
  const Factor left{a, a_transposed ? 1 : a_stride, a_transposed ? a_stride : 1};
  const Factor right{b, b_transposed ? b_stride : 1, b_transposed ? 1 : b_stride};
  // About where going through what is not 0 alone becomes the faster one; the sums are the same.
  if (a_transposed && !b_transposed && mostly_zero(depth < 512 ? 8 : 4, b, depth, n, b_stride))
    return times_listed(m, n, depth, a, a_stride, lists_of(b, depth, n, b_stride), 0, c, c_stride);
  if (!a_transposed && mostly_zero(4, a, m, depth, a_stride))
    return listed_times(lists_of(a, m, depth, a_stride), 0, b_transposed, m, n, depth, b, b_stride,
                        c, c_stride);
  const int most_rows = a_transposed ? most_lines : m;
  for (int row = 0; row < m; row += most_rows)
    for (int from = 0; from < depth; from += most_depth) {
      const int rows = std::min(most_rows, m - row), deep = std::min(most_depth, depth - from);
      const Lines lines =
          a_transposed ? pack_lines(left, row, rows, from, deep)
                       : Lines{left.at(row, from), left.line, left.step, tile_rows * left.line};
      for (int first = 0; first < n; first += panel_columns) {
        const int count = std::min(panel_columns, n - first);
        // The panel after this one.
        const int next = first + count < n ? first + count : 0,
                  next_from = next ? from : from + deep;
        const int wide = std::min(panel_columns, n - next);
        const int high = std::min(most_depth, depth - next_from);
        Ahead following{right.at(next, next_from), b_transposed ? high : wide,
                        b_transposed ? wide : high, b_stride};
        if (high <= 0) following.rows = 0;
        const auto one = count > 2 * lanes ? panel<3> : count > lanes ? panel<2> : panel<1>;
        one(lines, right, rows, first, count, from, deep, c + std::ptrdiff_t(row) * c_stride,
            c_stride, following);
      }
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
