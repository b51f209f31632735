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

/// The first n ≤ lanes of them, 0 beyond; what lies there is not touched.
[[gnu::always_inline]] inline Vector load_some(const Real* from, int n) {
#if defined(__AVX512F__) && !defined(ELBO_DOUBLE)
  return Vector(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from));
#else
  if (n == lanes) return load(from);
  Vector some{};
  for (int i = 0; i < n; ++i) some[i] = from[i];
  return some;
#endif
}

/// from[place[0]], from[place[1]], …, which GCC would load one by one.
[[gnu::always_inline]] inline Vector gather(const Real* from, const int* place) {
#if defined(__AVX512F__) && !defined(ELBO_DOUBLE)
  return Vector(_mm512_i32gather_ps(_mm512_loadu_si512(place), from, sizeof(Real)));
#else
  Vector some;
  for (int i = 0; i < lanes; ++i) some[i] = from[place[i]];
  return some;
#endif
}

/// Numbers in double, as many as a register holds.
using Wide [[gnu::vector_size(vector_bytes)]] = double;
constexpr int wide_lanes = vector_bytes / 8;
[[gnu::always_inline]] inline Wide widened(const Real* from) {
  using Narrow [[gnu::vector_size(wide_lanes * sizeof(Real)), gnu::aligned(alignof(Real)),
                 gnu::may_alias]] = Real;
  const Narrow numbers = *reinterpret_cast<const Narrow*>(from);
#if defined(ELBO_DOUBLE)
  return numbers;
#elif defined(__AVX512F__)  // which __builtin_convertvector would do by halves
  return Wide(_mm512_cvtps_pd(__m256(numbers)));
#elif defined(__AVX2__)
  return Wide(_mm256_cvtps_pd(__m128(numbers)));
#else
  return __builtin_convertvector(numbers, Wide);
#endif
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

/// Those of a and b in turn, 2 * lanes of them.
template <int... lane>
[[gnu::always_inline]] inline void interleave(Vector a, Vector b, Real* to,
                                              std::integer_sequence<int, lane...>) {
  store(to, __builtin_shufflevector(a, b, (lane % 2 * lanes + lane / 2)...));
  store(to + lanes, __builtin_shufflevector(a, b, (lane % 2 * lanes + (lanes + lane) / 2)...));
}

/// Which of n numbers are not 0, in their order, counted from `from` on, and what they are; returns
/// how many.  place, value: room for n + lanes.
inline int not_zero(const Real* x, int n, int* place, Real* value, int from = 0) {
  int count = 0, i = 0;
#if defined(__AVX512F__) && !defined(ELBO_DOUBLE)
  __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  index = _mm512_add_epi32(index, _mm512_set1_epi32(from));
  for (; i + lanes <= n; i += lanes, index = _mm512_add_epi32(index, _mm512_set1_epi32(lanes))) {
    const __m512 numbers = __m512(load(x + i));
    const __mmask16 some = _mm512_cmp_ps_mask(numbers, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_si512(place + count, _mm512_maskz_compress_epi32(some, index));
    _mm512_storeu_ps(value + count, _mm512_maskz_compress_ps(some, numbers));
    // By a register of its own: GCC 12 may spill the mask as 16 bits and count the ones in 32.
    unsigned bits;
    asm("kmovw %1, %0" : "=r"(bits) : "k"(some));
    count += __builtin_popcount(bits);
  }
#endif
  for (; i < n; ++i) place[count] = from + i, value[count] = x[i], count += !(x[i] == 0);
  return count;
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
