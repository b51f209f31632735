#pragma once
#include "kernels/math/likelihoods.h"
#include "kernels/state.h"

namespace elbo {

/// The log-likelihood of the data under the decoder's output, and its gradient.
///
/// The raw parameters of scalar c are in + bias at columns c·K … c·K+K-1; a law with one parameter
/// more than the decoder gives takes its last from `side` [1,C] (one per feature) or [1,1].
/// `terms` = Σ_c log p(x(b,c) | parameters) in nats; `score` and `side_score` = weight · ∂ log p,
/// the weight being upstream(b) or one scale for all.  What is absent is not computed.
/// With `repeat` = S, row b sees datum b / S of x.
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

template <class Law, int K>
struct ObserveBody {
  static constexpr int width = K;
  static constexpr bool sums = true;
  static_assert(K == Law::parameters || K + 1 == Law::parameters);
  Observe op;
  Law law;

  HD Real operator()(int r, int c, Vec<K> v) const {
    Vec<Law::parameters> p;
    for (int k = 0; k < K; ++k) {
      p[k] = op.bias.present() ? v[k] + op.bias(0, c * K + k) : v[k];
      if (op.stored.present()) op.stored(r, c * K + k) = p[k];
    }
    if constexpr (K < Law::parameters) p[K] = op.side(0, op.side.columns == 1 ? 0 : c);
    const Real x = op.x(r / op.repeat, c);
    if (op.score.present()) {
      const Real weight = op.upstream.present() ? op.upstream(r, 0) : op.scale.value();
      const auto score = law.score(x, p);
      for (int k = 0; k < K; ++k) op.score(r, c * K + k) = weight * score[k];
      if constexpr (K < Law::parameters)
        if (op.side_score.present()) op.side_score(r, c) = weight * score[K];
    }
    return op.terms.present() ? law.log_prob(x, p) : Real(0);
  }
};

/// Calls f with the body of this law and of as many parameters as its decoder gives.
template <class F>
void open_observe(const Observe& op, F&& f) {
  std::visit(
      [&]<class Law>(const Law& law) {
        if constexpr (Law::parameters > 1)
          if (op.side.present()) return f(ObserveBody<Law, Law::parameters - 1>{op, law});
        f(ObserveBody<Law, Law::parameters>{op, law});
      },
      op.law);
}

}  // namespace elbo
