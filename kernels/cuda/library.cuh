#pragma once
#include "kernels/cuda/gemm.cuh"
#include "kernels/large_products.h"

// What a library's product (kernels/large_products.h) needs of our own kernels.
namespace elbo::inline ELBO_TARGET {

#ifndef ELBO_DOUBLE

/// A factor rounded to bf16, ties to even, as the mainloop Bf16 does on the way: 8 numbers an
/// entry, zeros behind the last column, so that rows start 16-byte aligned.
///
/// Reads 4 and writes 2 bytes a number.
struct Bf16CopyBody {
  static constexpr int each = 8;
  Matrix from;
  std::uint16_t* to;
  int stride;

  static int padded(int columns) { return tiling::divide_up(columns, each) * each; }
  __device__ void operator()(int r, int group) const {
    const int first = each * group, left = from.columns - first;
    const Real* const in = from.row(r) + first;
    const Piece low = fetch_piece(in, min(left, 4)),
                high = fetch_piece(in + 4, max(min(left - 4, 4), 0));
    uint4 out;
    out.x = to_bf16x2(low.v[0], low.v[1]), out.y = to_bf16x2(low.v[2], low.v[3]);
    out.z = to_bf16x2(high.v[0], high.v[1]), out.w = to_bf16x2(high.v[2], high.v[3]);
    *reinterpret_cast<uint4*>(to + std::ptrdiff_t(r) * stride + first) = out;
  }
};

#endif

}  // namespace elbo::inline ELBO_TARGET
