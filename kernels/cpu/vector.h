#pragma once
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <cstdint>
#include <utility>

#include "kernels/matrix.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// As many numbers as a register of the instruction set holds that is compiled for.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64, registers = 32;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32, registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16, registers = 32;
#else
constexpr int vector_bytes = 16, registers = 16;
#endif
using Vector [[gnu::vector_size(vector_bytes)]] = Real;
constexpr int lanes = vector_bytes / int(sizeof(Real));

/// The same in memory, where it may begin at any number.
using Unaligned [[gnu::vector_size(vector_bytes), gnu::aligned(alignof(Real)), gnu::may_alias]] =
    Real;

[[gnu::always_inline]] inline Vector load(const Real* from) {
  return *reinterpret_cast<const Unaligned*>(from);
}
[[gnu::always_inline]] inline void store(Real* to, Vector v) {
  *reinterpret_cast<Unaligned*>(to) = v;
}

/// Words of 32 bits in wider lanes; whatever is above them.
using Words [[gnu::vector_size(vector_bytes)]] = std::uint64_t;

/// The products of the words, of 64 bits.
[[gnu::always_inline]] inline Words product_of_words(Words a, Words b) {
#if defined(__AVX512F__)
  return Words(_mm512_mul_epu32(__m512i(a), __m512i(b)));
#elif defined(__AVX2__)
  return Words(_mm256_mul_epu32(__m256i(a), __m256i(b)));
#elif defined(__x86_64__)
  return Words(_mm_mul_epu32(__m128i(a), __m128i(b)));
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/// Rows `first` and `first + s` of a square of numbers change their off-diagonal blocks of s.
template <int s, int... lane>
[[gnu::always_inline]] inline void swap_blocks(Vector& a, Vector& b,
                                               std::integer_sequence<int, lane...>) {
  const Vector x = a, y = b;
  a = __builtin_shufflevector(x, y, (lane & s ? lanes + lane - s : lane)...);
  b = __builtin_shufflevector(x, y, (lane & s ? lanes + lane : lane + s)...);
}

template <int s = lanes / 2>
[[gnu::always_inline]] inline void transpose(Vector (&rows)[lanes]) {
  for (int first = 0; first < lanes; ++first)
    if (!(first & s))
      swap_blocks<s>(rows[first], rows[first + s], std::make_integer_sequence<int, lanes>{});
  if constexpr (s > 1) transpose<s / 2>(rows);
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
