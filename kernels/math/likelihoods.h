#pragma once
#include <type_traits>
#include <variant>

#include "kernels/math/samplers.h"
#include "kernels/math/special_functions.h"
#include "kernels/matrix.h"

namespace elbo {

// Every likelihood is the law of one observed scalar x given K raw numbers p, as a decoder (or a
// parameter of the model) gives them, unconstrained:
//
//   log_prob(x, p)  in nats, with all constants     score(x, p)   ∂ log_prob / ∂p
//   mean(p)         E[x]                            sample(p, u)  a draw of x; u gives its noise
//   valid(x)        whether x lies in the support   data          the support, in words
//
// In float, |error of log_prob| ≤ 1e-5 · max(1, |log p|) and a score's relative error ≤ 1e-5 + its
// condition · 2⁻²³, over the stated domain of x and p.  A narrow law has a constant number of
// `parameters`; a wide one has as many as its members say, and takes p as anything indexable.

namespace law {
inline constexpr double log_2 = 0.693147180559945309, log_2_pi = 1.8378770664093454836;

template <class T>
HD bool whole(T x) {
  return x >= 0 && x <= T(16777216) && x == std::floor(x);  // beyond 2²⁴ a float skips some
}
}  // namespace law

/// A law of counts also gives both at once, for x = 0, which most counts are, and for x ≥ 1:
///
///   zero(linear)       of p with logarithms taken off, as the law says
///   positive(x, p)     positive(x, p without its last, what depends on that alone)
template <int K, class T>
struct Observed {
  T log_prob;
  Vec<K, T> score;
};

/// Bernoulli with logit l; x in [0, 1] (a grey level is read as a probability).
///
///     log p(x | l) = x l - log(1 + e^l)              ∂l = x - sigmoid(l)
///
/// |l| ≤ 90.  For l > 0 both are taken from 1 - x, and near 0 the score from x - ½, so that
/// nothing cancels.
/// Kingma & Welling, Auto-Encoding Variational Bayes (2014), appendix C.1.
struct Bernoulli {
  static constexpr int parameters = 1;
  static constexpr const char* data = "values in [0, 1]";

  template <class T>
  HD T log_prob(T x, Vec<1, T> p) const {
    const T l = p[0];
    return (l > 0 ? x - 1 : x) * l - log1p_unit(exp_of_negative(-std::abs(l)));
  }
  template <class T>
  HD Vec<1, T> score(T x, Vec<1, T> p) const {
    const T l = p[0], e = exp_of_negative(-std::abs(l)), s = e * (1 / (1 + e));
    const T far = l > 0 ? (x - 1) + s : x - s, near = (x - T(0.5)) - sigmoid_above_half(l);
    return {l * l < T(0.0625) ? near : far};
  }
  template <class T>
  HD T mean(Vec<1, T> p) const {
    return sigmoid(p[0]);
  }
  template <class Draw>
  HD Real sample(Vec<1> p, Draw& u) const {
    return u.uniform() <= sigmoid(p[0]) ? 1 : 0;
  }
  HD bool valid(Real x) const { return x >= 0 && x <= 1; }

 private:
  /// sigmoid(l) - ½ = ½ tanh(l/2) for |l| ≤ ¼ by Taylor's series, whose tail is below 1e-18.
  template <class T>
  HD static T sigmoid_above_half(T l) {
    const T u = l * l / 4;
    return l / 4 *
           horner(u, T(-929569) / T(638512875), T(21844) / T(6081075), T(-1382) / T(155925),
                  T(62) / T(2835), T(-17) / T(315), T(2) / T(15), T(-1) / T(3), T(1));
  }
};

/// Continuous Bernoulli with logit l: the density on [0, 1] that is proportional to e^{l x}.
///
///     log p(x | l) = x l - log((e^l - 1)/l)          ∂l = x - m(l),  m = 1/(1 - e^-l) - 1/l
///
/// |l| ≤ 90.  With a = |l| and distance t = x from the far end (x itself for l < 0, 1 - x for
/// l > 0): log p = -t a + log(a / (1 - e^-a)).  Loaiza-Ganem & Cunningham (2019).
struct ContinuousBernoulli {
  static constexpr int parameters = 1;
  static constexpr const char* data = "values in [0, 1]";

