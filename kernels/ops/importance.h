#pragma once
#include "kernels/state.h"

namespace elbo {

/// S draws from the posterior of each datum, and the part of the importance weight they carry.
///
/// q [B,2D]  →  z [B·S,D], row b·S + s;  terms = log p(z) - log q(z | x), in nats:
///
///     z = μ + e^{s/2} ε              Σ_units ½ (ε² + s - z²)
struct SampleMany {
  Matrix q, z, terms;
  Noise noise;
  void views(auto&& visit) {
    visit(q, Access::read), visit(z, Access::write), visit(terms, Access::write);
  }
};

struct SampleManyBody {
  static constexpr bool sums = true;
  SampleMany op;
  HD Real operator()(int r, int unit) const {
    const int b = r / op.noise.samples;
    const Real s = op.q(b, 2 * unit + 1), e = op.noise.normal(r, unit);
    const Real z = op.q(b, 2 * unit) + elbo::exp(s / 2) * e;
    op.z(r, unit) = z;
    return (e * e + s - z * z) / 2;
  }
};

}  // namespace elbo
