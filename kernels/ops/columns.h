#pragma once
#include "kernels/matrix.h"

namespace elbo {

/// out [R,A+C] = a [R,A] beside b [R/repeat,C]: row r of b serves `repeat` rows of a.
struct Join {
  Matrix a, b, out;
  int repeat = 1;
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(out, Access::write);
  }
};

struct JoinBody {
  Join op;
  HD void operator()(int r, int c) const {
    const int left = op.a.columns;
    op.out(r, c) = c < left ? op.a(r, c) : op.b(r / op.repeat, c - left);
  }
};

/// out [R,n] = the columns first … first + n - 1 of in.
struct Columns {
  Matrix in, out;
  int first = 0;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

struct ColumnsBody {
  Columns op;
  HD void operator()(int r, int c) const { op.out(r, c) = op.in(r, op.first + c); }
};

}  // namespace elbo