  /// Of a = |l|, by the Bernoulli numbers' series below 1 (in double 0.2), whose tail is below
  /// 4e-10 (1e-17): the mean is ½ ∓ from_half(a), and beyond 1 distance(a) from the near end.
  template <class T>
  static constexpr T near = sizeof(T) == 4 ? T(1) : T(0.2);
  template <class T>
  HD static T from_half(T a) {
    const T z = a * a;
    return a * (T(1) / 12 -
                z * (T(1) / 720 - z * (T(1) / 30240 - z * (T(1) / 1209600 - z / T(47900160)))));
  }
  template <class T>
  HD static T distance(T a) {
    return a < near<T> ? T(0.5) - from_half(a) : 1 / a - 1 / elbo::expm1(a);
  }
  template <class T>
  HD T log_prob(T x, Vec<1, T> p) const {
    const T l = p[0], a = l > 0 ? l : -l;
    const T ratio = a > 0 ? a / -elbo::expm1(-a) : T(1);
    return (l > 0 ? x - 1 : x) * l + elbo::log(ratio);
  }
  template <class T>
  HD Vec<1, T> score(T x, Vec<1, T> p) const {
    const T l = p[0], a = l > 0 ? l : -l, d = distance(a), h = from_half(a);
    return {a < near<T> ? (x - T(0.5)) - (l > 0 ? h : -h) : l > 0 ? (x - 1) + d : x - d};
  }
  template <class T>
  HD T mean(Vec<1, T> p) const {
    const T d = distance(p[0] > 0 ? p[0] : -p[0]);
    return p[0] > 0 ? 1 - d : d;
  }
  template <class Draw>
  HD Real sample(Vec<1> p, Draw& u) const {
    const Real a = p[0] > 0 ? p[0] : -p[0];
    const Real t = a > 0 ? -elbo::log1p(u.uniform() * elbo::expm1(-a)) / a : u.uniform();
    const Real inside = t < 1 ? t : Real(1);
    return p[0] > 0 ? 1 - inside : inside;
  }
  HD bool valid(Real x) const { return x >= 0 && x <= 1; }
};

/// Gaussian with mean m and the known standard deviation σ; any real x.
///
///     log p(x | m) = -½ (log 2π + 2 log σ + ((x - m)/σ)²)              ∂m = (x - m)/σ²
///
/// |x|, |m| ≤ 1e4.  Kingma & Welling (2014), appendix C.2.
struct FixedGaussian {
  static constexpr int parameters = 1;
  static constexpr const char* data = "finite values";
  Real sigma = 1;

  template <class T>
  HD T log_prob(T x, Vec<1, T> p) const {
    const T s = T(sigma);
    // The library's logarithm, of a constant, is taken out of a loop.
    return -(T(law::log_2_pi) + 2 * std::log(s) + square((x - p[0]) / s)) / 2;
  }
  template <class T>
  HD Vec<1, T> score(T x, Vec<1, T> p) const {
    return {(x - p[0]) / T(sigma) / T(sigma)};
  }
  template <class T>
  HD T mean(Vec<1, T> p) const {
    return p[0];
  }
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
/// |x|, |m| ≤ 1e4, s in [-30, 20].  The floor keeps the likelihood bounded where data are constant
/// (a black border pixel).  Kingma & Welling (2014), appendix C.2.
struct Gaussian {
  static constexpr int parameters = 2;
  static constexpr const char* data = "finite values";
  Real floor = Real(1e-3);

  template <class T>
  HD T variance(T s) const {
    return T(floor) * T(floor) + elbo::exp(s);
  }
  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const T v = variance(p[1]);
    return -(T(law::log_2_pi) + elbo::log(v) + square(x - p[0]) / v) / 2;
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    const T e = elbo::exp(p[1]), f = T(floor), v = f * f + e, d = x - p[0], size = std::abs(d);
    const T excess = (size - f) * (size + f) - e;  // d² - v, exact where both are near floor²
    return {d / v, excess / v * (e / v) / 2};
  }
  template <class T>
  HD T mean(Vec<2, T> p) const {
    return p[0];
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    return p[0] + std::sqrt(variance(p[1])) * u.normal();
  }
  HD bool valid(Real x) const { return std::isfinite(x); }
};

/// Laplace with median m and raw log-scale s, whose scale has a floor; any real x.
///
///     b = floor + e^s         log p(x | m, s) = -log 2b - |x - m|/b
///     ∂m = sign(x - m)/b      ∂s = (|x - m|/b - 1) e^s/b
///
/// |x|, |m| ≤ 1e4, s in [-30, 20]; ∂m = 0 at x = m.  Laplace (1774); Kotz et al. (2001).
struct Laplace {
  static constexpr int parameters = 2;
  static constexpr const char* data = "finite values";
  Real floor = Real(1e-3);

  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const T b = T(floor) + elbo::exp(p[1]);
    return -(T(law::log_2) + elbo::log(b) + std::abs(x - p[0]) / b);
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    const T e = elbo::exp(p[1]), b = T(floor) + e, d = x - p[0];
    const T excess = (std::abs(d) - T(floor)) - e;  // |d| - b
    return {(d > 0 ? T(1) : d < 0 ? T(-1) : T(0)) / b, excess / b * (e / b)};
  }
  template <class T>
  HD T mean(Vec<2, T> p) const {
    return p[0];
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    const Real t = -elbo::log(u.uniform()) * (floor + elbo::exp(p[1]));
    return u.uniform() <= Real(0.5) ? p[0] - t : p[0] + t;
  }
  HD bool valid(Real x) const { return std::isfinite(x); }
};

