#pragma once
#include <type_traits>

#include "kernels/math/activations.h"
#include "kernels/ops/dropout.h"

namespace elbo {

/// Normalisation to mean 0 and variance 1, and what follows it in the same pass:
///
///     y = m · activation(γ x̂ + β)      x̂ = (x - μ) / √(σ² + ε)      m: dropout's factor
///
/// x [B,C]  γ, β [1,C];  mean holds μ and inverse 1/√(σ² + ε), [1,C] or (of rows) [B,1].
/// x̂, the activation and the mask are worked out again in the backward pass, from x alone.
struct Norm {
  Matrix x, gamma, beta, mean, inverse;
  Real epsilon = Real(1e-5);
  Activation activation;
  DropoutMask mask;

  void read(auto&& visit, Access of_x = Access::read) {
    visit(x, of_x), visit(gamma, Access::read), visit(beta, Access::read);
  }
};

/// A product of so little depth that who needs its numbers, column by column, works them out:
///
///     out = a b + bias    (a bᵀ if b_transposed)         a [B,n], n ≤ most;  the bias may be
///     absent
struct NarrowProduct {
  static constexpr int most = 32;
  Matrix a, b, bias, out;
  bool b_transposed = false;

  HD bool present() const { return a.columns > 0; }
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(bias, Access::read);
  }
  template <class Team>
  HD void operator()(const Team& team) const {
    const auto factors = team.per_column([&](int c) {
      Vec<most> w{};
      for (int k = 0; k < most; ++k)
        if (k < a.columns) w[k] = b_transposed ? b(c, k) : b(k, c);
      return w;
    });
    team.each(a.rows, [&](int r) {
      return [&, r](int c) {
        const Vec<most> w = factors(c);
        Real sum = bias.present() ? bias(0, c) : Real(0);
        for (int k = 0; k < most; ++k)
          if (k < a.columns) sum += a(r, k) * w[k];
        out(r, c) = sum;
      };
    });
  }
};

template <int drops>
using Drops = std::integral_constant<int, drops>;

/// A row of a mask: `drops` tells at compile time whether there is one (1), and it gives its factors
/// (2), or -1: look at run time.
template <int drops>
struct Mask {
  DropoutMask::Row row;
  HD Mask(const DropoutMask& mask, int r) : row(mask.row(r)) {}
  HD Real factor(int c) const { return drops < 0 && row.dropped == 0 ? Real(1) : row.factor(c); }
};
template <>
struct Mask<0> {
  HD Mask(const DropoutMask&, int) {}
  HD Real factor(int) const { return 1; }
};
template <>
struct Mask<2> {
  const Real* given;
  int from;
  HD Mask(const DropoutMask& mask, int r) : given(mask.given.row(r)), from(mask.given_from) {}
  HD Real factor(int c) const { return given[c - from]; }
};

/// The same for the entries of one row, whose x̂ is given.
template <class Act, int drops>
struct NormRow {
  const Norm& norm;
  const Act& activation;
  Mask<drops> mask;

  HD NormRow(const Norm& norm, const Act& activation, int r)
      : norm(norm), activation(activation), mask(norm.mask, r) {}
  HD Real factor(int c) const { return mask.factor(c); }
  HD Real linear(int c, Real normal) const { return norm.gamma(0, c) * normal + norm.beta(0, c); }
  HD Real value(int c, Real normal) const {
    return factor(c) * activation.value(linear(c, normal));
  }
  /// The gradient of γ x̂ + β from that of y.
  HD Real slope(int c, Real normal, Real dy) const {
    const Real u = linear(c, normal);
    return factor(c) * dy * activation.slope(u, activation.value(u));
  }
};

/// The number of rows, their mean and Σ (x - mean)² of each column: mean first, then the squares.
template <class Team>
HD auto column_moments(const Team& team, const Matrix& x) {
  const auto sum =
      team.sum(x.rows, [&](int r) { return [&, r](int c) { return Vec<1>{x(r, c)}; }; });
  const auto mean = team.per_column([&](int c) { return Vec<1>{sum(c)[0] / Real(x.rows)}; });
  const auto squares = team.sum(x.rows, [&](int r) {
    return [&, r](int c) { return Vec<1>{square(x(r, c) - mean(c)[0])}; };
  });
  return team.per_column([&](int c) { return Vec<3>{Real(x.rows), mean(c)[0], squares(c)[0]}; });
}

