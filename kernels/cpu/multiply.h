#pragma once
#include <cstddef>

#include "kernels/cpu/vector.h"
#include "kernels/ops/gather.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// The columns that a product works out at a time, in the registers of some rows.
constexpr int panel_columns = 3 * lanes;

/// The rows or columns for which a product's result has room, that of n of them.
constexpr int room(int n) { return (n + lanes - 1) / lanes * lanes; }

/// What will be needed soon: some rows of memory, asked for line by line while a product keeps the
/// processor busy.
struct Ahead {
  const Real* from;
  int columns, rows, stride, column = 0;

  [[gnu::always_inline]] void fetch() {
    if (rows <= 0) return;
    __builtin_prefetch(from + column, 0, 2);
    column += 64 / int(sizeof(Real));
    if (column >= columns) column = 0, --rows, from += stride;
  }
};

/// What is known of a product's factors.
struct Known {
  bool same_b = false;  // b is what it was in this thread's call before, and need not be copied
  // Where not 0, each number of the factor is that times a whole number from 0 to 256, rounded.
  Real unit_a = 0, unit_b = 0;
  const std::byte* split_b = nullptr;  // what split_on_tiles made of b, from its first column on
  const Real* bias = nullptr;  // of n, a multiple of 16: what the sums begin with; on tiles alone
};

/// Adds the sum of each column of `in`, in the order of the rows, to out.
void column_sums(const Real* in, int rows, int columns, int stride, Real* out);

/// c [m,n] = op(a) op(b) on the calling thread, op the transpose where asked; strides in numbers.
/// c has room for room(m) rows of room(n) columns, and what is beyond m and n is not kept.
///
/// 2 m n depth FLOP.  A panel of b, panel_columns wide, is copied so that it lies as it is read, and
/// so is a where it is transposed; 8 rows of c (4, where registers are few) stay in registers while
/// a part of the depth is gone through, one number of a and 3 registers of b at a time.  Every entry
/// is a sum in the order of the depth, whatever the shape: cutting a product into pieces does not
/// change a bit.
/// Where few entries of a, or of b beside a transposed a, are not 0 (counts, ink), it goes through
/// those alone, which changes no bit either: a term 0 · y of finite y changes no sum.
/// Fetches the next panel of b while it works on one.
/// Where a_sums, of room(m), is not null, a is transposed, and its columns' sums are added to it.
void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride, const Known&,
              Real* a_sums);
using Multiply = decltype(multiply);

/// The same with the matrix units of a processor that has AMX for bfloat16 (avx512 alone).
///
/// A float is the sum of three bfloat16 (8 bits of significand each, 24 in all), and a product of
/// two that of nine products, of which the three smallest, together below 2⁻²³ of it, are left out.
/// The six others are added up in float: sums of 16 products, which 6 ⌈depth / 32⌉ additions join.
/// So an entry's error is below (19 + 6 ⌈depth / 32⌉) 2⁻²⁴ Σ |a b|, that of `multiply` below
/// depth · 2⁻²⁴ Σ |a b|: from a depth of 25 on this one is the more exact.
/// A factor of whole numbers up to 256 times a unit (bytes of images, bits) is one bfloat16 of each
/// such number, with the unit in the other factor: three products, two more roundings an entry.
/// Numbers that round to infinity as bfloat16 (3.3962e38 and more) count as not finite, and
/// products below the least normal float as 0.
/// An entry's sum has one order here too, that of the depth by 32, whatever the shape; it begins
/// with the bias, where there is one.
/// 12 m n depth FLOP in bfloat16, 6 of whole numbers; there are 16 such for each of float's.
void multiply_on_tiles(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
                       int a_stride, const Real* b, int b_stride, Real* c, int c_stride,
                       const Known&, Real* a_sums);

/// The bytes that a factor of n lines takes as tiles, of which n / 16 lines follow each other.
constexpr std::size_t split_bytes(int n, int depth) {
  return std::size_t((n + 15) / 16) * std::size_t((depth + 31) / 32) * (3 << 10);
}
/// The parts of b's columns first … first + n - 1 (first a multiple of 16), times `by`, for products
/// that share b: each then has it as `split_b`.
void split_on_tiles(bool b_transposed, int first, int n, int depth, const Real* b, int b_stride,
                    Real by, std::byte* tiles);
using Split = decltype(split_on_tiles);

/// c [m,n] = a op(b), of rows first … first + m - 1 of a's lists: as `multiply` to the bit, with 2 n
/// FLOP for each entry of a that is not 0.  A part of b is copied so that what an entry is
/// multiplied by lies side by side.
void listed_times(const Lists& a, int first, bool b_transposed, int m, int n, int depth,
                  const Real* b, int b_stride, Real* c, int c_stride);
/// c [m,n] = aᵀ b, likewise, of the n columns from `first` on, a multiple of Lists::piece, of b's
/// lists, with 2 m FLOP for each entry of b that is not 0.
void times_listed(int m, int n, int depth, const Real* a, int a_stride, const Lists& b, int first,
                  Real* c, int c_stride);

/// Multiplies and adds in registers alone; returns the FLOP.
double arithmetic(int rounds);

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