/// Student-t of ν degrees of freedom with location m and raw log-scale s; any real x.
///
///     c = floor + e^s,  y = (x - m)/c
///     log p(x | m, s) = log Γ((ν+1)/2) - log Γ(ν/2) - ½ log νπ - log c - ½ (ν+1) log(1 + y²/ν)
///     ∂m = (ν+1) y / (ν + y²) / c        ∂s = ν (y² - 1)/(ν + y²) · e^s/c
///
/// ν from 1 to 30, |x|, |m| ≤ 1e4, s in [-30, 20].  mean() is m, the median (E[x] exists for ν > 1
/// only). Lange, Little & Taylor (1989); as a VAE's decoder: Takahashi et al. (2018).
struct StudentT {
  static constexpr int parameters = 2;
  static constexpr const char* data = "finite values";
  Real degrees, floor;
  double constant;  // the first three terms of log p

  /// With z = ν/2, Stirling's formula for both Γ leaves S(z + ½) - S(z) + z log(1 + 1/(2z)) - ½ -
  /// ½ log 2π.
  explicit StudentT(Real degrees = 4, Real floor = Real(1e-3)) : degrees(degrees), floor(floor) {
    const double z = double(degrees) / 2;
    constant = stirling_error(z + 0.5) - stirling_error(z) + (z * std::log1p(1 / (2 * z)) - 0.5) -
               law::log_2_pi / 2;
  }
  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const T nu = T(degrees), c = T(floor) + elbo::exp(p[1]), y = (x - p[0]) / c;
    return T(constant) - elbo::log(c) - (nu + 1) / 2 * elbo::log1p(y * y / nu);
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    const T nu = T(degrees), e = elbo::exp(p[1]), c = T(floor) + e, d = x - p[0], y = d / c;
    const T weight = 1 / (nu + y * y), excess = (std::abs(d) - T(floor)) - e;  // |d| - c
    return {(nu + 1) * y * weight / c, nu * (excess / c) * (std::abs(y) + 1) * weight * (e / c)};
  }
  template <class T>
  HD T mean(Vec<2, T> p) const {
    return p[0];
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    const Real normal = u.normal(), g = sample_gamma(degrees / 2, u) * 2 / degrees;
    return p[0] + (floor + elbo::exp(p[1])) * normal / std::sqrt(g);
  }
  HD bool valid(Real x) const { return std::isfinite(x); }
};

/// Beta with raw a = log α and b = log β; 0 < x < 1.
///
///     log p(x | α, β) = (α-1) log x + (β-1) log(1-x) - log B(α, β)
///     ∂a = α (log x - ψ(α) + ψ(α+β))                  ∂b = β (log(1-x) - ψ(β) + ψ(α+β))
///
/// α, β in [1e-3, 1e5].  With n = α + β, e = xβ - (1-x)α, φ(y) = y - log(1+y), S Stirling's error:
///
///     log p = S(n) - S(α) - S(β) + ½ log(αβ/2πn) - αφ(e/α) - βφ(-e/β) - log x(1-x)
///     ∂a = α log(1 + e/α) + β/2n - α (S'(α) - S'(n))
///
/// where nothing large cancels (after Loader, Fast and Accurate Computation of Binomial
/// Probabilities, 2000).
struct Beta {
  static constexpr int parameters = 2;
  static constexpr const char* data = "values above 0 and below 1";

  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const T alpha = elbo::exp(p[0]), beta = elbo::exp(p[1]), n = alpha + beta, rest = 1 - x;
    const T e = x * beta - rest * alpha;
    return stirling_error(n) - stirling_error(alpha) - stirling_error(beta) +
           (p[0] + p[1] - elbo::log(n) - T(law::log_2_pi)) / 2 -
           alpha * log1p_excess(e / alpha, x * (n / alpha)) -
           beta * log1p_excess(-e / beta, rest * (n / beta)) - (elbo::log(x) + elbo::log1p(-x));
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    // In double: S'(α) - S'(n) cancels where β is small, and a float would not have the digits.
    const double alpha = std::exp(double(p[0])), beta = std::exp(double(p[1])), n = alpha + beta;
    const double rest = 1 - double(x), e = double(x) * beta - rest * alpha;
    const double slope = stirling_error_slope(n);
    return {T(alpha * log_ratio(e / alpha, double(x) * n / alpha) + beta / (2 * n) -
              alpha * (stirling_error_slope(alpha) - slope)),
            T(beta * log_ratio(-e / beta, rest * n / beta) + alpha / (2 * n) -
              beta * (stirling_error_slope(beta) - slope))};
  }
  template <class T>
  HD T mean(Vec<2, T> p) const {
    return sigmoid(p[0] - p[1]);
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    const Real a = sample_log_gamma(elbo::exp(p[0]), u), b = sample_log_gamma(elbo::exp(p[1]), u);
    constexpr Real least = sizeof(Real) == 4 ? Real(1e-37) : Real(1e-300);
    constexpr Real most = 1 - std::numeric_limits<Real>::epsilon() / 2;
    const Real x = sigmoid(a - b);
    return x < least ? least : x > most ? most : x;
  }
  HD bool valid(Real x) const { return x > 0 && x < 1; }

 private:
  HD static double log_ratio(double y, double w) {
    return y > -0.5 && y < 0.5 ? std::log1p(y) : std::log(w);
  }
};

