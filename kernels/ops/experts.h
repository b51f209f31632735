#pragma once
#include "kernels/math/numerics.h"
#include "kernels/matrix.h"

namespace elbo {

/// out [B,1] = how many entries of a row of x are there (are no NaN).
struct CountPresent {
  Matrix x, out;
  void views(auto&& visit) { visit(x, Access::read), visit(out, Access::write); }
};

struct CountPresentBody {
  CountPresent op;
  HD Real operator()(int r, int c) const { return op.x(r, c) == op.x(r, c) ? Real(1) : Real(0); }
};

/// The product of the prior N(0, 1) and of two experts N(μ_i, e^{s_i}), a unit at a time:
///
///     T = 1 + Σ_i e^{-s_i}        μ = Σ_i e^{-s_i} μ_i / T        s = -log T
///
/// a, b, out [B,2D] hold (μ, s) of each unit side by side.  An expert of a row whose count
/// (there_a, there_b [B,1]) is 0 has nothing to say: it is left out of the sums.
///
/// Sources: Hinton, Training Products of Experts (2002); Wu & Goodman, Multimodal Generative
/// Models for Scalable Weakly-Supervised Learning (2018).
struct Experts {
  Matrix a, b, there_a, there_b, out;
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(there_a, Access::read);
    visit(there_b, Access::read), visit(out, Access::write);
  }
};

/// An expert's precision e^{-s}, bounded away from what overflows, or 0 where it is absent.
HD Real expert_precision(const Matrix& q, const Matrix& there, int r, int unit) {
  if (!(there(r, 0) > 0)) return 0;
  const Real s = q(r, 2 * unit + 1);
  return elbo::exp(s < -60 ? Real(60) : -s);
}

struct ExpertsBody {
  Experts op;
  HD void operator()(int r, int unit) const {
    const Real ta = expert_precision(op.a, op.there_a, r, unit);
    const Real tb = expert_precision(op.b, op.there_b, r, unit);
    const Real sum = ta + tb;
    op.out(r, 2 * unit) = (ta > 0 ? ta * op.a(r, 2 * unit) : Real(0)) / (1 + sum) +
                          (tb > 0 ? tb * op.b(r, 2 * unit) : Real(0)) / (1 + sum);
    op.out(r, 2 * unit + 1) = -elbo::log1p(sum);
  }
};

/// With g_μ, g_s from `in` and p_i = e^{-s_i} / T, for each expert:
///
///     dμ_i = p_i g_μ              ds_i = p_i (g_s - (μ_i - μ) g_μ)
struct ExpertsGradient {
  Matrix in, a, b, there_a, there_b, out, da, db;  // out: the product's own numbers
  void views(auto&& visit) {
    for (Matrix* m : {&in, &a, &b, &there_a, &there_b, &out}) visit(*m, Access::read);
    visit(da, Access::write), visit(db, Access::write);
  }
};

struct ExpertsGradientBody {
  ExpertsGradient op;
  HD void operator()(int r, int unit) const {
    const Real ta = expert_precision(op.a, op.there_a, r, unit);
    const Real tb = expert_precision(op.b, op.there_b, r, unit);
    one(op.a, op.da, ta / (1 + ta + tb), r, unit);
    one(op.b, op.db, tb / (1 + ta + tb), r, unit);
  }

 private:
  HD void one(const Matrix& q, const Matrix& dq, Real p, int r, int unit) const {
    const Real g = op.in(r, 2 * unit), gs = op.in(r, 2 * unit + 1);
    const Real off = q(r, 2 * unit) - op.out(r, 2 * unit);
    dq(r, 2 * unit) = p > 0 ? p * g : Real(0);
    dq(r, 2 * unit + 1) = p > 0 ? p * (gs - off * g) : Real(0);
  }
};

}  // namespace elbo