/// Those of a batch whose rows lie in P processes, of which p has the rows 3p … 3p + 2 of parts
/// [3P,C].  Chan, Golub & LeVeque, Algorithms for Computing the Sample Variance (1983).
HD Vec<3> joined_moments(const Matrix& parts, int c) {
  Real rows = 0, sum = 0, squares = 0;
  for (int p = 0; p < parts.rows; p += 3) rows += parts(p, c), sum += parts(p, c) * parts(p + 1, c);
  const Real mean = sum / rows;
  for (int p = 0; p < parts.rows; p += 3)
    squares += parts(p + 2, c) + parts(p, c) * square(parts(p + 1, c) - mean);
  return {rows, mean, squares};
}

/// What process p contributes to them: its own, and zeros for the others, so that the sum over the
/// processes (GroupSum) has them all.
struct ColumnMoments {
  Matrix x, parts;
  int process = 0;
  bool counts = true;  // false: these rows are none of the batch
  void views(auto&& visit) { visit(x, Access::read), visit(parts, Access::write); }
};

struct ColumnMomentsBody {
  ColumnMoments op;
  template <class Team>
  HD void operator()(const Team& team) const {
    const auto own = column_moments(team, op.x);
    team.columns([&](int c) {
      for (int i = 0; i < op.parts.rows; ++i) {
        const int k = i - 3 * op.process;
        op.parts(i, c) = op.counts && k >= 0 && k < 3 ? own(c)[k] : Real(0);
      }
    });
  }
};

/// Over the rows of a batch (training) or by the running estimates (evaluation).  In training the
/// estimates move (unless the state is halted): running = (1 - momentum) · running + momentum ·
/// new, σ² of B - 1 degrees of freedom.  Ioffe & Szegedy, Batch Normalization (2015).
struct NormaliseColumns {
  Norm norm;
  Matrix running_mean, running_variance, y;
  Real momentum = Real(0.1);
  bool training = true;
  const StepState* state = nullptr;
  NarrowProduct product{};  // where there is one, it makes x
  Matrix parts{};           // where x is a part of the batch: the moments of all (joined_moments)