/// Poisson with raw log-rate η; x = 0, 1, 2, …
///
///     log p(x | η) = x η - e^η - log x!              ∂η = x - e^η
///
/// η in [-20, 12], x to 1e5.  With λ = e^η to more digits than a float has and φ(y) = y - log(1+y):
/// log p = -λ at 0, else -S(x) - ½ log 2πx - x φ((λ-x)/x), S Stirling's error (Loader 2000).
struct Poisson {
  static constexpr int parameters = 1;
  static constexpr const char* data = "whole numbers from 0";

  /// Of linear = {μ}.
  template <class T>
  HD static Observed<1, T> zero(Vec<1, T> linear) {
    return {-linear[0], {-linear[0]}};
  }
  template <class T>
  HD static Observed<1, T> positive(T x, Vec<1, T> p) {
    const Parts<T> rate = exp_parts(p[0]);
    const T d = (x - rate.high) - rate.low;
    return {-stirling_series(x) - (T(law::log_2_pi) + log_from_one(x)) / 2 -
                x * log1p_excess(-d / x, rate.high / x),
            {d}};
  }
  template <class T>
  HD T log_prob(T x, Vec<1, T> p) const {
    const T some = positive(x > 0 ? x : T(1), p).log_prob, none = -elbo::exp(p[0]);
    return x > 0 ? some : none;
  }
  template <class T>
  HD Vec<1, T> score(T x, Vec<1, T> p) const {
    const Parts<T> rate = exp_parts(p[0]);
    return {(x - rate.high) - rate.low};
  }
  template <class T>
  HD T mean(Vec<1, T> p) const {
    return elbo::exp(p[0]);
  }
  template <class Draw>
  HD Real sample(Vec<1> p, Draw& u) const {
    return sample_poisson(elbo::exp(p[0]), u);
  }
  HD bool valid(Real x) const { return law::whole(x); }
};

/// Negative binomial with mean μ = e^a and inverse dispersion θ = e^t: variance μ + μ²/θ;
/// x = 0, 1, 2, …
///
///     log p(x | μ, θ) = log Γ(x+θ) - log Γ(θ) - log x! + θ log θ/(θ+μ) + x log μ/(θ+μ)
///     ∂a = θ (x-μ)/(θ+μ)        ∂t = θ (ψ(x+θ) - ψ(θ) + log θ/(θ+μ) + (μ-x)/(θ+μ))
///
/// a in [-16, 12.5], t in [-10, 16], x to 2e5.  With n = x + θ, u = (x-μ)/(θ+μ), v = -θu/x,
/// φ(y) = y - log(1+y) and S Stirling's error, exactly
///
///     log p = S(n) - S(θ) - S(x) - ½ log(2πx n/θ) - θφ(u) - xφ(v);  -θ log(1 + μ/θ) at 0
///     ∂t = -θφ(u) + x/2n + θ (S'(n) - S'(θ));  x μ/(θ+μ) - θφ(-μ/(θ+μ)) for x = 0, 1
///
/// where nothing large cancels: no Γ is ever formed, and as θ → ∞ it becomes the Poisson.
/// (After Loader 2000.)  Anscombe (1950); for counts of genes Lopez et al. (2018).
struct NegativeBinomial {
  static constexpr int parameters = 2;
  static constexpr const char* data = "whole numbers from 0";

