#pragma once
#include "kernels/math/transforms.h"
#include "kernels/matrix.h"

namespace elbo {

/// out [B,C·width]: the numbers of entry (b, c) of in [B,C] side by side.
struct Transform {
  Matrix in, out;
  InputTransform kind;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

template <class Kind>
struct TransformBody {
  Transform op;
  Kind kind;
  HD void operator()(int r, int c) const {
    const Real x = op.in(r, c);
    for (int k = 0; k < kind.width(); ++k) {
      const Real value = kind.value(x, k);  // asked for in any case: the loop vectorises
      op.out(r, c * kind.width() + k) = x == x ? value : Real(0);
    }
  }
};

}  // namespace elbo
