#pragma once
#include "kernels/math/numerics.h"

namespace elbo {

// What likelihoods of counts need beyond numerics.h.  The float functions have no branch and no
// table, so that loops over them are vectorised; a NaN passes through all of them.
// Polynomials without a source are minimax fits of the relative error by Remez' exchange
// (tests/golden/make_special_functions.py --fit), coefficients rounded to float.

/// high + low, high being the sum rounded (within an ulp).
template <class T>
struct Parts {
  T high, low;
};

/// e^x to a relative error of 1e-8 for |x| ≤ 80, so that y - e^x keeps its digits as y nears e^x:
/// (y - high) - low.  Beyond, high is e^x within an ulp over 0 … ∞, and low is finite.
///
/// e^r = 1 + r + a²/2 + …, where a is r cut to 12 bits: a²/2 is exact, and what follows is small.
HD Parts<float> exp_parts(float x) {
  x = x < -104 ? -104 : x > 89 ? 89 : x;
  const auto [r, r_low, n] = exp_argument(x);
  const float a = std::bit_cast<float>(std::bit_cast<std::uint32_t>(r) & 0xFFFFF000u);
  const float square = a * a / 2;
  const float first = 1 + r, second = first + square;
  const float tail = r_low * second + (r - a) * (a + r) / 2 + r * r * r * exp_tail(r);
  const float rest = (r - (first - 1)) + (square - (second - first)) + tail;
  const float high = second + rest, low = rest - (high - second);
  const std::int32_t half = n >> 1;
  const float scale = std::bit_cast<float>((half + 127) << 23);
  const float scale_again = std::bit_cast<float>((n - half + 127) << 23);
  return {high * scale * scale_again, low * scale * scale_again};
}
HD Parts<double> exp_parts(double x) { return {std::exp(x), 0}; }

/// (artanh(s)/s - 1)/s² = 1/3 + u/5 + u²/7 + …, of u = s²;  u ≤ 0.36 in float, u ≤ 0.1 in double.
HD float artanh_tail(float u) {
  const float w = u * u;
  const float even = horner(w, 2.44048730e-1f, 1.21345058e-1f, 1.43114761e-1f, 3.33333343e-1f);
  return fused(horner(w, -3.36966477e-2f, 1.07004851e-1f, 1.99994028e-1f), u, even);
}
HD double artanh_tail(double u) {
  double sum = 0;
  for (int n = 35; n >= 3; n -= 2) sum = sum * u + 1.0 / n;  // what is left out is below 1e-17
  return sum;
}

/// The largest square for which artanh_tail is good.
template <class T>
inline constexpr T artanh_reach = sizeof(T) == 4 ? T(0.36) : T(0.1);

/// y - log(w) ≥ 0 to full relative accuracy, of y > -1 and w = 1 + y, each accurate by itself
/// (near y = -1 the one does not give the other).  Relative error 5e-7 in float.
///
/// With s = y/(1 + w), log w = 2 artanh s and y - 2 s = y s:  y s - 2 s³ (1/3 + s²/5 + …).
template <class T>
HD T log1p_excess(T y, T w) {
  const T s = y / (1 + w), u = s * s;
  return u < artanh_reach<T> ? s * (y - 2 * u * artanh_tail(u)) : y - elbo::log(w);
}

/// log(1 + q) for q ≥ 0, r = q/(1 + q), and by how much the one exceeds the other, each to full
/// relative accuracy.  Relative error 6e-7 in float.
///
/// With s = q/(2 + q), log(1 + q) = 2 artanh s and log(1 + q) - r = r s + 2 s³ (1/3 + s²/5 + …).
template <class T>
struct Log1pOf {
  T value, share, excess;
};
template <class T>
HD Log1pOf<T> log1p_and_excess(T q) {
  // Beyond, r is 1, s is not used, and the product would overflow; a NaN stays one.
  const T below = q > T(1e18) ? T(1e18) : q, inverse = 1 / ((1 + below) * (2 + below));
  const T r = below * (2 + below) * inverse, s = below * (1 + below) * inverse;
  const T u = s * s, more = 2 * u * artanh_tail(u), log = log_from_one(1 + q);
  const bool near = u < artanh_reach<T>;
  return {near ? s * (2 + more) : log, r, near ? s * (r + more) : log - r};
}

/// S(z) = log Γ(z) - (z - ½) log z + z - ½ log 2π, the error of Stirling's formula, for z ≥ 1.
///
/// 1/(12 z) - 1/(360 z³) + … for large z.  Relative error 1e-6 in float.
HD float stirling_series(float z) {
  const float t = 1 / z;
  return t * horner(t, 1.37031166e-4f, -6.29498973e-4f, 1.04442565e-3f, -5.03269694e-5f,
                    -2.77341716e-3f, -7.49885487e-8f, 8.33333284e-2f);
}

/// S(z) for z > 0, which is -½ log(2πz) for small z.  Relative error 1e-6 in float.
///
/// Below 1 it is S(z + 1) + (z + ½) log(1 + 1/z) - 1, where (z + ½) log(1 + 1/z) = artanh(s)/s,
/// s = 1/(2z + 1).
HD float stirling_error(float z) {
  const bool small = z < 1;
  const float s = 1 / (2 * z + 1), u = s * s;
  const float l = elbo::log(1 + 1 / z);  // halved without a rounding
  const float step = u < artanh_reach<float> ? u * artanh_tail(u) : l / 2 - 1 + z * l;
  return stirling_series(small ? z + 1 : z) + (small ? step : 0.f);
}

/// S(z) by the same recurrence up to z ≥ 16, where seven terms of Stirling's series suffice.
HD double stirling_error(double z) {
  double sum = 0;
  for (; z < 16; z += 1) {
    const double s = 1 / (2 * z + 1), u = s * s;
    sum += u < artanh_reach<double> ? u * artanh_tail(u) : (z + 0.5) * std::log1p(1 / z) - 1;
  }
  const double t = 1 / z, v = t * t;
  return sum + t * horner(v, 1.0 / 156, -691.0 / 360360, 1.0 / 1188, -1.0 / 1680, 1.0 / 1260,
                          -1.0 / 360, 1.0 / 12);
}
HD double stirling_series(double z) { return stirling_error(z); }

/// S'(z) = ψ(z) + 1/(2z) - log z < 0 for z ≥ 1.
///
/// -1/(12 z²) + 1/(120 z⁴) - … for large z.  Relative error 1e-6 in float.
HD float stirling_series_slope(float z) {
  const float t = 1 / z;
  return horner(t, 3.01466265e-4f, -9.16339981e-4f, 7.07160943e-5f, 3.28230881e-3f, -5.16016316e-3f,
                2.26702061e-4f, 8.31223745e-3f, 7.49485821e-7f, -8.33333358e-2f) *
         t * t;
}

/// S'(z) for z > 0, which is -1/(2z) for small z.  Relative error 1e-6 in float.
///
/// Below 1 it is S'(z + 1) + log(1 + 1/z) - (z + ½)/(z (z + 1)), the difference being
/// 2 artanh(s) - 2 s/(1 - s²).
HD float stirling_error_slope(float z) {
  const bool small = z < 1;
  const float s = 1 / (2 * z + 1), u = s * s;
  const float step = u < artanh_reach<float> ? 2 * s * u * (artanh_tail(u) - 1 / (1 - u))
                                             : elbo::log(1 + 1 / z) - (z + 0.5f) / (z + 1) / z;
  return stirling_series_slope(small ? z + 1 : z) + (small ? step : 0.f);
}

/// S'(z) by the same recurrence up to z ≥ 16, where seven terms of the series suffice.
HD double stirling_error_slope(double z) {
  double sum = 0;
  for (; z < 16; z += 1) {
    const double s = 1 / (2 * z + 1), u = s * s;
    sum += u < artanh_reach<double> ? 2 * s * u * (artanh_tail(u) - 1 / (1 - u))
                                    : std::log1p(1 / z) - (z + 0.5) / (z + 1) / z;
  }
  const double v = 1 / (z * z);
  return sum + v * horner(v, -1.0 / 12, 691.0 / 32760, -1.0 / 132, 1.0 / 240, -1.0 / 252, 1.0 / 120,
                          -1.0 / 12);
}
HD double stirling_series_slope(double z) { return stirling_error_slope(z); }

}  // namespace elbo