  /// What depends on t alone: itself, θ, 1/θ, S(θ) and S'(θ).
  template <class T>
  struct Dispersion {
    T log, theta, each, error, slope;
  };
  template <class T>
  HD static Dispersion<T> dispersion(T t) {
    const T theta = elbo::exp(t);
    return {t, theta, 1 / theta, stirling_error(theta), stirling_error_slope(theta)};
  }
  /// Of linear = {q, θ}; with q = μ/θ and r = μ/(θ+μ)
  ///
  ///     log p(0) = -θ log(1+q)        ∂a = -θ r        ∂t = -θ (log(1+q) - r)
  template <class T>
  HD static Vec<2, T> linear(Vec<2, T> p) {
    const T theta = elbo::exp(p[1]);
    return {elbo::exp(p[0]) / theta, theta};
  }
  template <class T>
  HD static Observed<2, T> zero(Vec<2, T> linear) {
    const T theta = linear[1];
    const Log1pOf<T> log = log1p_and_excess(linear[0]);
    return {-theta * log.value, {-theta * log.share, -theta * log.excess}};
  }
  template <class T>
  HD static Observed<2, T> positive(T x, Vec<1, T> p, const Dispersion<T>& t) {
    const Parts<T> mu = exp_parts(p[0]);
    const T theta = t.theta, n = theta + x, whole = 1 / (theta + mu.high), each = 1 / x;
    const T d = (x - mu.high) - mu.low, w = n * whole;
    const T of_theta = theta * log1p_excess(d * whole, w);
    const T of_x = x * log1p_excess(-(theta * whole) * (d * each), w * (mu.high * each));
    // At 1 by Γ's recurrence from 0, exactly: the sum would cancel as μ → 0.
    const T of_one = mu.high * whole + zero(Vec<2, T>{mu.high * t.each, theta}).score[1];
    const T of_more = x * (1 / n) / 2 - of_theta + theta * (stirling_series_slope(n) - t.slope);
    return {stirling_series(n) - t.error - stirling_series(x) -
                (T(law::log_2_pi) + (log_from_one(x * n) - t.log)) / 2 - of_theta - of_x,
            {theta * whole * d, x > 1 ? of_more : of_one}};
  }
  template <class T>
  HD static Observed<2, T> positive(T x, Vec<2, T> p) {
    return positive(x, Vec<1, T>{p[0]}, dispersion(p[1]));
  }
  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const T some = positive(x > 0 ? x : T(1), p).log_prob;
    const T none = zero(linear(p)).log_prob;
    return x > 0 ? some : none;
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    const Vec<2, T> some = positive(x > 0 ? x : T(1), p).score;
    const Vec<2, T> none = zero(linear(p)).score;
    return {x > 0 ? some[0] : none[0], x > 0 ? some[1] : none[1]};
  }
  template <class T>
  HD T mean(Vec<2, T> p) const {
    return elbo::exp(p[0]);
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    const Real theta = elbo::exp(p[1]);
    return sample_poisson(elbo::exp(p[0]) * (sample_gamma(theta, u) / theta), u);
  }
  HD bool valid(Real x) const { return law::whole(x); }
};

/// Zero-inflated negative binomial: with probability π = sigmoid(l) a zero, else negative binomial
/// with μ = e^a, θ = e^t; p = (a, l, t); x = 0, 1, 2, …
///
///     log p(x) = log(1-π) + log NB(x)  for x > 0            log p(0) = log(π + (1-π) NB(0))
///     ∂l = -π for x > 0, r - π for x = 0;  r = sigmoid(l - log NB(0)) is the probability that a
///     zero was one of the inflation;  ∂a, ∂t = those of NB, times 1 - r for x = 0
///
/// a, t, x as the negative binomial; |l| ≤ 40.  r - π is taken as
/// r (1-π) (1 - NB(0)).  Lambert (1992); for single cells Lopez et al. (2018).
struct ZeroInflatedNegativeBinomial {
  static constexpr int parameters = 3;
  static constexpr const char* data = "whole numbers from 0";

  /// Of linear = {μ/θ, l, θ}.
  template <class T>
  HD static Vec<3, T> linear(Vec<3, T> p) {
    const Vec<2, T> of_counts = NegativeBinomial::linear(Vec<2, T>{p[0], p[2]});
    return {of_counts[0], p[1], of_counts[1]};
  }
  template <class T>
  HD static Observed<3, T> zero(Vec<3, T> linear) {
    const Observed<2, T> none = NegativeBinomial::zero(Vec<2, T>{linear[0], linear[2]});
    const T l = linear[1], apart = l - none.log_prob, kept = sigmoid(-apart);
    const T top = apart > 0 ? l : none.log_prob;
    return {(top - (l > 0 ? l : T(0))) +
                (log1p_unit(exp_of_negative(-std::abs(apart))) - log_on(l)),
            {kept * none.score[0], -sigmoid(apart) * sigmoid(-l) * elbo::expm1(none.log_prob),
             kept * none.score[1]}};
  }
  template <class T>
  HD static Observed<3, T> positive(T x, Vec<2, T> p, const NegativeBinomial::Dispersion<T>& t) {
    const Observed<2, T> some = NegativeBinomial::positive(x, Vec<1, T>{p[0]}, t);
    const T l = p[1];
    return {some.log_prob - (l > 0 ? l : T(0)) - log_on(l),
            {some.score[0], -sigmoid(l), some.score[1]}};
  }
  template <class T>
  HD static Observed<3, T> positive(T x, Vec<3, T> p) {
    return positive(x, Vec<2, T>{p[0], p[1]}, NegativeBinomial::dispersion(p[2]));
  }
  template <class T>
  HD T log_prob(T x, Vec<3, T> p) const {
    const T some = positive(x > 0 ? x : T(1), p).log_prob;
    const T none = zero(linear(p)).log_prob;
    return x > 0 ? some : none;
  }
  template <class T>
  HD Vec<3, T> score(T x, Vec<3, T> p) const {
    const Vec<3, T> some = positive(x > 0 ? x : T(1), p).score;
    const Vec<3, T> none = zero(linear(p)).score;
    Vec<3, T> all;
    for (int k = 0; k < 3; ++k) all[k] = x > 0 ? some[k] : none[k];
    return all;
  }
  template <class T>
  HD T mean(Vec<3, T> p) const {
    return elbo::exp(p[0]) * sigmoid(-p[1]);
  }
  template <class Draw>
  HD Real sample(Vec<3> p, Draw& u) const {
    if (u.uniform() <= sigmoid(p[1])) return 0;
    return NegativeBinomial{}.sample({p[0], p[2]}, u);
  }
  HD bool valid(Real x) const { return law::whole(x); }

