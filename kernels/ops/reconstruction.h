#pragma once
#include <type_traits>

#include "kernels/math/likelihoods.h"
#include "kernels/state.h"

namespace elbo {

/// The log-likelihood of the data under the decoder's output, and its gradient.
///
/// The raw parameters of scalar c are in + bias at columns c·K … c·K+K-1; a law with one parameter
/// more than the decoder gives takes its last from `side` [1,C] (one per feature) or [1,1].
/// `terms` = Σ_c log p(x(b,c) | parameters) in nats; `score` and `side_score` = weight · ∂ log p,
/// the weight being upstream(b) or one scale for all.  What is absent is not computed.
/// With `repeat` = S, row b sees datum b / S of x.  A missing x (NaN) has no term and no score.
struct Observe {
  Matrix in, bias, side, x, stored, terms, upstream, score, side_score;
  Likelihood law;
  Scale scale;
  int repeat = 1;

  void views(auto&& visit) {
    visit(in, Access::read), visit(bias, Access::read), visit(side, Access::read);
    visit(x, Access::read), visit(upstream, Access::read);
    visit(stored, Access::write), visit(terms, Access::write);
    visit(score, Access::write), visit(side_score, Access::write);
  }
};

/// `known` tells at compile time which matrices are there (bits of Part), or -1: look at run time.
/// Law: a narrow one, or Likelihood: any that takes K numbers here, chosen at run time.
template <class Law, int K, int known = -1>
struct ObserveBody {
  static constexpr int width = K;
  static constexpr bool sums = true;
  using law_type = Law;
  enum Part {
    bias = 1,
    stored = 2,
    upstream = 4,
    score = 8,
    side_score = 16,
    terms = 32,
    feature = 64  // side is one a scalar
  };
  Observe op;
  Law law;

  HD bool has(Part part, const Matrix& m) const {
    return known < 0 ? m.present() : (known & part) != 0;
  }

  HD bool per_scalar() const { return known < 0 ? op.side.columns > 1 : (known & feature) != 0; }

  /// The body within one row: what is the same for all its scalars is worked out once.
  struct Row {
    const ObserveBody& body;
    int r, datum;
    Real weight;

    template <class L>
    HD Real observe(const L& law, int c, const Vec<K>& v, Real x) const {
      const Observe& op = body.op;
      Vec<L::parameters> p;
      for (int k = 0; k < K; ++k) {
        p[k] = body.has(bias, op.bias) ? v[k] + op.bias(0, c * K + k) : v[k];
        if (body.has(stored, op.stored)) op.stored(r, c * K + k) = p[k];
      }
      if constexpr (K < L::parameters) p[K] = op.side(0, body.per_scalar() ? c : 0);
      const bool missing = x != x;
      if (body.has(score, op.score)) {
        const auto slope = law.score(x, p);
        for (int k = 0; k < K; ++k) op.score(r, c * K + k) = missing ? Real(0) : weight * slope[k];
        if constexpr (K < L::parameters)
          if (body.has(side_score, op.side_score))
            op.side_score(r, c) = missing ? Real(0) : weight * slope[K];
      }
      if (!body.has(terms, op.terms)) return 0;
      const Real term = law.log_prob(x, p);
      return missing ? Real(0) : term;
    }
    HD Real operator()(int c, const Vec<K>& v) const { return (*this)(c, v, body.op.x(datum, c)); }
    HD Real operator()(int c, const Vec<K>& v, Real x) const {
      if constexpr (!std::is_same_v<Law, Likelihood>) return observe(body.law, c, v, x);
      else {
        const bool shared = body.op.side.present();
        return open(body.law, [&]<class L>(const L& law) -> Real {
          if constexpr (takes<L, K>)
            if (L::parameters == K + int(shared)) return observe(law, c, v, x);
          return 0;
        });
      }
    }
  };
  template <class L, int n>
  static constexpr bool takes = [] {
    if constexpr (Narrow<L>) return L::parameters == n || L::parameters == n + 1;
    else return false;
  }();

  HD Row row(int r) const {
    Real weight = 0;
    if (has(score, op.score))
      weight = has(upstream, op.upstream) ? op.upstream(r, 0) : op.scale.value();
    return {*this, r, r / op.repeat, weight};
  }
  HD Real operator()(int r, int c, Vec<K> v) const { return row(r)(c, v); }
};

/// The same for a wide law, on stored numbers: as many as the law says, side by side.
template <class Law>
struct ObserveWideBody {
  static constexpr bool sums = true;
  Observe op;
  Law law;

  HD Real operator()(int r, int c) const {
    const int K = law.parameters();
    const Real x = op.x(r / op.repeat, c);
    const bool missing = x != x;
    const Real* const p = op.in.row(r) + c * K;
    if (op.score.present()) {
      const Real weight = op.upstream.present() ? op.upstream(r, 0) : op.scale.value();
      Real* const out = op.score.row(r) + c * K;
      if (!missing) law.score(x, p, out);
      for (int k = 0; k < K; ++k) out[k] = missing ? Real(0) : weight * out[k];
    }
    return op.terms.present() && !missing ? law.log_prob(x, p) : Real(0);
  }
};

}  // namespace elbo
