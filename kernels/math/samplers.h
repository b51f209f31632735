#pragma once
#include <limits>

#include "kernels/math/special_functions.h"

namespace elbo {

// Draws from the laws that mixtures are made of; u.uniform() is in (0, 1], u.normal() standard.

/// log of a draw of Gamma(shape, 1).  Marsaglia & Tsang (2000); below shape 1 through
/// Gamma(shape + 1) U^{1/shape}, whose logarithm does not underflow.
template <class Draw>
HD Real sample_log_gamma(Real shape, Draw& u) {
  const Real least = shape < 1 ? shape + 1 : shape;
  const Real d = least - Real(1) / 3, c = 1 / std::sqrt(9 * d);
  Real log_g;
  while (true) {
    const Real x = u.normal(), t = 1 + c * x;
    if (t <= 0) continue;
    const Real v = t * t * t;
    if (elbo::log(u.uniform()) < x * x / 2 + d * (1 - v + elbo::log(v))) {
      log_g = elbo::log(d) + elbo::log(v);
      break;
    }
  }
  return shape < 1 ? log_g + elbo::log(u.uniform()) / shape : log_g;
}
template <class Draw>
HD Real sample_gamma(Real shape, Draw& u) {
  return elbo::exp(sample_log_gamma(shape, u));
}

/// Poisson of the given rate (to 2²⁴): by products of uniforms below 10, above by Hörmann's
/// transformed rejection with squeeze (PTRS, 1993).
template <class Draw>
HD Real sample_poisson(Real rate, Draw& u) {
  if (rate < 10) {
    const Real limit = elbo::exp(-rate);
    Real product = u.uniform();
    int k = 0;
    for (; product > limit; ++k) product *= u.uniform();
    return Real(k);
  }
  const Real b = Real(0.931) + Real(2.53) * std::sqrt(rate), a = Real(-0.059) + Real(0.02483) * b;
  const Real shape = Real(1.1239) + Real(1.1328) / (b - Real(3.4));
  const Real quick = Real(0.9277) - Real(3.6224) / (b - 2);
  while (true) {
    const Real s = u.uniform() - Real(0.5), v = u.uniform();
    const Real rim = Real(0.5) - (s < 0 ? -s : s);
    const Real k = std::floor((2 * a / rim + b) * s + rate + Real(0.43));
    if (rim >= Real(0.07) && v <= quick) return k;
    if (!(k >= 0) || (rim < Real(0.013) && v > rim)) continue;
    // log p(k), as Poisson::log_prob has it
    const Real n = k > 0 ? k : Real(1);
    const Real log_p = k > 0
                           ? -stirling_error(n) - (Real(1.8378770664093454836) + elbo::log(n)) / 2 -
                                 n * log1p_excess((rate - n) / n, rate / n)
                           : -rate;
    if (elbo::log(v * shape / (a / (rim * rim) + b)) <= log_p) return k;
  }
}

}  // namespace elbo
