#include "kernels/cpu/multiply.h"

#if defined(__AVX512F__) && !defined(ELBO_DOUBLE)
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/cpu/scratch.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

constexpr int side = 16;        // of a tile of c; lines of a factor in one of its tiles
constexpr int tile_depth = 32;  // pairs of bfloat16 in a row of a tile
constexpr int all_parts = 3;    // of a float: 3 · 8 bits of significand
constexpr int row_bytes = 64, tile_bytes = side * row_bytes;
static_assert(side == lanes && split_bytes(side, tile_depth) == all_parts * tile_bytes);

/// A factor whose entry of a line (a row of a, a column of b) and depth is `by` times what lies at
/// data[line * lines + depth * depths]; one of the two strides is 1.
struct Factor {
  const Real* data;
  std::ptrdiff_t lines, depths;
  Real by;
};

/// Two registers of floats as pairs of bfloat16, in three parts whose sum they are: each is the
/// nearest to what those before it leave, and the last is all of that.  Or in one: they are then
/// whole numbers of 8 bits, but for a rounding of what they come from.
template <int parts>
[[gnu::always_inline]] inline void split(Vector low, Vector high, std::byte* out) {
  using Bits [[gnu::vector_size(vector_bytes)]] = std::uint32_t;
  constexpr Real spacing_1 = 3 << 22;  // the numbers around it are whole
  if constexpr (parts == 1)
    low = (low + spacing_1) - spacing_1, high = (high + spacing_1) - spacing_1;
  constexpr std::uint32_t half = 0x8000, upper = 0xFFFF0000;
#pragma GCC unroll 3
  for (int part = 0; part < parts; ++part, out += tile_bytes) {
    Bits l = Bits(low), h = Bits(high);
    if (part + 1 < parts) {
      l = (l + half) & upper, h = (h + half) & upper;
      low -= Vector(l), high -= Vector(h);
    }
    _mm512_store_si512(out, _mm512_mask_blend_epi16(0xAAAAAAAA, __m512i(l >> 16), __m512i(h)));
  }
}

/// A block of a factor, as it lies in memory: 16 rows, of which some are there, of 16 numbers, of
/// which those are there that `mask` names; and another one `beside` numbers further.
struct Block {
  const Real* data;
  std::ptrdiff_t stride, beside;
  int rows[2];
  __mmask16 mask[2];
  Vector by;

  bool whole() const { return rows[1] == side && (mask[1] & 1u << (side - 1)); }
  template <bool whole>
  [[gnu::always_inline]] Vector row(int half, int r) const {
    const Real* const from = data + half * beside + r * stride;
    if constexpr (whole) return load(from);
    else return Vector(_mm512_maskz_loadu_ps(r < rows[half] ? mask[half] : __mmask16(0), from));
  }
};

/// The tiles of its parts: a row of a tile holds a row of the block and that beside it.
template <int parts, bool whole>
void split_rows(const Block& block, std::byte* out) {
  for (int r = 0; r < side; ++r)
    split<parts>(block.row<whole>(0, r) * block.by, block.row<whole>(1, r) * block.by,
                 out + r * row_bytes);
}

/// The same of columns; adds each one to its sum, where those are wanted.
template <int parts, bool whole>
void split_columns(const Block& block, std::byte* out, Real* sums) {
  alignas(64) Real squares[2][side][side];
  for (int half = 0; half < 2; ++half) {
    Vector rows[side];
#pragma GCC unroll 16
    for (int r = 0; r < side; ++r) rows[r] = block.row<whole>(half, r);
    if (sums) {
      Vector sum = load(sums);
#pragma GCC unroll 16
      for (int r = 0; r < side; ++r) sum += rows[r];
      store(sums, sum);
    }
    transpose(rows);
#pragma GCC unroll 16
    for (int r = 0; r < side; ++r) store(squares[half][r], rows[r]);
  }
  for (int r = 0; r < side; ++r)
    split<parts>(load(squares[0][r]) * block.by, load(squares[1][r]) * block.by,
                 out + r * row_bytes);
}

