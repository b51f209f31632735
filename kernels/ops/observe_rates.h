#pragma once
#include "kernels/ops/gather.h"
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
  Lists lists{};  // where present, observe.x is these, and has no memory of its own

  void views(auto&& visit) {
    visit(rates.theta, Access::read), visit(rates.log_size, Access::read);
    visit(observe.side, Access::read), visit(observe.upstream, Access::read);
    visit(lists.present() ? lists.memory : observe.x, Access::read);
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

  static constexpr int K = Body::width;
  HD int scalars() const { return op.rates.theta.columns / K; }

  /// Logarithms of the datum's size, and of the largest and the sum of its e^a (0 without softmax).
  struct Logarithms {
    Real size, largest, sum;
  };
  struct Forget {
    HD void operator()(int, Real) const {}
  };
  /// keep(c, e^{a_c - largest}) is told what the sum is of.
  template <class Team, class Keep = Forget>
  HD Logarithms logarithms(int r, const Team& team, const Keep& keep = {}) const {
    const Rates& rates = op.rates;
    const auto a = [&](int c) { return rates.theta(r, c * K); };
    const Real log_size = rates.log_size.present()
                              ? rates.log_size(r / rates.repeat, 0)
                              : log_total(op.observe.x, r / rates.repeat, team);
    if (!rates.softmax) return {log_size, 0, 0};
    const int n = scalars();
    const Real largest = team.max(n, a);
    const Vec<1> sum = team.sum(n, [&](int c) {
      const Real e = exp_of_negative(a(c) - largest);
      keep(c, e);
      return Vec<1>{e};
    });
    const Real log_sum = largest + elbo::log(sum[0]);
    if (rates.log_sum.present()) team.once([&] { rates.log_sum(r, 0) = log_sum; });
    return {log_size, largest, log_sum};
  }
  /// The law's parameters of a row's scalars, by (scalar, parameter), and of one of them.
  HD auto row_parameters(int r, const Logarithms& logs) const {
    return [theta = op.rates.theta.row(r), sum = logs.sum, size = logs.size](int c, int k) {
      const Real p = theta[c * K + k];
      return k == 0 ? p - sum + size : p;
    };
  }
  HD Vec<K> parameters(int r, int c, const Logarithms& logs) const {
    const auto of = row_parameters(r, logs);
    Vec<K> p;
    for (int k = 0; k < K; ++k) p[k] = of(c, k);
    return p;
  }
  /// Takes the row's scores through the softmax, in which scalar c has the share share(c).
  template <class Team, class Share>
  HD void centre(int r, const Team& team, const Share& share) const {
    const Matrix& score = op.observe.score;
    if (!op.rates.softmax || !score.present()) return;
    const Real sum = team.sum(scalars(), [&](int c) { return Vec<1>{score(r, c * K)}; })[0];
    team.each(scalars(), [&](int c) { score(r, c * K) -= share(c) * sum; });
  }

  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const Logarithms logs = logarithms(r, team);
    const auto at = body.row(r);
    // Most counts are 0, for which the compiler leaves little of the law; a missing one is not.
    const Real term = team.sum(
        scalars(), [&](int c) { return !(op.observe.x(at.datum, c) == 0); },
        [&](int c) { return Vec<1>{at(c, parameters(r, c, logs), Real(0))}; },
        [&](int c) { return Vec<1>{at(c, parameters(r, c, logs))}; })[0];
    if (op.observe.terms.present()) team.once([&] { op.observe.terms(r, 0) = term; });
    team.meet();  // another thread may have made an entry's score
    centre(r, team, [&](int c) { return elbo::exp(op.rates.theta(r, c * K) - logs.sum); });
  }
};

}  // namespace elbo
