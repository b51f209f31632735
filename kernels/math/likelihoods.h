#pragma once
#include <variant>

#include "kernels/matrix.h"

namespace elbo {

// Every likelihood is the law of one observed scalar x given K = `parameters` raw numbers p, as a
// decoder (or a parameter of the model) gives them, unconstrained:
//   log_prob(x, p)  in nats, with all constants     score(x, p)   ∂ log_prob / ∂p
//   mean(p)         E[x]                            sample(p, u)  a draw of x; u gives its noise
//   valid(x)        whether x lies in the support   data          the support, in words

/// Bernoulli with logit l; x in [0, 1] (a grey level is read as a probability).
///
///     log p(x | l) = x l - log(1 + e^l)              ∂l = x - sigmoid(l)
///
/// Any finite l.  Kingma & Welling, Auto-Encoding Variational Bayes (2014), appendix C.1.
struct Bernoulli {
  static constexpr int parameters = 1;
  static constexpr const char* data = "values in [0, 1]";

  HD Real log_prob(Real x, Vec<1> p) const { return x * p[0] - softplus(p[0]); }
  HD Vec<1> score(Real x, Vec<1> p) const { return {x - sigmoid(p[0])}; }
  HD Real mean(Vec<1> p) const { return sigmoid(p[0]); }
  template <class Draw>
  HD Real sample(Vec<1> p, Draw& u) const {
    return u.uniform() < sigmoid(p[0]) ? 1 : 0;
  }
  HD bool valid(Real x) const { return x >= 0 && x <= 1; }
};

/// Gaussian with mean m and the known standard deviation σ; any real x.
///
///     log p(x | m) = -½ (log 2π + 2 log σ + ((x - m)/σ)²)              ∂m = (x - m)/σ²
struct FixedGaussian {
  static constexpr int parameters = 1;
  static constexpr const char* data = "finite values";
  Real sigma = 1;

  HD Real log_prob(Real x, Vec<1> p) const {
    return -(Real(1.8378770664093454836) + 2 * std::log(sigma) + square((x - p[0]) / sigma)) / 2;
  }
  HD Vec<1> score(Real x, Vec<1> p) const { return {(x - p[0]) / sigma / sigma}; }
  HD Real mean(Vec<1> p) const { return p[0]; }
  template <class Draw>
  HD Real sample(Vec<1> p, Draw& u) const {
    return p[0] + sigma * u.normal();
  }
  HD bool valid(Real x) const { return std::isfinite(x); }
};

/// Gaussian with mean m and raw log-variance s, whose variance has a floor; any real x.
///
///     v = floor² + e^s        log p(x | m, s) = -½ (log 2π + log v + (x - m)²/v)
///     ∂m = (x - m)/v          ∂s = ½ ((x - m)²/v - 1) e^s/v
///
/// The floor keeps the likelihood bounded where data are constant (a black border pixel).
struct Gaussian {
  static constexpr int parameters = 2;
  static constexpr const char* data = "finite values";
  Real floor = Real(1e-3);

  HD Real variance(Real s) const { return floor * floor + elbo::exp(s); }
  HD Real log_prob(Real x, Vec<2> p) const {
    const Real v = variance(p[1]);
    return -(Real(1.8378770664093454836) + std::log(v) + square(x - p[0]) / v) / 2;
  }
  HD Vec<2> score(Real x, Vec<2> p) const {
    const Real v = variance(p[1]), d = x - p[0];
    return {d / v, (d * d / v - 1) * (elbo::exp(p[1]) / v) / 2};
  }
  HD Real mean(Vec<2> p) const { return p[0]; }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    return p[0] + std::sqrt(variance(p[1])) * u.normal();
  }
  HD bool valid(Real x) const { return std::isfinite(x); }
};

/// Every likelihood.  To add one: a struct above, a word here, a row in tests/kernels.
using Likelihood = std::variant<Bernoulli, FixedGaussian, Gaussian>;

inline int parameters_of(const Likelihood& law) {
  return open(law, [](const auto& l) { return l.parameters; });
}

}  // namespace elbo