/// n lines of a factor as tiles [lines / 16][depth / 32][parts], 0 beyond n and depth.
/// A row of a tile holds one line (tiles of a), or all lines at one depth (of b).  Goes along the
/// rows of memory; adds each line to its sum, where those are wanted and it is a column there.
template <int parts, bool row_is_line>
void split_factor(const Factor& f, int n, int depth, std::byte* tiles, Real* sums = nullptr) {
  const auto some = [](int count) { return __mmask16((1u << std::clamp(count, 0, side)) - 1); };
  const bool line_is_row = f.depths == 1;  // of memory
  const std::ptrdiff_t stride = line_is_row ? f.lines : f.depths, beside = side * f.depths;
  const int across = (depth + tile_depth - 1) / tile_depth, down = (n + side - 1) / side;
  const Vector by = Vector{} + f.by;
  for (int t = 0; t < across * down; ++t) {
    const int line = line_is_row ? t / across : t % down,
              deep = line_is_row ? t % across : t / down;
    const int i = line * side, k = deep * tile_depth;
    const int lines = std::min(side, n - i), low = std::min(side, depth - k);
    const int high = std::clamp(depth - k - side, 0, side);
    const Real* const data = f.data + i * f.lines + k * f.depths;
    const Block block =
        line_is_row ? Block{data, stride, beside, {lines, lines}, {some(low), some(high)}, by}
                    : Block{data, stride, beside, {low, high}, {some(lines), some(lines)}, by};
    if (!line_is_row)  // pieces too short to be foreseen
      for (int r = 0; r < tile_depth; ++r) __builtin_prefetch(data + (tile_depth + r) * stride);
    const bool whole = block.whole();
    std::byte* const out = tiles + (line * across + deep) * std::ptrdiff_t(parts * tile_bytes);
    if (row_is_line == line_is_row)
      (whole ? split_rows<parts, true> : split_rows<parts, false>)(block, out);
    else
      (whole ? split_columns<parts, true> : split_columns<parts, false>)(block, out,
                                                                         sums ? sums + i : nullptr);
  }
}

struct alignas(64) Shapes {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
  constexpr Shapes() {
    for (int i = 0; i < 8; ++i) row_bytes[i] = cpu::row_bytes, rows[i] = side;
  }
};
constexpr Shapes shapes;

