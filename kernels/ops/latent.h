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

/// `all`: every matrix is there, the noise too, so that a loop over units asks nothing.
template <bool all>
struct SampleLatentOf {
  static constexpr int width = 2;
  static constexpr bool sums = true;
  SampleLatent op;

  struct Row {
    const SampleLatent& op;
    int r;
    Noise::Row noise;
    HD static bool has(const Matrix& m) { return all || m.present(); }
    HD Real operator()(int unit, Vec<2> q) const {
      if (has(op.bias)) q[0] += op.bias(0, 2 * unit), q[1] += op.bias(0, 2 * unit + 1);
      if (has(op.stored)) op.stored(r, 2 * unit) = q[0], op.stored(r, 2 * unit + 1) = q[1];
      if (has(op.z)) {
        const Real e = has(op.noise.given) ? op.noise.given(r, unit) : noise.normal(unit);
        op.z(r, unit) = q[0] + elbo::exp(q[1] / 2) * e;
      }
      return StandardNormalKl{}.value(q[0], q[1]);
    }
  };
  HD Row row(int r) const { return {op, r, op.noise.row(r)}; }
  HD Real operator()(int r, int unit, Vec<2> q) const { return row(r)(unit, q); }
};
using SampleLatentBody = SampleLatentOf<false>;

/// dq from dz (`in`) and the upstream gradient w of the KL (per row, or one scale for all):
///
///     dμ = dz + w μ              ds = ½ dz ε e^{s/2} + ½ w (e^s - 1)
///
/// With free bits (UnitKl::means, and a floor in nats) w is 0 for the units at or below the floor.
struct LatentGradient {
  Matrix in, q, upstream, means, out;
  Real floor = 0;
  Scale scale{.factor = 0};
  Noise noise;

  void views(auto&& visit) {
    visit(in, Access::read), visit(q, Access::read), visit(upstream, Access::read);
    visit(means, Access::read), visit(noise.given, Access::read), visit(out, Access::write);
  }
};

/// `usual`: no unit has free bits, and the noise is there.
template <bool usual>
struct LatentGradientOf {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  LatentGradient op;

  struct Row {
    const LatentGradient& op;
    int r;
    Real weight;
    Noise::Row noise;
    HD void operator()(int unit, Vec<1> dz) const {
      const bool free = !usual && op.means.present() && !(op.means(unit, 0) > op.floor);
      const Real w = free ? Real(0) : weight;
      const Real s = op.q(r, 2 * unit + 1);
      const Vec<2> kl = StandardNormalKl{}.gradient(op.q(r, 2 * unit), s);
      const bool given = usual || op.noise.given.present();
      const Real e = given ? op.noise.given(r, unit) : noise.normal(unit);
      op.out(r, 2 * unit) = dz[0] + w * kl[0];
      op.out(r, 2 * unit + 1) = dz[0] * (elbo::exp(s / 2) * e) / 2 + w * kl[1];
    }
  };
  HD Row row(int r) const {
    return {op, r, op.upstream.present() ? op.upstream(r, 0) : op.scale.value(), op.noise.row(r)};
  }
  HD void operator()(int r, int unit, Vec<1> dz) const { row(r)(unit, dz); }
};
using LatentGradientBody = LatentGradientOf<false>;

/// out = in with the s of each unit replaced by `value`.  With value 0 also its gradient, which has
/// none for s.
struct HoldSpread {
  Matrix in, out;
  Real value = 0;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

struct HoldSpreadBody {
  HoldSpread op;
  HD void operator()(int r, int unit) const {
    op.out(r, 2 * unit) = op.in(r, 2 * unit);
    op.out(r, 2 * unit + 1) = op.value;
  }
};

/// means [D,1] = share times the mean over the rows of the KL of each latent unit, in nats; where
/// they are a part of the batch, `share` is what part, and the sum over the processes follows.
struct UnitKl {
  Matrix q, means;
  Real share = 1;
  void views(auto&& visit) { visit(q, Access::read), visit(means, Access::write); }
};

struct UnitKlBody {
  UnitKl op;
  HD Real operator()(int unit, int b) const {
    return StandardNormalKl{}.value(op.q(b, 2 * unit), op.q(b, 2 * unit + 1)) * op.share /
           Real(op.q.rows);
  }
};

/// terms [B,1], whose mean over the batch is Σ_units max(floor, means(unit)): the KL of the units
/// above the floor, and the floor for the others.
///
/// Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow (2016),
/// equation 15.
struct FreeBits {
  Matrix q, means, terms;
  Real floor = 0;
  void views(auto&& visit) {
    visit(q, Access::read), visit(means, Access::read), visit(terms, Access::write);
  }
};

struct FreeBitsBody {
  FreeBits op;
  HD Real operator()(int r, int unit) const {
    if (!(op.means(unit, 0) > op.floor)) return op.floor;
    return StandardNormalKl{}.value(op.q(r, 2 * unit), op.q(r, 2 * unit + 1));
  }
};

}  // namespace elbo
