#pragma once
#include "kernels/math/pointwise.h"
#include "kernels/matrix.h"

namespace elbo {

/// out = a · b, entry by entry, or a alone; a column [B,1] serves all columns of out.
struct Multiply {
  Matrix a, b, out;
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(out, Access::write);
  }
};

struct MultiplyBody {
  Multiply op;
  HD static Real entry(const Matrix& m, int r, int c) { return m(r, m.columns > 1 ? c : 0); }
  HD void operator()(int r, int c) const {
    op.out(r, c) = entry(op.a, r, c) * (op.b.present() ? entry(op.b, r, c) : Real(1));
  }
};

/// out = f(x), entry by entry; or, where upstream is there, upstream · f'(x), with y = f(x).
struct Pointwise {
  Matrix x, y, upstream, out;
  Function function;
  void views(auto&& visit) {
    visit(x, Access::read), visit(y, Access::read), visit(upstream, Access::read);
    visit(out, Access::write);
  }
};

template <class F>
struct PointwiseBody {
  Pointwise op;
  F function;
  HD void operator()(int r, int c) const {
    const Real x = op.x(r, c);
    op.out(r, c) = op.upstream.present() ? op.upstream(r, c) * function.slope(x, op.y(r, c))
                                         : function.value(x);
  }
};

}  // namespace elbo
