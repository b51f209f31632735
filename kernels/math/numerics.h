#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
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

/// a b + c.  A GPU rounds it once here and nowhere else: nvcc is told not to contract by itself,
/// which it would not do alike in every kernel that a formula stands in.  A CPU's compiler
/// contracts as it likes.
template <class T>
HD T fused(T a, T b, T c) {
#ifdef __CUDA_ARCH__
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The polynomial with these coefficients, that of the highest power first.
template <class T, class... Rest>
HD T horner(T x, T highest, Rest... rest) {
  ((highest = fused(highest, x, T(rest))), ...);
  return highest;
}

/// The larger of two, or a NaN if either is one (std::fmax would lose it).
template <class T>
HD T larger(T a, T b) {
  return b > a || b != b ? b : a;
}

/// e^r for |r| ≤ ½ ln 2, by Cephes' polynomial (Moshier 1989).
HD float exp_reduced(float r) {
  const float w = r * r;
  const float odd = horner(w, 1.9875691500e-4f, 8.3334519073e-3f, 1.6666665459e-1f);
  const float even = horner(w, 1.3981999507e-3f, 4.1665795894e-2f, 5.0000001201e-1f);
  return fused(fused(odd, r, even), w, r) + 1;
}

/// e^x within 2 ulp for every float; no branch and no table, so that a loop over it is vectorised.
///
/// x = n ln 2 + r, |r| ≤ ½ ln 2;  2ⁿ in two factors, so that subnormal results come out right.
HD float exp(float x) {
  x = x < -104 ? -104 : x > 89 ? 89 : x;  // beyond, the result is 0 or infinite; a NaN passes
  const float shifted = x * 1.44269504089f + 12582912.f;  // 1.5 · 2²³: rounds to an integer
  const float n = shifted - 12582912.f;
  float r = x - n * 0.693359375f;  // this part of ln 2 has 9 bits: exact
  r -= n * -2.12194440e-4f;
  const std::int32_t whole = std::bit_cast<std::int32_t>(shifted) - 0x4B400000, half = whole >> 1;
  return exp_reduced(r) * std::bit_cast<float>((half + 127) << 23) *
         std::bit_cast<float>((whole - half + 127) << 23);
}
HD double exp(double x) { return std::exp(x); }

/// e^x of x ≤ 0 within 2 ulp: exp with less to do.
HD float exp_of_negative(float x) {
  x = x < -104 ? -104 : x;
  const float shifted = x * 1.44269504089f + 12582912.f;
  const float n = shifted - 12582912.f;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  // 2ⁿ⁺⁶⁴, of n as the last bits of what was shifted.
  const std::uint32_t scale = (std::bit_cast<std::uint32_t>(shifted) << 23) + (191u << 23);
  return exp_reduced(r) * std::bit_cast<float>(scale) * 5.42101086243e-20f;
}
HD double exp_of_negative(double x) { return std::exp(x); }

/// x as n ln 2 + high + low, |high| ≤ ½ ln 2, |low| < 3e-7; x in [-104, 89].
///
/// ln 2 in three parts (Cody & Waite 1980), of 9, 16 and 24 bits: n times the first two is exact.
struct ExpArgument {
  float high, low;
  std::int32_t n;
};
HD ExpArgument exp_argument(float x) {
  const float shifted = x * 1.44269504089f + 12582912.f;  // as in exp
  const float n = shifted - 12582912.f;
  const float coarse = x - n * 0.693359375f, high = coarse - n * -2.12196260691e-4f;
  const float low = (coarse - high) - n * -2.12196260691e-4f - n * 1.820635999e-9f;
  return {high, low, std::bit_cast<std::int32_t>(shifted) - 0x4B400000};
}

/// (e^r - 1 - r - r²/2)/r³ for |r| ≤ ½ ln 2 within 1e-7, a minimax polynomial.
HD float exp_tail(float r) {
  const float w = r * r;
  const float even = horner(w, 1.98619789e-4f, 8.33334588e-3f, 1.66666672e-1f);
  return fused(horner(w, 1.39262073e-3f, 4.16665561e-2f), r, even);
}

/// e^x - 1 within 2 ulp for every float, vectorised like exp.
///
/// x = n ln 2 + r:  2ⁿ ((e^r - 1) + (1 - 2⁻ⁿ)), of which only the outer sum is rounded at scale.
HD float expm1(float x) {
  x = x < -20 ? -20 : x > 89 ? 89 : x;  // beyond, the result is -1 or infinite; a NaN passes
  const auto [r, low, n] = exp_argument(x);
  const float e = r + (low * (1 + r) + r * r * (0.5f + r * exp_tail(r)));
  const std::int32_t half = n >> 1;
  const float inverse = std::bit_cast<float>((127 - (n > 30 ? 30 : n)) << 23);
  return (e + (1 - inverse)) * std::bit_cast<float>((half + 127) << 23) *
         std::bit_cast<float>((n - half + 127) << 23);
}
HD double expm1(double x) { return std::expm1(x); }

/// log(1 + f) - f + f²/2 for 1 + f in [√½, √2], by Cephes' polynomial.
HD float log_tail(float f) {
  const float w = f * f;
  const float even = horner(w, 7.0376836292e-2f, 1.1676998740e-1f, 1.4249322787e-1f,
                            2.0000714765e-1f, 3.3333331174e-1f);
  const float odd =
      horner(w, -1.1514610310e-1f, -1.2420140846e-1f, -1.6668057665e-1f, -2.4999993993e-1f);
  return fused(odd, f, even) * f * w;
}

/// log(u) + n ln 2 + small for a normal u > 0;  u = 2^k (1 + f) with 1 + f in [√½, √2).
HD float log_normal(float u, float n, float small) {
  const std::uint32_t above = std::bit_cast<std::uint32_t>(u) - 0x3F3504F3u;  // the bits of √½
  n += float(std::int32_t(above) >> 23);
  const float f = std::bit_cast<float>((above & 0x7FFFFFu) + 0x3F3504F3u) - 1;
  const float rest = log_tail(f) + n * -2.12194440e-4f + small - f * f / 2;
  return f + rest + n * 0.693359375f;
}

/// log x within 2 ulp for every float, vectorised like exp; -∞ at 0, NaN below.
HD float log(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const float y = log_normal(subnormal ? x * 8388608 : x, subnormal ? -23.f : 0.f, 0);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  return x > 0 ? (x < infinity ? y : x) : (x == 0 ? -infinity : nan);
}
HD double log(double x) { return std::log(x); }

/// log x of x ≥ 1 within 2 ulp: log with less to decide.
HD float log_from_one(float x) {
  const float y = log_normal(x, 0, 0);
  return x < std::numeric_limits<float>::infinity() ? y : x;
}
HD double log_from_one(double x) { return std::log(x); }

/// log(1 + y) within 2 ulp for every float, vectorised like exp; -∞ at -1, NaN below.
///
/// u = 1 + y is rounded; what that lost, over u, is added to log u.
HD float log1p(float y) {
  const float u = 1 + y, lost = y < 1 ? y - (u - 1) : 1 - (u - y);
  const float z = log_normal(u, 0, lost / u);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  return y > -1 ? (y < infinity ? z : y) : (y == -1 ? -infinity : nan);
}
HD double log1p(double y) { return std::log1p(y); }

/// log(1 + e) for e in [0, 1] within 2 ulp: log1p with less to decide.
HD float log1p_unit(float e) {
  const float u = 1 + e;
  const bool large = u > 1.41421356237f;
  const float f = (large ? u / 2 : u) - 1;
  const float log_u = f - f * f / 2 + log_tail(f) + (large ? 0.693147180560f : 0.f);
  return log_u + (e - (u - 1)) * (1 / u);
}
HD double log1p_unit(double e) { return std::log1p(e); }

/// log(1 + e^x): no overflow for large x, no cancellation for very negative x.
template <class T>
HD T softplus(T x) {
  return (x > 0 ? x : T(0)) + log1p_unit(exp_of_negative(-std::abs(x)));
}

/// 1 / (1 + e^-x): the exponent is never positive, so it never overflows.
///
/// Written so that it shares all but a product with softplus(±x) and sigmoid(-x).
template <class T>
HD T sigmoid(T x) {
  const T e = exp_of_negative(-std::abs(x));
  return (x < 0 ? e : T(1)) * (1 / (1 + e));
}

/// tanh x within 2 ulp for every float, vectorised like exp.
///
/// x + x³ P(x²) by a minimax polynomial for |x| ≤ 0.63, else 1 - 2/(e^{2|x|} + 1).
HD float tanh(float x) {
  const float a = x < 0 ? -x : x, u = x * x;
  const float p =
      horner(u, -6.0454011e-3f, 2.09615193e-2f, -5.3843312e-2f, 1.33327186e-1f, -3.33333284e-1f);
  const float large = 1 - 2 / (elbo::exp(2 * a) + 1);
  return a < 0.63f ? x + x * (u * p) : (x < 0 ? -large : large);
}
HD double tanh(double x) { return std::tanh(x); }

/// sin and cos of 2π u for u in [0, 1], each within 2 ulp, vectorised like exp.
///
/// 4 u = n + r is exact, |r| ≤ ½;  sin(π/2 r) and cos(π/2 r) by minimax polynomials.
template <class T>
struct Turn {
  T sine, cosine;
};
HD Turn<float> turn(float u) {
  const float shifted = 4 * u + 12582912.f, n = shifted - 12582912.f, r = 4 * u - n, w = r * r;
  const float s =
      r * horner(w, 1.58195078e-4f, -4.68126079e-3f, 7.96925798e-2f, -6.45964086e-1f, 1.57079637f);
  const float c = horner(w, 9.06703295e-4f, -2.08615139e-2f, 2.53669411e-1f, -1.23370051f, 1.f);
  const std::int32_t quarter = std::bit_cast<std::int32_t>(shifted);
  const bool odd = quarter & 1;
  const float sine = odd ? c : s, cosine = odd ? s : c;
  return {quarter & 2 ? -sine : sine, (quarter + 1) & 2 ? -cosine : cosine};
}
HD Turn<double> turn(double u) {
  const double angle = 6.283185307179586477 * u;
  return {std::sin(angle), std::cos(angle)};
}

/// e^x - 1 - x ≥ 0 within 4 ulp for every float, vectorised like exp.
///
/// Where |x| < 1 by a minimax polynomial of (e^x - 1 - x)/x², whose relative error is 4e-9; outside
/// it expm1 no longer cancels against x.
HD float expm1_minus(float x) {
  const float w = x * x;
  const float even = horner(w, 2.53548293e-5f, 1.38854520e-3f, 4.16667345e-2f, 0.5f);
  const float odd = horner(w, 2.77228345e-6f, 1.98440236e-4f, 8.33331028e-3f, 1.66666670e-1f);
  const float near = fused(odd, x, even) * w, far = elbo::expm1(x) - x;
  return w < 1 ? near : far;
}
/// By Taylor's series x²/2 (1 + x/3 (1 + x/4 (…))), whose tail after term n is below 2 / (n + 1)! of
/// the value.
HD double expm1_minus(double x) {
  if (!(x > -1 && x < 1)) return elbo::expm1(x) - x;
  double sum = 1;
  for (int n = 20; n >= 3; --n) sum = 1 + sum * x / n;
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
