#pragma once
#include <cstdint>
#include <variant>

#include "kernels/math/schedules.h"

namespace elbo {

// Every update rule changes a weight w by its gradient g at step t = 1, 2, … with learning rate
// `rate`; m and v are its two numbers of memory, zero at the start.

/// Adam.  m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,
/// w ← w - rate · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε).
///
/// With `decoupled_decay` λ first w ← w - rate · λ w (AdamW, Loshchilov & Hutter 2019).
/// Kingma & Ba (2015), algorithm 1; ε stands where PyTorch puts it.
struct Adam {
  static constexpr const char* name = "adam";
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decoupled_decay = 0;

  /// What depends on the step alone: computed once a thread, not once a weight.
  struct Now {
    Real keep, rate, epsilon, gain1, keep2, gain2, correction2;
  };
  HD Now now(Real rate, std::uint64_t t) const {
    const double bias1 = -std::expm1(double(t) * std::log(beta1));
    const double bias2 = -std::expm1(double(t) * std::log(beta2));
    return {Real(1 - double(rate) * decoupled_decay),
            Real(double(rate) / bias1),
            Real(epsilon),
            Real(1 - beta1),
            Real(beta2),
            Real(1 - beta2),
            Real(1 / std::sqrt(bias2))};
  }
  HD void step(const Now& now, Real g, Real& w, Real& m, Real& v) const {
    m += now.gain1 * (g - m);
    v = now.keep2 * v + now.gain2 * (g * g);
    w = now.keep * w - now.rate * m / (std::sqrt(v) * now.correction2 + now.epsilon);
  }
};

/// Gradient descent with momentum.  m ← momentum · m + g,  w ← w - rate · m.  (v is not used.)
struct Sgd {
  static constexpr const char* name = "sgd";
  Real momentum = 0;

  /// What depends on the step alone.
  struct Now {
    Real rate;
  };
  HD Now now(Real rate, std::uint64_t) const { return {rate}; }
  HD void step(const Now& now, Real g, Real& w, Real& m, Real&) const {
    m = momentum * m + g;
    w -= now.rate * m;
  }
};

using UpdateRule = std::variant<Adam, Sgd>;

}  // namespace elbo
