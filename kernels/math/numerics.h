#pragma once
#include <cmath>
#include <variant>

#ifdef __CUDACC__
#define HD __host__ __device__
#else
#define HD
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

/// log(1 + e^x): no overflow for large x, no cancellation for very negative x.
template <class T>
HD T softplus(T x) {
  return (x > 0 ? x : T(0)) + std::log1p(std::exp(x > 0 ? -x : x));
}

/// 1 / (1 + e^-x): the exponent is never positive, so it never overflows.
template <class T>
HD T sigmoid(T x) {
  const T e = std::exp(x > 0 ? -x : x);
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
  if constexpr (i + 1 == sizeof...(T))
    return f(*std::get_if<i>(&v));
  else {
    if (v.index() == i) return f(*std::get_if<i>(&v));
    return open<i + 1>(v, static_cast<F&&>(f));
  }
}

}  // namespace elbo
