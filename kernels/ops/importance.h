#pragma once
#include <limits>

#include "kernels/state.h"

namespace elbo {

// Importance sampling from the posterior, S = noise.samples draws a datum: row b·S + s is draw s of
// datum b, and its weight is w_s = p(x | z_s) p(z_s) / q(z_s | x).

/// The draws, and the part of the importance weight they carry.
///
/// q [B,2D]  →  z [B·S,D];  terms [B·S,1] = log p(z) - log q(z | x), in nats:
///
///     z = μ + e^{s/2} ε              Σ_units ½ (ε² + s - z²)
struct SampleMany {
  Matrix q, z, terms;
  Noise noise;
  void views(auto&& visit) {
    visit(q, Access::read), visit(noise.given, Access::read);
    visit(z, Access::write), visit(terms, Access::write);
  }
};

struct SampleManyBody {
  static constexpr bool sums = true;
  SampleMany op;

  struct Row {
    const SampleMany& op;
    int r, datum;
    Noise::Row noise;
    HD Real operator()(int unit) const {
      const Real s = op.q(datum, 2 * unit + 1);
      const Real e = op.noise.given.present() ? op.noise.given(r, unit) : noise.normal(unit);
      const Real z = op.q(datum, 2 * unit) + elbo::exp(s / 2) * e;
      op.z(r, unit) = z;
      return (e * e + s - z * z) / 2;
    }
  };
  HD Row row(int r) const { return {op, r, r / op.noise.samples, op.noise.row(r)}; }
  HD Real operator()(int r, int unit) const { return row(r)(unit); }
};

/// dq [B,2D] of SampleMany from dz [B·S,D] and the gradient r [B·S,1] of its terms (absent: 0):
///
///     g = dz - r z                   dμ = Σ_s g           ds = Σ_s ½ (g e^{s/2} ε + r)
///
/// Doubly reparameterised: the gradient of the importance-weighted bound whose score of q is
/// replaced by a second path through z.  With r_s = ∂bound · w_s / Σ w the normalised weight is
/// r_s / Σ r:
///
///     g = r / Σ r · (dz + r (ε e^{-s/2} - z))            ds = Σ_s ½ g e^{s/2} ε
///
/// Source: Tucker et al., Doubly Reparameterized Gradient Estimators (2019), section 4.
struct SampleManyGradient {
  Matrix dz, q, upstream, out;
  Noise noise;
  bool doubly = false;
  void views(auto&& visit) {
    visit(dz, Access::read), visit(q, Access::read), visit(upstream, Access::read);
    visit(noise.given, Access::read), visit(out, Access::write);
  }
};

struct SampleManyGradientBody {
  SampleManyGradient op;

  /// What a sample adds to dμ and ds of its datum.
  template <bool doubly>
  struct Row {
    const SampleManyGradient& op;
    int r, datum;
    Real weight, share;  // of the sample; and that over its datum's total
    Noise::Row noise;
    HD Vec<2> operator()(int unit) const {
      const Real sigma = elbo::exp(op.q(datum, 2 * unit + 1) / 2);
      const Real e = op.noise.given.present() ? op.noise.given(r, unit) : noise.normal(unit);
      const Real z = op.q(datum, 2 * unit) + sigma * e;
      const Real dz = op.dz.present() ? op.dz(r, unit) : Real(0);
      if constexpr (doubly) {
        const Real g = share * (dz + weight * (e / sigma - z));
        return {g, g * sigma * e / 2};
      } else {
        const Real g = dz - weight * z;
        return {g, (g * sigma * e + weight) / 2};
      }
    }
  };
  HD Real weight(int r) const { return op.upstream.present() ? op.upstream(r, 0) : Real(0); }
  /// Calls use(row) with each sample of a datum.
  template <bool doubly, class F>
  HD void each(int b, F&& use) const {
    const int first = b * op.noise.samples, end = first + op.noise.samples;
    Real total = 0;
    if constexpr (doubly)
      for (int r = first; r < end; ++r) total += weight(r);
    for (int r = first; r < end; ++r) {
      const Real share = total == 0 ? Real(0) : weight(r) / total;
      use(Row<doubly>{op, r, b, weight(r), share, op.noise.row(r)});
    }
  }
  HD void operator()(int b, int unit) const {
    Vec<2> sums{};
    const auto add = [&](const auto& row) {
      const Vec<2> part = row(unit);
      sums[0] += part[0], sums[1] += part[1];
    };
    if (op.doubly) each<true>(b, add);
    else each<false>(b, add);
    op.out(b, 2 * unit) = sums[0], op.out(b, 2 * unit + 1) = sums[1];
  }
};

/// The importance-weighted bound of each datum, and the gradient that it hands to log w.
///
///     log w = log_p + log_ratio              bound = log 1/S Σ_s w_s
///     weights = weight · w_s / Σ w           the weight being upstream(b) or one scale for all
///
/// log_p, log_ratio [B·S,n], a row's sum counting  →  bound [B,1] in nats, weights [B·S,1].  The
/// rows of score and side_score [B·S,n] are multiplied by theirs.  What is absent is not computed.
/// Any log w below overflow, of which one a datum is finite. Source: Burda et al., Importance
/// Weighted Autoencoders (2016), equations 8 and 14.
struct ImportanceBound {
  Matrix log_p, log_ratio, bound, upstream, weights, score{}, side_score{};
  Scale scale;
  int samples = 1;
  void views(auto&& visit) {
    visit(log_p, Access::read), visit(log_ratio, Access::read), visit(upstream, Access::read);
    visit(bound, Access::write), visit(weights, Access::write);
    visit(score, Access::update), visit(side_score, Access::update);
  }

  /// Below every log w, and finite: what is less any log w still has an exponential.
  static constexpr Real least = std::numeric_limits<Real>::lowest();
  HD int data() const { return log_p.rows / samples; }
  HD Real log_weight(int r) const {
    Real sum = 0;
    for (int c = 0; c < log_p.columns; ++c) sum += log_p(r, c);
    for (int c = 0; c < log_ratio.columns; ++c) sum += log_ratio(r, c);
    return sum;
  }
  HD Real weight(int b) const { return upstream.present() ? upstream(b, 0) : scale.value(); }
};

/// The same with scores, by rows: the team of each works out its datum's sum again.
struct ImportanceRowBody {
  ImportanceBound op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const int b = r / op.samples, first = b * op.samples;
    const auto log_weight = [&](int s) { return op.log_weight(first + s); };
    const Real most = larger(ImportanceBound::least, team.max(op.samples, log_weight));
    const Real total =
        team.sum(op.samples, [&](int s) { return Vec<1>{elbo::exp(log_weight(s) - most)}; })[0];
    const Real weight = op.weight(b) / total * elbo::exp(op.log_weight(r) - most);
    team.once([&] {
      if (r == first && op.bound.present())
        op.bound(b, 0) = most + std::log(total / Real(op.samples));
      op.weights(r, 0) = weight;
    });
    team.each(op.score.columns, [&](int c) { op.score(r, c) *= weight; });
    team.each(op.side_score.columns, [&](int c) { op.side_score(r, c) *= weight; });
  }
};

}  // namespace elbo
