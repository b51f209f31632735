#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <variant>

#ifdef __CUDACC__
#define HD __host__ __device__ __forceinline__
#else
// Formulas stand in loops that are vectorised only if everything in them is inlined.
#define HD [[gnu::always_inline]] inline
#endif

namespace elbo {

/// The number of every stored tensor: float, or double in the build that checks gradients.
#ifdef ELBO_DOUBLE
using Real = double;
#else
using Real = float;
#endif

template <class T>
HD T square(T x) {
  return x * x;
}

/// The larger of two, or a NaN if either is one (std::fmax would lose it).
template <class T>
HD T larger(T a, T b) {
  return b > a || b != b ? b : a;
}

/// e^x within 2 ulp for every float; no branch and no table, so that a loop over it is vectorised.
///
/// x = n ln 2 + r, |r| ≤ ½ ln 2;  e^r by Cephes' polynomial (Moshier 1989);  2ⁿ in two factors, so
/// that subnormal results come out right.
HD float exp(float x) {
  x = x < -104 ? -104 : x > 89 ? 89 : x;  // beyond, the result is 0 or infinite; a NaN passes
  const float shifted = x * 1.44269504089f + 12582912.f;  // 1.5 · 2²³: rounds to an integer
  const float n = shifted - 12582912.f;
  float r = x - n * 0.693359375f;  // this part of ln 2 has 9 bits: exact
  r -= n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  const std::int32_t whole = std::bit_cast<std::int32_t>(shifted) - 0x4B400000, half = whole >> 1;
  return p * std::bit_cast<float>((half + 127) << 23) *
         std::bit_cast<float>((whole - half + 127) << 23);
}
HD double exp(double x) { return std::exp(x); }

/// log(1 + e) for e in [0, 1] within 2 ulp, vectorised like exp.
///
/// u = 1 + e is rounded; (e - (u - 1))/u puts back what that lost.  log u by Cephes' polynomial.
HD float log1p_unit(float e) {
  const float u = 1 + e;
  const bool large = u > 1.41421356237f;
  const float f = (large ? u / 2 : u) - 1, z = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float log_u = f - z / 2 + p * f * z + (large ? 0.693147180560f : 0.f);
  return log_u + (e - (u - 1)) / u;
}
HD double log1p_unit(double e) { return std::log1p(e); }

/// log(1 + x) within 2 ulp for x > -1, vectorised like exp; -∞ at -1, NaN below.
///
/// u = 1 + x = 2ⁿ (1 + f), √½ ≤ 1 + f < √2, and the same polynomial and correction as above.
HD float log1p(float x) {
  const float u = 1 + x;
  const std::int32_t bits = std::bit_cast<std::int32_t>(u);
  const std::int32_t n = (bits - 0x3F3504F3) >> 23;
  const float f = std::bit_cast<float>(bits - (n << 23)) - 1, z = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float lost = (x - (u - 1)) / u;
  const float tail = p * f * z - z / 2 + float(n) * -2.12194440e-4f + lost;
  const float log_u = float(n) * 0.693359375f + (f + tail);
  const float above = u < HUGE_VALF ? log_u : u;
  return u > 0 ? above : u == 0 ? -HUGE_VALF : NAN;
}
HD double log1p(double x) { return std::log1p(x); }

/// log(1 + e^x): no overflow for large x, no cancellation for very negative x.
template <class T>
HD T softplus(T x) {
  return (x > 0 ? x : T(0)) + log1p_unit(elbo::exp(x > 0 ? -x : x));
}

/// 1 / (1 + e^-x): the exponent is never positive, so it never overflows.
template <class T>
HD T sigmoid(T x) {
  const T e = elbo::exp(x > 0 ? -x : x);
  return (x < 0 ? e : T(1)) / (1 + e);
}

/// e^x - 1 - x ≥ 0, to full relative accuracy.
///
/// For |x| < 1 the Taylor series x²/2 (1 + x/3 (1 + x/4 (…))), whose tail after term n is below
/// 2 / (n + 1)! of the value; outside it expm1 no longer cancels against x.
template <class T>
HD T expm1_minus(T x) {
  if (!(x > -1 && x < 1)) return std::expm1(x) - x;
  constexpr int terms = sizeof(T) == 4 ? 12 : 20;
  T sum = 1;
  for (int n = terms; n >= 3; --n) sum = 1 + sum * x / T(n);
  return sum * x * x / 2;
}

/// Calls f with the alternative that v holds; std::visit for host and device.
template <std::size_t i = 0, class F, class... T>
HD decltype(auto) open(const std::variant<T...>& v, F&& f) {
  if constexpr (i + 1 == sizeof...(T)) return f(*std::get_if<i>(&v));
  else {
    if (v.index() == i) return f(*std::get_if<i>(&v));
    return open<i + 1>(v, static_cast<F&&>(f));
  }
}

}  // namespace elbo
