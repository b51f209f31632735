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

/// The same for the entries of one row, whose x̂ is given.  `drops` tells at compile time whether
/// there is a mask, or -1: look at run time.
template <class Act, int drops>
struct NormRow {
  const Norm& norm;
  const Act& activation;
  DropoutMask::Row mask;

  HD NormRow(const Norm& norm, const Act& activation, int r)
      : norm(norm),
        activation(activation),
        mask(drops != 0 ? norm.mask.row(r) : DropoutMask::Row{}) {}
  HD Real factor(int c) const {
    if (drops == 0 || (drops < 0 && mask.dropped == 0)) return 1;
    return mask.factor(c);
  }
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

/// Over the rows of a batch (training) or by the running estimates (evaluation).  In training the
/// estimates move (unless the state is halted): running = (1 - momentum) · running + momentum ·
/// new, σ² of B - 1 degrees of freedom.  Mean first, then centred squares.  Ioffe & Szegedy, Batch
/// Normalization (2015).
struct NormaliseColumns {
  Norm norm;
  Matrix running_mean, running_variance, y;
  Real momentum = Real(0.1);
  bool training = true;
  const StepState* state = nullptr;
  NarrowProduct product{};  // where there is one, it makes x

  void views(auto&& visit) {
    const Access running = training ? Access::update : Access::read;
    norm.read(visit, product.present() ? Access::write : Access::read);
    product.views(visit), product.out = norm.x;
    visit(running_mean, running), visit(running_variance, running);
    visit(norm.mean, Access::write), visit(norm.inverse, Access::write), visit(y, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseColumnsBody {
  NormaliseColumns op;
  Act activation;

  /// (μ, 1/√(σ² + ε)) of the batch's columns; moves the running estimates.
  template <class Team>
  HD auto of_batch(const Team& team) const {
    const Matrix& x = op.norm.x;
    const auto sum =
        team.sum(x.rows, [&](int r) { return [&, r](int c) { return Vec<1>{x(r, c)}; }; });
    const auto mean = team.per_column([&](int c) { return Vec<1>{sum(c)[0] / Real(x.rows)}; });
    const auto squares = team.sum(x.rows, [&](int r) {
      return [&, r](int c) { return Vec<1>{square(x(r, c) - mean(c)[0])}; };
    });
    const bool moves = !halted(op.state);
    team.columns([&](int c) {
      if (!moves) return;
      const auto move = [&](Real& running, Real now) {
        running = (1 - op.momentum) * running + op.momentum * now;
      };
      move(op.running_mean(0, c), mean(c)[0]);
      move(op.running_variance(0, c), squares(c)[0] / Real(x.rows - 1));
    });
    return team.per_column([&](int c) {
      return Vec<2>{mean(c)[0], 1 / std::sqrt(squares(c)[0] / Real(x.rows) + op.norm.epsilon)};
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
/// and in evaluation, where μ and σ² are constants, dx = γ/√(σ² + ε) g.
struct NormaliseColumnsGradient {
  Norm norm;
  Matrix dy, dx, dgamma, dbeta;  // the last two may be absent
  bool training = true;
  NarrowProduct product{};  // where there is one, it makes dy

  void views(auto&& visit) {
    norm.read(visit), visit(norm.mean, Access::read), visit(norm.inverse, Access::read);
    visit(dy, product.present() ? Access::write : Access::read), visit(dx, Access::write);
    product.views(visit), product.out = dy;
    visit(dgamma, Access::write), visit(dbeta, Access::write);
  }
};

template <class Act, int drops>
struct NormaliseColumnsGradientBody {
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
    });
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
