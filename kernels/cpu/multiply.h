#pragma once
#include <cstddef>

#include "kernels/cpu/vector.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// The columns that a product works out at a time, in the registers of some rows.
constexpr int panel_columns = 3 * lanes;

/// What will be needed soon: some rows of memory, up to three of them alike, asked for line by line
/// while a product keeps the processor busy.
struct Ahead {
  const Real* from[3] = {};
  int matrices = 0, columns = 0, rows = 0, stride = 0, column = 0;

  [[gnu::always_inline]] void fetch() {
    if (rows == 0) return;
    for (int i = 0; i < matrices; ++i) __builtin_prefetch(from[i] + column, 0, 2);
    column += 64 / int(sizeof(Real));
    if (column < columns) return;
    column = 0, --rows;
    if (rows > 0)
      for (int i = 0; i < matrices; ++i) from[i] += stride;
  }
};

/// c [m,n] = op(a) op(b) on the calling thread, op the transpose where asked; strides in numbers.
///
/// 2 m n depth FLOP.  A panel of b, panel_columns wide, is copied so that it lies as it is read, and
/// so is a where it is transposed; 8 rows of c (4, where registers are few) stay in registers while
/// a part of the depth is gone through, one number of a and 3 registers of b at a time.  Every entry
/// is a sum in the order of the depth, whatever the shape: cutting a product into pieces does not
/// change a bit.
/// Where few entries of a, or of b beside a transposed a, are not 0 (counts, ink), it goes through
/// those alone, which changes no bit either: a term 0 · y of finite y changes no sum.
/// Fetches the next panel of b while it works on one, and with the last ones `ahead`.
void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride, Ahead ahead = {});

/// Multiplies and adds in registers alone; returns the FLOP.
double arithmetic(int rounds);

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