// The compiler knows nothing of tiles, nor these of what it knows: they read and write memory.
template <int tile>
[[gnu::always_inline]] inline void load_tile(const void* from, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
[[gnu::always_inline]] inline void store_tile(void* to, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
[[gnu::always_inline]] inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
/// c += a b, in float: two sums of 16 products each, one of the pairs' first, one of their second,
/// are added to each other and then to an entry of c.
template <int c, int a, int b>
[[gnu::always_inline]] inline void add_product() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
}

/// The products of parts: of_a of a by of_b of b, the smallest first; neighbours share a factor.
constexpr int products = 6, of_a[] = {2, 1, 1, 0, 0, 0}, of_b[] = {0, 0, 1, 1, 2, 0};

constexpr bool is_there(int product, int a_parts, int b_parts) {
  return of_a[product] < a_parts && of_b[product] < b_parts;
}
/// Whether the factor's part is another than that of the product before.
constexpr bool is_new(const int (&part)[products], int product, int a_parts, int b_parts) {
  int before = product - 1;
  while (before >= 0 && !is_there(before, a_parts, b_parts)) --before;
  return before < 0 || part[before] != part[product];
}

/// R x V tiles of c, four at the most, from their factors' tiles of `blocks`; a line's next 16 lie
/// `a_next` and `b_next` bytes on.  Of nine products of parts the three smallest are left out.
template <int R, int V, int a_parts, int b_parts>
void tiles(const std::byte* a, std::ptrdiff_t a_next, const std::byte* b, std::ptrdiff_t b_next,
           int blocks, bool add, const Real* bias, Real* c, std::ptrdiff_t c_stride, Ahead& soon) {
  static_assert(R * V <= 4 && V <= 2);
  // Tiles 0 to 3 are c's, 6 and 7 b's, the others a's.
  constexpr auto row = [](auto n) {
    return std::integral_constant<int, 4 + (V == 1 ? n % 3 : n)>{};
  };
  constexpr auto column = [](auto n) { return std::integral_constant<int, 7 - n>{}; };
  const auto each = []<int... n>(std::integer_sequence<int, n...>, auto&& f) {
    (f(std::integral_constant<int, n>{}), ...);
  };
  constexpr std::make_integer_sequence<int, R> rows{};
  constexpr std::make_integer_sequence<int, V> columns{};
  Ahead ahead = soon;
  const std::ptrdiff_t stride = c_stride * std::ptrdiff_t(sizeof(Real));
  const auto at = [&](int r, int v) { return c + side * (r * c_stride + v); };
  each(rows, [&](auto r) {
    each(columns, [&](auto v) {
      if (add) load_tile<r * V + v>(at(r, v), stride);
      else if (bias) load_tile<r * V + v>(bias + v * side, 0);
      else zero_tile<r * V + v>();
    });
  });
  for (int k = 0; k < blocks; ++k, a += a_parts * tile_bytes, b += b_parts * tile_bytes) {
    each(std::make_integer_sequence<int, products>{}, [&](auto i) {
      if constexpr (is_there(i, a_parts, b_parts)) {
        constexpr bool new_a = R > 2 || is_new(of_a, i, a_parts, b_parts);
        if constexpr (is_new(of_b, i, a_parts, b_parts))
          each(columns, [&](auto v) {
            load_tile<column(v)>(b + v * b_next + of_b[i] * tile_bytes, row_bytes);
          });
        each(rows, [&](auto r) {
          if constexpr (new_a) load_tile<row(r)>(a + r * a_next + of_a[i] * tile_bytes, row_bytes);
          each(columns, [&](auto v) { add_product<r * V + v, row(r), column(v)>(); });
        });
      }
      for (int i = 0; i < 3; ++i) ahead.fetch();
    });
  }
  each(rows,
       [&](auto r) { each(columns, [&](auto v) { store_tile<r * V + v>(at(r, v), stride); }); });
  soon = ahead;
}

/// Rows of tiles of c, `high` of them, V of a column: the result of some tiles of a by V of b.
template <int V, int a_parts, int b_parts>
void tile_rows(const std::byte* a, int high, std::ptrdiff_t a_next, const std::byte* b,
               std::ptrdiff_t b_next, int blocks, bool add, const Real* bias, Real* c, int c_stride,
               Ahead& soon) {
  constexpr int most = 4 / V;
  for (int row = 0; row < high;) {
    const int left = high - row;
    const auto some = [&]<int R>(std::integral_constant<int, R>) {
      tiles<R, V, a_parts, b_parts>(a + row * a_next, a_next, b, b_next, blocks, add, bias,
                                    c + std::ptrdiff_t(row) * side * c_stride, c_stride, soon);
      row += R;
    };
    if (left >= most) some(std::integral_constant<int, most>{});
    else if (left >= 2) some(std::integral_constant<int, 2>{});
    else some(std::integral_constant<int, 1>{});
  }
}

template <int a_parts, int b_parts>
void multiply_parts(const Factor& left, const Factor& right, bool b_transposed, int m, int n,
                    int depth, Real* c, int c_stride, const Known& known, Real* a_sums) {
  // A part of the depth is split at a time, so that the tiles stay in the second cache: of b two
  // columns of them, or all where that is the whole depth.
  constexpr int a_bytes = a_parts * tile_bytes, b_bytes = b_parts * tile_bytes;
  constexpr int wide = 2 * side, small_depth = 256, kept_bytes = 768 << 10;
  const bool whole_b = !b_transposed && depth <= small_depth;
  const int high = (m + side - 1) / side, together = whole_b ? n : std::min(n, wide);
  const int broad = (together + side - 1) / side, all = (depth + tile_depth - 1) / tile_depth;
  const int most =
      whole_b ? all
              : std::min(all, std::clamp(kept_bytes / (high * a_bytes + broad * b_bytes), 4, 26));
  std::byte* const lines = scratch<Purpose::lines, std::byte>(std::size_t(high) * most * a_bytes);
  std::byte* const columns =
      scratch<Purpose::columns, std::byte>(std::size_t(broad) * most * b_bytes);
  const std::byte* const ready = known.split_b;
  asm volatile("ldtilecfg %0" ::"m"(shapes));
  for (int from = 0; from < depth; from += most * tile_depth) {
    const int deep = std::min(most * tile_depth, depth - from);
    const int blocks = (deep + tile_depth - 1) / tile_depth;
    const std::ptrdiff_t a_next = std::ptrdiff_t(blocks) * a_bytes,
                         b_next = std::ptrdiff_t(ready ? all : blocks) * b_bytes;
    const auto at = [&](const Factor& f, int first) -> Factor {
      return {f.data + first * f.lines + from * f.depths, f.lines, f.depths, f.by};
    };
    split_factor<a_parts, true>(at(left, 0), m, deep, lines, a_sums);
    if (whole_b && !known.same_b && !ready)
      split_factor<b_parts, false>(at(right, 0), n, deep, columns);
    for (int first = 0; first < n; first += wide) {
      const int count = std::min(wide, n - first), beside = std::min(wide, n - first - wide);
      const auto tiles_of = [&](int column) {
        return ready + column / side * b_next + std::ptrdiff_t(from / tile_depth) * b_bytes;
      };
      if (!whole_b && !ready) split_factor<b_parts, false>(at(right, first), count, deep, columns);
      Ahead soon{at(right, first + wide).data, b_transposed ? deep : beside,
                 b_transposed ? beside : deep, int(b_transposed ? right.lines : right.depths)};
      if (ready)
        soon = {reinterpret_cast<const Real*>(tiles_of(first + wide)),
                blocks * b_bytes / int(sizeof(Real)), (beside + side - 1) / side,
                int(b_next / std::ptrdiff_t(sizeof(Real)))};
      if ((whole_b && !ready) || beside <= 0) soon.rows = 0;
      const std::byte* const with = ready     ? tiles_of(first)
                                    : whole_b ? columns + first / side * b_next
                                              : columns;
      const auto of_columns =
          count > side ? tile_rows<2, a_parts, b_parts> : tile_rows<1, a_parts, b_parts>;
      of_columns(lines, high, a_next, with, b_next, blocks, from > 0,
                 known.bias ? known.bias + first : nullptr, c + first, c_stride, soon);
    }
  }
  asm volatile("tilerelease");
  if (depth == 0)
    for (int r = 0; r < m; ++r) std::fill_n(c + std::ptrdiff_t(r) * c_stride, n, Real(0));
}

}  // namespace

