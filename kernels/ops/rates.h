#pragma once
#include "kernels/matrix.h"

namespace elbo {

/// out [B,1] = the logarithm of each row's sum; a missing entry (NaN) counts as 0, and a row whose
/// sum is 0 as one whose sum is 1.
struct LogTotals {
  Matrix in, out;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

template <class Team>
HD Real log_total(const Matrix& in, int r, const Team& team) {
  const Real total = team.sum(in.columns, [&](int c) {
    const Real x = in(r, c);
    return Vec<1>{x == x ? x : Real(0)};
  })[0];
  return total == 0 ? Real(0) : elbo::log(total);
}

struct LogTotalsBody {
  LogTotals op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const Real total = log_total(op.in, r, team);
    team.once([&] { op.out(r, 0) = total; });
  }
};

/// Rates relative to the size of a datum, in logarithms.  theta [B,K·C] holds the K parameters of a
/// scalar side by side; a, the first of them, becomes (the others are copied)
///
///     a_c - log Σ_c' e^{a_c'} + log_size(b)     with softmax: the datum's rates sum to its size
///     a_c + log_size(b)                         without
///
/// With `repeat` = S, row b is of datum b / S.  log_sum [B,1] keeps the middle term (nothing
/// without softmax).  Lopez et al. (2018), scVI.
struct Rates {
  Matrix theta, log_size, log_sum, out;
  int parameters = 1;
  bool softmax = true;
  int repeat = 1;
  void views(auto&& visit) {
    visit(theta, Access::read), visit(log_size, Access::read);
    visit(log_sum, Access::write), visit(out, Access::write);
  }
};

struct RatesBody {
  Rates op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const int K = op.parameters, n = op.theta.columns / K;
    const auto a = [&](int c) { return op.theta(r, c * K); };
    Real log_sum = 0;
    if (op.softmax) {
      const Real largest = team.max(n, a);
      const Vec<1> sum =
          team.sum(n, [&](int c) { return Vec<1>{exp_of_negative(a(c) - largest)}; });
      log_sum = largest + elbo::log(sum[0]);
      team.once([&] { op.log_sum(r, 0) = log_sum; });
    }
    const Real log_size = op.log_size(r / op.repeat, 0);
    team.each(n, [&](int c) {
      op.out(r, c * K) = a(c) - log_sum + log_size;
      for (int k = 1; k < K; ++k) op.out(r, c * K + k) = op.theta(r, c * K + k);
    });
  }
};

/// The gradient through a softmax:  da_c = g_c - e^{a_c - log_sum} Σ_c' g_c';  the others' passes.
struct RatesGradient {
  Matrix theta, log_sum, in, out;
  int parameters = 1;
  void views(auto&& visit) {
    visit(theta, Access::read), visit(log_sum, Access::read), visit(in, Access::read);
    visit(out, Access::write);
  }
};

struct RatesGradientBody {
  RatesGradient op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const int K = op.parameters, n = op.theta.columns / K;
    const Real sum = team.sum(n, [&](int c) { return Vec<1>{op.in(r, c * K)}; })[0];
    const Real log_sum = op.log_sum(r, 0);
    team.each(n, [&](int c) {
      op.out(r, c * K) = op.in(r, c * K) - elbo::exp(op.theta(r, c * K) - log_sum) * sum;
      for (int k = 1; k < K; ++k) op.out(r, c * K + k) = op.in(r, c * K + k);
    });
  }
};

}  // namespace elbo
