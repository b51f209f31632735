#pragma once
#include "kernels/math/activations.h"
#include "kernels/matrix.h"

namespace elbo {

// A dense layer y = activation(x Wᵀ + b):  x [B,I]  W [O,I]  b [1,O]  y [B,O].
// The products are the skeleton's; what follows each of them stands here.

/// out = in, or out += in.
struct Store {
  Matrix in, out;
  bool accumulate = false;

  void views(auto&& visit) {
    visit(in, Access::read), visit(out, accumulate ? Access::update : Access::write);
  }
};

struct StoreBody {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  Store op;
  HD void operator()(int r, int c, Vec<1> v) const {
    op.out(r, c) = op.accumulate ? op.out(r, c) + v[0] : v[0];
  }
};

/// out = activation(in + bias); keeps in + bias in `pre` when it is there (SiLU and GELU need it).
struct BiasActivate {
  Matrix in, bias, pre, out;
  Activation activation;

  void views(auto&& visit) {
    visit(in, Access::read), visit(bias, Access::read);
    visit(pre, Access::write), visit(out, Access::write);
  }
};

template <class Act>
struct BiasActivateBody {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  BiasActivate op;
  Act activation;
  HD void operator()(int r, int c, Vec<1> v) const {
    const Real x = v[0] + op.bias(0, c);
    if (op.pre.present()) op.pre(r, c) = x;
    op.out(r, c) = activation.value(x);
  }
};

/// out = d · slope(pre, y), the gradient of a layer's pre-activation from that of its output y:
/// d = in + share · plus, where plus is the part of a sum that bypassed the layer; keeps d in
/// `stored` when it is there.
struct ActivationGradient {
  Matrix in, plus, pre, y, stored, out;
  Real share = 1;
  Activation activation;

  void views(auto&& visit) {
    visit(in, Access::read), visit(plus, Access::read), visit(pre, Access::read);
    visit(y, Access::read), visit(stored, Access::write), visit(out, Access::write);
  }
};

template <class Act>
struct ActivationGradientBody {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  ActivationGradient op;
  Act activation;
  HD void operator()(int r, int c, Vec<1> v) const {
    const Real d = op.plus.present() ? v[0] + op.share * op.plus(r, c) : v[0];
    if (op.stored.present()) op.stored(r, c) = d;
    const Real y = op.y(r, c), x = op.pre.present() ? op.pre(r, c) : y;
    op.out(r, c) = d * activation.slope(x, y);
  }
};

}  // namespace elbo