void multiply_on_tiles(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
                       int a_stride, const Real* b, int b_stride, Real* c, int c_stride,
                       const Known& known, Real* a_sums) {
  Factor left{a, a_stride, 1, 1}, right{b, 1, b_stride, 1};
  if (a_transposed) std::swap(left.lines, left.depths);
  if (b_transposed) std::swap(right.lines, right.depths);
  const auto parts = [&](auto kernel) {
    kernel(left, right, b_transposed, m, n, depth, c, c_stride, known, a_sums);
  };
  if (known.unit_a != 0) {
    left.by = 1 / known.unit_a, right.by = known.unit_a;
    parts(multiply_parts<1, all_parts>);
  } else if (known.unit_b != 0) {
    left.by = known.unit_b, right.by = 1 / known.unit_b;
    parts(multiply_parts<all_parts, 1>);
  } else parts(multiply_parts<all_parts, all_parts>);
}

void split_on_tiles(bool b_transposed, int first, int n, int depth, const Real* b, int b_stride,
                    Real by, std::byte* tiles) {
  Factor right{b, 1, b_stride, by};
  if (b_transposed) std::swap(right.lines, right.depths);
  right.data += first * right.lines;
  split_factor<all_parts, false>(right, n, depth, tiles + split_bytes(first, depth));
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
#endif
