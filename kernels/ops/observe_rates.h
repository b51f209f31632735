#pragma once
#include "kernels/ops/rates.h"
#include "kernels/ops/reconstruction.h"

namespace elbo {

/// Rates, then the log-likelihood of counts under them, then the gradient with respect to the
/// decoder's own numbers: passes over a row that stays on chip.
///
/// As Rates, Observe and RatesGradient say, one after the other, except that observe.in is
/// rates.out, which nobody else reads (observe.stored keeps it where somebody does), and that
/// observe.score is of theta.  Without rates.log_size a datum's size is its total (LogTotals).
struct ObserveRates {
  Rates rates;
  Observe observe;

  void views(auto&& visit) {
    visit(rates.theta, Access::read), visit(rates.log_size, Access::read);
    visit(observe.side, Access::read), visit(observe.x, Access::read);
    visit(observe.upstream, Access::read);
    visit(rates.log_sum, Access::write), visit(observe.stored, Access::write);
    visit(observe.terms, Access::write), visit(observe.score, Access::write);
    visit(observe.side_score, Access::write);
  }
};

/// Body: the ObserveBody of the law, without a bias.
template <class Body>
struct ObserveRatesBody {
  static constexpr bool long_rows = true;  // where they are, they have more threads
  ObserveRates op;
  Body body;

  template <class Team>
  HD void operator()(int r, const Team& team) const {
    constexpr int K = Body::width;
    const Rates& rates = op.rates;
    const Observe& observe = op.observe;
    const int n = rates.theta.columns / K;
    const auto a = [&](int c) { return rates.theta(r, c * K); };

    const Real log_size = rates.log_size.present() ? rates.log_size(r / rates.repeat, 0)
                                                   : log_total(observe.x, r / rates.repeat, team);
    Real log_sum = 0;
    if (rates.softmax) {
      const Real largest = team.max(n, a);
      log_sum = largest +
                std::log(team.sum(n, [&](int c) { return Vec<1>{elbo::exp(a(c) - largest)}; })[0]);
      if (rates.log_sum.present()) team.once([&] { rates.log_sum(r, 0) = log_sum; });
    }

    const auto at = body.row(r);
    const auto entry = [&](int c, auto... x) {
      Vec<K> p;
      p[0] = a(c) - log_sum + log_size;
      for (int k = 1; k < K; ++k) p[k] = rates.theta(r, c * K + k);
      return Vec<1>{at(c, p, x...)};
    };
    // Most counts are 0, for which the compiler leaves little of the law; a missing one is not.
    const Real term = team.sum(
        n, [&](int c) { return !(observe.x(at.datum, c) == 0); },
        [&](int c) { return entry(c, Real(0)); }, [&](int c) { return entry(c); })[0];
    if (observe.terms.present()) team.once([&] { observe.terms(r, 0) = term; });
    if (!rates.softmax || !observe.score.present()) return;
    team.meet();  // another thread may have made an entry's score
    const auto score = [&](int c) { return Vec<1>{observe.score(r, c * K)}; };
    const Real sum = team.sum(n, score)[0];
    team.each(n, [&](int c) { observe.score(r, c * K) -= elbo::exp(a(c) - log_sum) * sum; });
  }
};

}  // namespace elbo
