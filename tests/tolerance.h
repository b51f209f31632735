#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/ops.h"

/// How far a computed number may lie from the exact one.  Every tolerance of a test comes from here
/// and says what it follows from: the rounding of Real, how many roundings, how long a sum.
namespace elbo::tolerance {

/// One rounding changes x by at most unit · |x|.
constexpr double unit = std::numeric_limits<Real>::epsilon() / 2;

/// A sum of n numbers (or products) with Σ |number| = magnitude, added up in Real in any order.
///
/// The roundings of a sum are as good as independent: its error stays below λ √n · unit · magnitude
/// except with probability 2 exp(-λ²/2) (Higham & Mary 2019, theorem 2.4); λ = 6 means one entry in
/// 30 million.  The + 4: the numbers' own roundings, and the order's last few.
inline double sum(double n, double magnitude) { return (6 * std::sqrt(n) + 4) * unit * magnitude; }

/// A product's entry of depth n, Σ |a b| = magnitude, of factors that are rounded already.
///
/// Tensor cores cut off where Fma rounds, once in every 8 steps of the depth and up to two units
/// each, always towards zero: that part of the error grows linearly.
inline double product(Precision precision, double n, double magnitude) {
  const bool cuts = precision != Precision::fp32 && sizeof(Real) == 4;
  return sum(n, magnitude) + (cuts ? n / 4 * unit * magnitude : 0);
}

/// A sum of n numbers with Σ |number| = magnitude, added up in double here and there in two orders.
inline double sum_in_double(double n, double magnitude) {
  return 2 * (6 * std::sqrt(n) + 4) * (std::numeric_limits<double>::epsilon() / 2) * magnitude;
}

/// The same formula on the same numbers by two compilers: `roundings` operations each of which may
/// round otherwise (a fused multiply-add, a library function good to two units), of values up to
/// magnitude.
inline double formula(double roundings, double magnitude) {
  return 2 * roundings * unit * std::max(1.0, std::abs(magnitude));
}

/// The same for numbers that are floats in every build, as those of data sets are.
inline double of_floats(double roundings, double magnitude) {
  return roundings * std::numeric_limits<float>::epsilon() * std::max(1.0, std::abs(magnitude));
}

/// x as a product of that precision reads it.
inline Real rounded(Real x, Precision precision) {
#ifndef ELBO_DOUBLE
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (precision == Precision::tf32) bits = (bits + 0x1000u) & ~0x1FFFu;  // ties away
  if (precision == Precision::bf16)
    bits = (bits + 0x7FFFu + (bits >> 16 & 1u)) & ~0xFFFFu;  // ties to even
  std::memcpy(&x, &bits, sizeof bits);
#else
  (void)precision;
#endif
  return x;
}

}  // namespace elbo::tolerance
