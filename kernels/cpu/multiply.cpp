#include "kernels/cpu/multiply.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/cpu/scratch.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int tile_rows = registers == 32 ? 8 : 4, tile_vectors = panel_columns / lanes;
constexpr int most_depth = 192;    // of a copied panel: it stays in the first cache
constexpr int listed_depth = 768;  // where a is listed: in the second
constexpr int most_lines = 128;    // of a that are copied: they stay in the second

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

/// What is not 0 in a part of the depth of some rows of a: of row r, entries from start[r] to before
/// start[r + 1].
struct Listed {
  const int* start;
  const int* depth;
  const Real* value;
};

/// Rows first … first + m of a, whose steps are 1, from … from + depth.
Listed list(const Factor& a, int first, int m, int from, int depth) {
  const std::size_t most = std::size_t(m) * depth + lanes;
  int* const starts = scratch<Purpose::starts, int>(std::size_t(m) + 1);
  int* const depths = scratch<Purpose::which, int>(most);
  Real* const values = scratch<Purpose::values>(most);
  int n = 0;
  for (int r = 0; r < m; ++r) {
    const Real* const row = a.at(first + r, from);
    starts[r] = n;
    n += not_zero(row, depth, depths + n, values + n);
  }
  starts[m] = n;
  return {starts, depths, values};
}

/// As `tile` of one row, of which only some entries are not 0: the same sums to the bit.
template <int V>
void listed_row(const Listed& a, int r, const Real* panel, bool add, Real* c, Ahead& ahead) {
  Vector sum[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) sum[v] = add ? load(c + v * lanes) : Vector{};
  for (int i = a.start[r]; i < a.start[r + 1]; ++i) {
    if (i % 4 == 0) ahead.fetch();
    const Real* const columns = panel + a.depth[i] * V * lanes;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[v] += a.value[i] * load(columns + v * lanes);
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store(c + v * lanes, sum[v]);
}

/// A part of the depth, and of the rows, of one panel of c, of n ≤ V * lanes columns.
template <int V>
void panel(Lines a, const Listed* listed, const Factor& b, int m, int first, int n, int from,
           int depth, Real* c, int c_stride, Ahead& ahead) {
  alignas(64) static thread_local Real copied[listed_depth * V * lanes];
  const bool add = from > 0;
  pack<V>(b, first, n, from, depth, copied);
  for (int r = 0; r < m; r += tile_rows, a.data += a.tile) {
    const int rows = std::min(tile_rows, m - r);
    Real* const out = c + std::ptrdiff_t(r) * c_stride + first;
    if (listed)
      for (int i = 0; i < rows; ++i)
        listed_row<V>(*listed, r + i, copied, add, out + std::ptrdiff_t(i) * c_stride, ahead);
    else
      tile_of<V>(rows, std::make_integer_sequence<int, tile_rows>{})(a, depth, copied, add, out,
                                                                     c_stride, ahead);
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

/// From row to row of sums that stand transposed: without the one more, 8 rows of 8 registers would
/// be a page, and a row that is read would wait for those that are being written.
constexpr int apart(int vectors) { return (vectors + 1) * lanes; }

/// Adds aᵀ b of a [depth, m], m ≤ V * lanes, and b [depth, n], n ≤ panel_columns, of which few
/// entries are not 0, to c, which stands transposed.  Each adds a row of a to one of c.
template <int V>
void add_rows(int m, int n, int depth, const Real* a, int a_stride, const Real* b, int b_stride,
              Real* c) {
  constexpr int width = apart(V);
  int which[panel_columns + lanes];
  Real value[panel_columns + lanes];
  for (int k = 0; k < depth; ++k, a += a_stride, b += b_stride) {
    for (int i = 0; i < n; i += 64 / int(sizeof(Real)))  // rows are further apart than is foreseen
      __builtin_prefetch(b + 16 * std::ptrdiff_t(b_stride) + i);
    const int count = not_zero(b, n, which, value);
    if (count == 0) continue;
    Vector row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V - 1; ++v) row[v] = load(a + v * lanes);
    row[V - 1] = load_some(a + (V - 1) * lanes, m - (V - 1) * lanes);
    for (int i = 0; i < count; ++i) {
      Real* const column = c + which[i] * width;
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v)
        store(column + v * lanes, load(column + v * lanes) + value[i] * row[v]);
    }
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

/// The product where a is transposed and few of b's entries are not 0.
void multiply_listed(int m, int n, int depth, const Real* a, int a_stride, const Real* b,
                     int b_stride, Real* c, int c_stride) {
  constexpr int most = 8;    // registers of a's rows
  constexpr int part = 256;  // rows of a, which stay in the second cache for all panels
  for (int row = 0; row < m; row += most * lanes) {
    const int rows = std::min(most * lanes, m - row), vectors = (rows + lanes - 1) / lanes;
    const std::size_t size = std::size_t(n) * apart(vectors);
    Real* const sums = scratch<Purpose::sums>(size);
    std::fill_n(sums, size, Real(0));
    for (int from = 0; from < depth; from += part)
      for (int first = 0; first < n; first += panel_columns) {
        const auto with = [&]<int V>(std::integral_constant<int, V>) {
          add_rows<V>(rows, std::min(panel_columns, n - first), std::min(part, depth - from),
                      a + std::ptrdiff_t(from) * a_stride + row, a_stride,
                      b + std::ptrdiff_t(from) * b_stride + first, b_stride,
                      sums + std::ptrdiff_t(first) * apart(V));
        };
        const auto choose = [&]<int... v>(std::integer_sequence<int, v...>) {
          (void)((vectors == v + 1 && (with(std::integral_constant<int, v + 1>{}), true)) || ...);
        };
        choose(std::make_integer_sequence<int, most>{});
      }
    put_transposed(sums, apart(vectors), rows, n, c + std::ptrdiff_t(row) * c_stride, c_stride);
  }
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
    return multiply_listed(m, n, depth, a, a_stride, b, b_stride, c, c_stride);
  const bool listing = !a_transposed && mostly_zero(4, a, m, depth, a_stride);
  const int most_rows = a_transposed ? most_lines : m;
  const int most_deep = listing ? listed_depth : most_depth;
  for (int row = 0; row < m; row += most_rows)
    for (int from = 0; from < depth; from += most_deep) {
      const int rows = std::min(most_rows, m - row), deep = std::min(most_deep, depth - from);
      const Lines lines =
          a_transposed ? pack_lines(left, row, rows, from, deep)
                       : Lines{left.at(row, from), left.line, left.step, tile_rows * left.line};
      const Listed listed = listing ? list(left, row, rows, from, deep) : Listed{};
      for (int first = 0; first < n; first += panel_columns) {
        const int count = std::min(panel_columns, n - first);
        // The panel after this one.
        const int next = first + count < n ? first + count : 0,
                  next_from = next ? from : from + deep;
        const int wide = std::min(panel_columns, n - next);
        const int high = std::min(most_deep, depth - next_from);
        Ahead following{right.at(next, next_from), b_transposed ? high : wide,
                        b_transposed ? wide : high, b_stride};
        if (high <= 0) following.rows = 0;
        const auto one = count > 2 * lanes ? panel<3> : count > lanes ? panel<2> : panel<1>;
        one(lines, listing ? &listed : nullptr, right, rows, first, count, from, deep,
            c + std::ptrdiff_t(row) * c_stride, c_stride, following);
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
