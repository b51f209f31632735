#pragma once
#include <variant>

#include "kernels/math/numerics.h"

namespace elbo {

// Every activation: y = value(x) and dy/dx = slope(x, y), of the input x and the value y.
// Where `needs_input` is false the slope is a function of y alone, and x need not be kept.

/// y = x
struct Identity {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return x;
  }
  template <class T>
  HD T slope(T, T) const {
    return 1;
  }
};

/// y = max(x, 0);  slope 1 where y > 0, else 0 (as PyTorch at x = 0).
struct Relu {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return x < 0 ? T(0) : x;  // keeps a NaN
  }
  template <class T>
  HD T slope(T, T y) const {
    return y > 0 ? T(1) : T(0);
  }
};

/// y = x for x > 0, else x / 100
struct LeakyRelu {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return x > 0 ? x : T(0.01) * x;
  }
  template <class T>
  HD T slope(T, T y) const {
    return y > 0 ? T(1) : T(0.01);
  }
};

/// y = x for x > 0, else e^x - 1;  slope 1 or y + 1.  Clevert et al. (2016).
struct Elu {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return x > 0 ? x : elbo::expm1(x);
  }
  template <class T>
  HD T slope(T, T y) const {
    return y > 0 ? T(1) : y + 1;
  }
};

/// y = tanh x;  slope (1 - y)(1 + y)
struct Tanh {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return elbo::tanh(x);
  }
  template <class T>
  HD T slope(T, T y) const {
    return (1 - y) * (1 + y);
  }
};

/// y = 1 / (1 + e^-x);  slope y (1 - y)
struct Sigmoid {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return sigmoid(x);
  }
  template <class T>
  HD T slope(T, T y) const {
    return y * (1 - y);
  }
};

/// y = log(1 + e^x);  slope sigmoid(x) = 1 - e^-y
struct Softplus {
  static constexpr bool needs_input = false;
  template <class T>
  HD T value(T x) const {
    return softplus(x);
  }
  template <class T>
  HD T slope(T, T y) const {
    return -elbo::expm1(-y);
  }
};

/// y = x sigmoid(x);  slope s (1 + x (1 - s)), s = sigmoid(x), 1 - s = sigmoid(-x)
struct Silu {
  static constexpr bool needs_input = true;
  template <class T>
  HD T value(T x) const {
    return x * sigmoid(x);
  }
  template <class T>
  HD T slope(T x, T) const {
    const T s = sigmoid(x);
    return s * (1 + x * sigmoid(-x));
  }
};

/// y = x Φ(x), Φ the normal distribution function;  slope Φ(x) + x φ(x).  Hendrycks & Gimpel
/// (2016).
struct Gelu {
  static constexpr bool needs_input = true;
  template <class T>
  HD T value(T x) const {
    return x / 2 * std::erfc(x * T(-0.70710678118654752440));
  }
  template <class T>
  HD T slope(T x, T) const {
    return std::erfc(x * T(-0.70710678118654752440)) / 2 +
           x * T(0.39894228040143267794) * elbo::exp(-x * x / 2);
  }
};

/// Every activation.  To add one: a struct above, a word here, a row in tests/kernels.
using Activation =
    std::variant<Identity, Relu, LeakyRelu, Elu, Tanh, Sigmoid, Softplus, Silu, Gelu>;

/// Any of them, chosen at run time: one kernel serves all.
struct AnyActivation {
  Activation activation;
  template <class T>
  HD T value(T x) const {
    return open(activation, [&](const auto& a) { return a.value(x); });
  }
  template <class T>
  HD T slope(T x, T y) const {
    return open(activation, [&](const auto& a) { return a.slope(x, y); });
  }
};

inline bool needs_input(const Activation& activation) {
  return open(activation, [](const auto& a) { return a.needs_input; });
}

}  // namespace elbo