 private:
  /// log(1 + e^-|l|)
  template <class T>
  HD static T log_on(T l) {
    return log1p_unit(exp_of_negative(-std::abs(l)));
  }
};

/// Discretised logistic over x = 0 … L-1 with unit bins and open ends; p = (m, s).
///
///     mean = ½ (L-1) + h m,  scale c = h e^s,  h the least power of two ≥ L/2 (128 for L = 256)
///     b± = (x ± ½ - mean)/c, but b+ = ∞ at L-1 and b- = -∞ at 0
///     log p = log(sigmoid(b+) - sigmoid(b-))
///     ∂m = h/c (sigmoid(b-) - sigmoid(-b+))
///     ∂s = b- sigmoid(b-) - b+ sigmoid(-b+) - [0 < x < L-1] (1/c)/(e^{1/c} - 1)
///
/// |m| ≤ 1.2, c in [0.01, 300] bins.  In the interior log p = -softplus(-b+) - softplus(b-) +
/// log(1 - e^{-1/c}) exactly.  Salimans et al., PixelCNN++ (2017), equation 2.
struct DiscretisedLogistic {
  static constexpr int parameters = 2;
  static constexpr const char* data = "whole numbers from 0 to levels - 1";
  int levels = 256;

  HD int half() const {
    int h = 1;
    while (2 * h < levels) h *= 2;
    return h;
  }
  template <class T>
  HD T log_prob(T x, Vec<2, T> p) const {
    const Bin<T> bin(*this, x, p);
    const T inside = elbo::log(-elbo::expm1(-bin.width));
    return (bin.first ? T(0) : -softplus(bin.below)) + (bin.last ? T(0) : -softplus(-bin.above)) +
           (bin.first || bin.last ? T(0) : inside);
  }
  template <class T>
  HD Vec<2, T> score(T x, Vec<2, T> p) const {
    const Bin<T> bin(*this, x, p);
    const T low = bin.first ? T(0) : sigmoid(bin.below);
    const T high = bin.last ? T(0) : sigmoid(-bin.above);
    // sigmoid(b-) - sigmoid(-b+) by sigmoid(a) - sigmoid(c) = -sigmoid(a) sigmoid(-c) (e^{c-a} -
    // 1).
    const T apart = bin.below + bin.above;
    const T inside = apart > 0 ? -low * sigmoid(bin.above) * elbo::expm1(-apart)
                               : high * sigmoid(-bin.below) * elbo::expm1(apart);
    const bool open = bin.first || bin.last;
    const T rim = open ? T(0) : bin.width / elbo::expm1(bin.width);
    return {bin.width * bin.half * (open ? low - high : inside),
            (bin.first ? T(0) : bin.below * low) - (bin.last ? T(0) : bin.above * high) - rim};
  }
  /// Of the logistic before it was cut into bins, inside the ends.
  template <class T>
  HD T mean(Vec<2, T> p) const {
    const T m = T(levels - 1) / 2 + T(half()) * p[0];
    return m < 0 ? T(0) : m > T(levels - 1) ? T(levels - 1) : m;
  }
  template <class Draw>
  HD Real sample(Vec<2> p, Draw& u) const {
    const Real v = u.uniform(), scale = Real(half()) * elbo::exp(p[1]);
    const Real logit = elbo::log(v) - elbo::log1p(-v);  // infinite at v = 1: the last level
    const Real x = std::floor(Real(levels) / 2 + Real(half()) * p[0] + scale * logit);
    return x < 0 ? Real(0) : x > Real(levels - 1) ? Real(levels - 1) : x;
  }
  HD bool valid(Real x) const { return law::whole(x) && x < Real(levels); }

