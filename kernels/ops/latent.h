#pragma once
#include "kernels/math/divergences.h"
#include "kernels/state.h"

namespace elbo {

// The head of an encoder: q = in + bias holds μ and s = log σ² of each latent unit side by side,
// q [B,2D] = (μ₀, s₀, μ₁, s₁, …).

/// z = μ + e^{s/2} ε and terms = Σ_units KL(N(μ, e^s) ‖ N(0, 1)) in nats.
struct SampleLatent {
  Matrix in, bias, stored, z, terms;
  Noise noise;

  void views(auto&& visit) {
    visit(in, Access::read), visit(bias, Access::read), visit(noise.given, Access::read);
    visit(stored, Access::write), visit(z, Access::write), visit(terms, Access::write);
  }
};

struct SampleLatentBody {
  static constexpr int width = 2;
  static constexpr bool sums = true;
  SampleLatent op;
  HD Real operator()(int r, int unit, Vec<2> q) const {
    if (op.bias.present()) q[0] += op.bias(0, 2 * unit), q[1] += op.bias(0, 2 * unit + 1);
    if (op.stored.present()) op.stored(r, 2 * unit) = q[0], op.stored(r, 2 * unit + 1) = q[1];
    if (op.z.present()) op.z(r, unit) = q[0] + elbo::exp(q[1] / 2) * op.noise.normal(r, unit);
    return StandardNormalKl{}.value(q[0], q[1]);
  }
};

/// dq from dz (`in`) and the upstream gradient w of the KL (per row, or one scale for all):
///
///     dμ = dz + w μ              ds = ½ dz ε e^{s/2} + ½ w (e^s - 1)
struct LatentGradient {
  Matrix in, q, upstream, out;
  Scale scale{.factor = 0};
  Noise noise;

  void views(auto&& visit) {
    visit(in, Access::read), visit(q, Access::read), visit(upstream, Access::read);
    visit(noise.given, Access::read), visit(out, Access::write);
  }
};

struct LatentGradientBody {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  LatentGradient op;
  HD void operator()(int r, int unit, Vec<1> dz) const {
    const Real w = op.upstream.present() ? op.upstream(r, 0) : op.scale.value();
    const Real s = op.q(r, 2 * unit + 1);
    const Vec<2> kl = StandardNormalKl{}.gradient(op.q(r, 2 * unit), s);
    op.out(r, 2 * unit) = dz[0] + w * kl[0];
    op.out(r, 2 * unit + 1) = dz[0] * (elbo::exp(s / 2) * op.noise.normal(r, unit)) / 2 + w * kl[1];
  }
};

}  // namespace elbo