  void views(auto&& visit) {
    const Access running = training ? Access::update : Access::read;
    norm.read(visit, product.present() ? Access::write : Access::read);
    product.views(visit), product.out = norm.x;
    visit(running_mean, running), visit(running_variance, running), visit(parts, Access::read);
    visit(norm.mean, Access::write), visit(norm.inverse, Access::write), visit(y, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseColumnsBody {
  static constexpr bool takes_factors = drops == 2;
  NormaliseColumns op;
  Act activation;

  template <class Team>
  HD auto moments(const Team& team) const {
    if (!op.parts.present()) return column_moments(team, op.norm.x);
    return team.per_column([&](int c) { return joined_moments(op.parts, c); });
  }
  /// (μ, 1/√(σ² + ε)) of the batch's columns; moves the running estimates.
  template <class Team>
  HD auto of_batch(const Team& team) const {
    const auto moments = this->moments(team);
    const bool moves = !halted(op.state);
    team.columns([&](int c) {
      if (!moves) return;
      const auto move = [&](Real& running, Real now) {
        running = (1 - op.momentum) * running + op.momentum * now;
      };
      const Vec<3> m = moments(c);
      move(op.running_mean(0, c), m[1]);
      move(op.running_variance(0, c), m[2] / (m[0] - 1));
    });
    return team.per_column([&](int c) {
      const Vec<3> m = moments(c);
      return Vec<2>{m[1], 1 / std::sqrt(m[2] / m[0] + op.norm.epsilon)};
    });
  }
  template <class Team>
  HD auto of_estimates(const Team& team) const {
    return team.per_column([&](int c) {
      return Vec<2>{op.running_mean(0, c),
                    1 / std::sqrt(op.running_variance(0, c) + op.norm.epsilon)};
    });
  }
  template <class Team>
  HD void operator()(const Team& team) const {
    const Norm& norm = op.norm;
    if (op.product.present()) op.product(team);
    const auto statistics = op.training ? of_batch(team) : of_estimates(team);
    team.columns(
        [&](int c) { norm.mean(0, c) = statistics(c)[0], norm.inverse(0, c) = statistics(c)[1]; });
    team.each(norm.x.rows, [&](int r) {
      const NormRow<Act, drops> row(norm, activation, r);
      return [&, r, row](int c) {
        const auto s = statistics(c);
        op.y(r, c) = row.value(c, (norm.x(r, c) - s[0]) * s[1]);
      };
    });
  }
};

/// With g = the gradient of γ x̂ + β and ⟨·⟩ the mean over rows:
///
///     dγ = Σ g x̂     dβ = Σ g     dx = γ/√(σ² + ε) (g - ⟨g⟩ - x̂ ⟨g x̂⟩)
///
/// and in evaluation, where μ and σ² are constants, dx = γ/√(σ² + ε) g.  Where x is a part of the
/// batch (`sums` [2,C] is present) dx = g and sums = (Σ g, Σ g x̂): CentreSlopes goes on when these
/// have been added up over the processes.
struct NormaliseColumnsGradient {
  Norm norm;
  Matrix dy, dx, dgamma, dbeta;  // the last two may be absent
  bool training = true;
  NarrowProduct product{};  // where there is one, it makes dy
  Matrix sums{};
  bool counts = true;  // false: these rows are none of the batch, the sums are 0

  void views(auto&& visit) {
    norm.read(visit), visit(norm.mean, Access::read), visit(norm.inverse, Access::read);
    visit(dy, product.present() ? Access::write : Access::read), visit(dx, Access::write);
    product.views(visit), product.out = dy;
    visit(dgamma, Access::write), visit(dbeta, Access::write), visit(sums, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseColumnsGradientBody {
  static constexpr bool takes_factors = drops == 2;
  NormaliseColumnsGradient op;
  Act activation;

  HD Real normal(int r, int c) const {
    return (op.norm.x(r, c) - op.norm.mean(0, c)) * op.norm.inverse(0, c);
  }
  template <class Team>
  HD void operator()(const Team& team) const {
    const Norm& norm = op.norm;
    const int rows = norm.x.rows;
    if (op.product.present()) op.product(team);
    const auto sums = team.sum(rows, [&](int r) {
      const NormRow<Act, drops> row(norm, activation, r);
      return [&, r, row](int c) {
        const Real x = normal(r, c), g = row.slope(c, x, op.dy(r, c));
        op.dx(r, c) = g;  // the last pass takes it from here
        return Vec<2>{g, g * x};
      };
    });
    team.columns([&](int c) {
      if (op.dbeta.present()) op.dbeta(0, c) = sums(c)[0];
      if (op.dgamma.present()) op.dgamma(0, c) = sums(c)[1];
      if (op.sums.present())
        for (int k = 0; k < 2; ++k) op.sums(k, c) = op.counts ? sums(c)[k] : Real(0);
    });
    if (op.sums.present()) return;
    const Real share = op.training ? 1 / Real(rows) : Real(0);
    team.each(rows, [&](int r) {
      return [&, r](int c) {
        const auto mean = sums(c);
        op.dx(r, c) = norm.gamma(0, c) * norm.inverse(0, c) *
                      (op.dx(r, c) - share * (mean[0] + normal(r, c) * mean[1]));
      };
    });
  }
};

/// The rest of that gradient, of the sums over the batch: dx = γ/√(σ² + ε) (g - ⟨g⟩ - x̂ ⟨g x̂⟩),
/// where dx holds g.  How many rows the batch has is in `parts`.
struct CentreSlopes {
  Matrix x, gamma, mean, inverse, parts, sums, dx;
  void views(auto&& visit) {
    for (Matrix* m : {&x, &gamma, &mean, &inverse, &parts, &sums}) visit(*m, Access::read);
    visit(dx, Access::update);
  }
};

struct CentreSlopesBody {
  CentreSlopes op;
  template <class Team>
  HD void operator()(const Team& team) const {
    const auto of_column = team.per_column([&](int c) {
      const Real share = 1 / joined_moments(op.parts, c)[0];
      return Vec<2>{share * op.sums(0, c), share * op.sums(1, c)};
    });
    team.each(op.x.rows, [&](int r) {
      return [&, r](int c) {
        const Real normal = (op.x(r, c) - op.mean(0, c)) * op.inverse(0, c);
        const auto mean = of_column(c);
        op.dx(r, c) =
            op.gamma(0, c) * op.inverse(0, c) * (op.dx(r, c) - (mean[0] + normal * mean[1]));
      };
    });
  }
};

/// Over the entries of each row.  Ba, Kiros & Hinton, Layer Normalization (2016).
struct NormaliseRows {
  Norm norm;
  Matrix y;

  void views(auto&& visit) {
    norm.read(visit);
    visit(norm.mean, Access::write), visit(norm.inverse, Access::write), visit(y, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseRowsBody {
  static constexpr bool takes_factors = drops == 2;
  NormaliseRows op;
  Act activation;

  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const Norm& norm = op.norm;
    const int n = norm.x.columns;
    const Real mean = team.sum(n, [&](int c) { return Vec<1>{norm.x(r, c)}; })[0] / Real(n);
    const Real variance =
        team.sum(n, [&](int c) { return Vec<1>{square(norm.x(r, c) - mean)}; })[0] / Real(n);
    const Real inverse = 1 / std::sqrt(variance + norm.epsilon);
    team.once([&] { norm.mean(r, 0) = mean, norm.inverse(r, 0) = inverse; });
    const NormRow<Act, drops> row(norm, activation, r);
    team.each(n, [&](int c) { op.y(r, c) = row.value(c, (norm.x(r, c) - mean) * inverse); });
  }
};

/// With g = the gradient of γ x̂ + β and ⟨·⟩ the mean over a row's entries:
///
///     dx = (γ g - ⟨γ g⟩ - x̂ ⟨γ g x̂⟩) / √(σ² + ε)
///
/// keeps g in `slope` when it is there: SumSlopes makes dγ and dβ of it.
struct NormaliseRowsGradient {
  Norm norm;
  Matrix dy, dx, slope;

  void views(auto&& visit) {
    norm.read(visit), visit(norm.mean, Access::read), visit(norm.inverse, Access::read);
    visit(dy, Access::read), visit(dx, Access::write), visit(slope, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseRowsGradientBody {
  static constexpr bool takes_factors = drops == 2;
  NormaliseRowsGradient op;
  Act activation;

  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const Norm& norm = op.norm;
    const int n = norm.x.columns;
    const Real mean = norm.mean(r, 0), inverse = norm.inverse(r, 0);
    const auto normal = [&](int c) { return (norm.x(r, c) - mean) * inverse; };
    const NormRow<Act, drops> row(norm, activation, r);
    const auto sums = team.sum(n, [&](int c) {
      const Real x = normal(c), g = row.slope(c, x, op.dy(r, c)), d = norm.gamma(0, c) * g;
      if (op.slope.present()) op.slope(r, c) = g;
      op.dx(r, c) = d;  // the last pass takes it from here
      return Vec<2>{d, d * x};
    });
    team.each(n, [&](int c) {
      op.dx(r, c) = inverse * (op.dx(r, c) - (sums[0] + normal(c) * sums[1]) / Real(n));
    });
  }
};

/// dγ = Σ_rows g x̂ and dβ = Σ_rows g of a normalisation of rows; either may be absent.
struct SumSlopes {
  Matrix slope, x, mean, inverse, dgamma, dbeta;
  void views(auto&& visit) {
    visit(slope, Access::read), visit(x, Access::read), visit(mean, Access::read);
    visit(inverse, Access::read), visit(dgamma, Access::write), visit(dbeta, Access::write);
  }
};

struct SumSlopesBody {
  SumSlopes op;
  template <class Team>
  HD void operator()(const Team& team) const {
    const auto sums = team.sum(op.x.rows, [&](int r) {
      const Real mean = op.mean(r, 0), inverse = op.inverse(r, 0);
      return [&, r, mean, inverse](int c) {
        const Real g = op.slope(r, c);
        return Vec<2>{g, g * (op.x(r, c) - mean) * inverse};
      };
    });
    team.columns([&](int c) {
      if (op.dbeta.present()) op.dbeta(0, c) = sums(c)[0];
      if (op.dgamma.present()) op.dgamma(0, c) = sums(c)[1];
    });
  }
};

}  // namespace elbo