 private:
  template <class T>
  struct Bin {
    T half, width, below, above;  // width = 1/c
    bool first, last;
    HD Bin(const DiscretisedLogistic& law, T x, Vec<2, T> p)
        : half(T(law.half())), width(elbo::exp(-p[1]) / half) {
      // h m is exact, and so are x - ½ (L - 1) ± ½: one rounding each.
      const T off = x - T(law.levels - 1) / 2, shift = half * p[0];
      below = ((off - T(0.5)) - shift) * width;
      above = ((off + T(0.5)) - shift) * width;
      first = x<T(0.5), last = x> T(law.levels) - T(1.5);
    }
  };
};

/// Mixture of discretised logistics: p = (w₀, m₀, s₀, w₁, m₁, s₁, …), weights π = softmax(w).
///
///     log p(x) = log Σ_j π_j p_j(x)        r_j = π_j p_j(x) / p(x)
///     ∂w_j = r_j - π_j                     ∂(m_j, s_j) = r_j times those of component j
///
/// Components as above.  With m the component of the largest r, δ_j = p_j/p_m - 1 and D = Σ π_j
/// δ_j, r_j - π_j is taken as π_j (δ_j - D)/(1 + D), which keeps its digits where one component
/// explains all.  Salimans et al., PixelCNN++ (2017).
struct DiscretisedLogisticMixture {
  static constexpr const char* data = "whole numbers from 0 to levels - 1";
  static constexpr int most_components = 32;
  int components = 5, levels = 256;

  HD int parameters() const { return 3 * components; }
  template <class T, class P>
  HD T log_prob(T x, const P& p) const {
    T top, weights;
    normaliser(p, top, weights);
    return log_sum(x, p, top) - elbo::log(weights);
  }
  template <class T, class P, class Out>
  HD void score(T x, const P& p, Out&& out) const {
    // In double: the difference of two floats log p_j would not have the digits.
    double top, weights, log_p[most_components];
    normaliser(p, top, weights);
    const DiscretisedLogistic law{levels};
    int m = 0;
    for (int j = 0; j < components; ++j) {
      log_p[j] = law.log_prob(double(x), component(p, j, double()));
      if (double(p[3 * j]) + log_p[j] > double(p[3 * m]) + log_p[m]) m = j;
    }
    const double pivot = log_p[m];
    double sum = 0,
           excess = 0;  // p/p_m, and that less 1 = D: where it is small, this has its digits
    for (int j = 0; j < components; ++j) {
      const double weight = std::exp(double(p[3 * j]) - top) / weights;
      // A component whose weight vanishes may be far above; its share of p is not.
      log_p[j] = log_p[j] - pivot < 500 ? log_p[j] - pivot : 500;
      sum += weight * std::exp(log_p[j]);
      excess += weight * std::expm1(log_p[j]);
    }
    const bool near = excess > -0.5;
    for (int j = 0; j < components; ++j) {
      const double weight = std::exp(double(p[3 * j]) - top) / weights, ratio = std::exp(log_p[j]);
      const double share = weight * (ratio / sum);
      const Vec<2, T> s = law.score(x, component(p, j, T()));
      out[3 * j] = T(weight * ((near ? std::expm1(log_p[j]) - excess : ratio - sum) / sum));
      out[3 * j + 1] = T(share * s[0]);
      out[3 * j + 2] = T(share * s[1]);
    }
  }
  template <class P>
  HD auto mean(const P& p) const {
    using T = std::decay_t<decltype(p[0])>;
    T top, weights, sum = 0;
    normaliser(p, top, weights);
    for (int j = 0; j < components; ++j)
      sum += elbo::exp(T(p[3 * j]) - top) / weights *
             DiscretisedLogistic{levels}.mean(component(p, j, T(0)));
    return sum;
  }
  template <class P, class Draw>
  HD Real sample(const P& p, Draw& u) const {
    Real top, weights;
    normaliser(p, top, weights);
    Real left = u.uniform() * weights;
    int j = 0;
    for (; j + 1 < components; ++j) {
      left -= elbo::exp(p[3 * j] - top);
      if (left <= 0) break;
    }
    return DiscretisedLogistic{levels}.sample(component(p, j, Real(0)), u);
  }
  HD bool valid(Real x) const { return DiscretisedLogistic{levels}.valid(x); }

