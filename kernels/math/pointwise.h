#pragma once
#include "kernels/math/activations.h"
#include "kernels/math/transforms.h"

namespace elbo {

// Functions of one number, of which formulas on tensors are made (nn/functions.h, pointwise):
// y = value(x) and dy/dx = slope(x, y).

/// y = e^x;  slope y
struct Exp {
  template <class T>
  HD T value(T x) const {
    return elbo::exp(x);
  }
  template <class T>
  HD T slope(T, T y) const {
    return y;
  }
};

/// y = log x, x > 0;  slope 1/x
struct Log {
  template <class T>
  HD T value(T x) const {
    return elbo::log(x);
  }
  template <class T>
  HD T slope(T x, T) const {
    return 1 / x;
  }
};

/// Every such function.  To add one: a struct above, a word here, a row in tests/nn.
using Function = std::variant<Exp, Log, Log1p, Softplus, Sigmoid, Tanh>;

}  // namespace elbo
