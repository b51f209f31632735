#pragma once
#include "kernels/matrix.h"

namespace elbo {

/// KL(N(m, e^s) ‖ N(0, 1)) of one latent coordinate, in nats; any m and s.
///
///     ½ (m² + e^s - 1 - s)              ∂m = m              ∂s = ½ (e^s - 1)
///
/// Full relative accuracy down to the smallest values.  Kingma & Welling (2014), appendix B.
struct StandardNormalKl {
  HD Real value(Real m, Real s) const { return (square(m) + expm1_minus(s)) / 2; }
  HD Vec<2> gradient(Real m, Real s) const { return {m, elbo::expm1(s) / 2}; }
};

}  // namespace elbo