 private:
  template <class P, class T>
  HD static Vec<2, T> component(const P& p, int j, T) {
    return {T(p[3 * j + 1]), T(p[3 * j + 2])};
  }
  /// The largest w_j, and Σ_j e^{w_j - it}.
  template <class P, class T>
  HD void normaliser(const P& p, T& top, T& weights) const {
    top = p[0];
    for (int j = 1; j < components; ++j) top = p[3 * j] > top ? T(p[3 * j]) : top;
    weights = 0;
    for (int j = 0; j < components; ++j) weights += elbo::exp(T(p[3 * j]) - top);
  }
  /// log Σ_j e^{w_j - top} p_j(x)
  template <class P, class T>
  HD T log_sum(T x, const P& p, T top) const {
    const DiscretisedLogistic law{levels};
    T most = 0, sum = 0;
    for (int j = 0; j < components; ++j) {
      const T t = T(p[3 * j]) - top + law.log_prob(x, component(p, j, x));
      if (j == 0 || t > most) sum = (j == 0 ? T(0) : sum * elbo::exp(most - t)) + 1, most = t;
      else sum += elbo::exp(t - most);
    }
    return most + elbo::log(sum);
  }
};

/// Categorical over x = 0 … A-1 with A logits: letters of DNA (A = 4), grey levels (A = 256).
///
///     log p(x) = p_x - log Σ_k e^{p_k}          ∂p_k = [k = x] - π_k,  π = softmax(p)
///
/// |p_k| ≤ 30.  1 - π_x is summed from the others.  Bishop (2006), section 4.3.4.
struct Categorical {
  static constexpr const char* data = "whole numbers from 0 to classes - 1";
  int classes = 4;

  HD int parameters() const { return classes; }
  template <class T, class P>
  HD T log_prob(T x, const P& p) const {
    // log Σ_k e^{p_k - p_x} = log(1 + the others): exact also where x is all but certain.
    const int at = int(x);
    T top = 0;
    for (int k = 0; k < classes; ++k) top = T(p[k]) - T(p[at]) > top ? T(p[k]) - T(p[at]) : top;
    T others = 0;
    for (int k = 0; k < classes; ++k)
      if (k != at) others += elbo::exp(T(p[k]) - T(p[at]) - top);
    return top > 0 ? -(top + elbo::log(others + elbo::exp(-top))) : -elbo::log1p(others);
  }
  template <class T, class P, class Out>
  HD void score(T x, const P& p, Out&& out) const {
    const int at = int(x);
    T top, sum;
    normaliser(p, top, sum);
    T others = 0;
    for (int k = 0; k < classes; ++k) {
      const T share = elbo::exp(T(p[k]) - top) / sum;
      others += k == at ? T(0) : share;
      out[k] = -share;
    }
    out[at] = others;
  }
  /// The expected number of the class: a level where classes are levels.
  template <class P>
  HD auto mean(const P& p) const {
    using T = std::decay_t<decltype(p[0])>;
    T top, sum, mean = 0;
    normaliser(p, top, sum);
    for (int k = 0; k < classes; ++k) mean += T(k) * (elbo::exp(T(p[k]) - top) / sum);
    return mean;
  }
  template <class P, class Draw>
  HD Real sample(const P& p, Draw& u) const {
    Real top, sum;
    normaliser(p, top, sum);
    Real left = u.uniform() * sum;
    int k = 0;
    for (; k + 1 < classes; ++k) {
      left -= elbo::exp(p[k] - top);
      if (left <= 0) break;
    }
    return Real(k);
  }
  HD bool valid(Real x) const { return law::whole(x) && x < Real(classes); }

 private:
  template <class P, class T>
  HD void normaliser(const P& p, T& top, T& sum) const {
    top = p[0];
    for (int k = 1; k < classes; ++k) top = p[k] > top ? T(p[k]) : top;
    sum = 0;
    for (int k = 0; k < classes; ++k) sum += elbo::exp(T(p[k]) - top);
  }
};

/// Every likelihood.  To add one: a struct above, a word here, a row in tests/kernels.
using Likelihood =
    std::variant<Bernoulli, ContinuousBernoulli, FixedGaussian, Gaussian, Laplace, StudentT, Beta,
                 Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial, DiscretisedLogistic,
                 DiscretisedLogisticMixture, Categorical>;

/// A law whose number of parameters is known at compile time: an epilogue can hold them.
template <class Law>
concept Narrow = requires { typename std::integral_constant<int, Law::parameters>; };

/// A law whose first parameter is the logarithm of a count's rate.
template <class Law>
constexpr bool is_of_counts =
    std::is_same_v<Law, Poisson> || std::is_same_v<Law, NegativeBinomial> ||
    std::is_same_v<Law, ZeroInflatedNegativeBinomial>;

HD int parameters_of(const Likelihood& law) {
  return open(law, []<class Law>(const Law& l) {
    if constexpr (Narrow<Law>) return Law::parameters;
    else return l.parameters();
  });
}
HD bool has_rates(const Likelihood& law) {
  return open(law, []<class Law>(const Law&) { return is_of_counts<Law>; });
}
HD bool is_narrow(const Likelihood& law) {
  return open(law, []<class Law>(const Law&) { return Narrow<Law>; });
}

}  // namespace elbo
