#pragma once
#include <limits>

#include "kernels/math/numerics.h"

namespace elbo {

/// log N(z; μ, e^s) of one coordinate in nats, prepared for many z.
///
///     -½ (s + log 2π) - ½ ((z - μ) e^{-s/2})²
///
/// The difference is formed before it is squared: nothing cancels where σ is small.  In float for
/// |s| ≤ 170; a density below e^{-10³⁸} is 0.
template <class T>
struct NormalDensity {
  T mean, inverse_deviation, log_peak;

  HD static NormalDensity of(T mean, T log_variance) {
    return {mean, elbo::exp(-log_variance / 2), -(log_variance + T(1.8378770664093454836)) / 2};
  }
  HD T log_density(T z) const {
    const T t = (z - mean) * inverse_deviation;
    return log_peak - t * t / 2;
  }
};

/// log Σ e^x over numbers that come one by one or in parts: largest x, and Σ e^{x - largest}.
/// Any x below infinity; a NaN passes; of nothing it is -infinity.
template <class T>
struct LogSum {
  T largest, sum;

  HD static LogSum none() { return {std::numeric_limits<T>::lowest(), T(0)}; }
  HD void add(T x) {
    const bool above = x > largest;
    const T e = elbo::exp(above ? largest - x : x - largest);
    sum = above ? sum * e + 1 : sum + e;
    largest = above ? x : largest;
  }
  HD void merge(LogSum other) {
    const T top = other.largest > largest ? other.largest : largest;
    sum = sum * elbo::exp(largest - top) + other.sum * elbo::exp(other.largest - top);
    largest = top;
  }
  HD T value() const { return largest + std::log(sum); }
};

}  // namespace elbo
