#pragma once
#include <array>

#include "kernels/state.h"

namespace elbo {

/// out = value everywhere.
struct Fill {
  Matrix out;
  Scale value;
  void views(auto&& visit) { visit(out, Access::write); }
};

struct FillBody {
  Fill op;
  HD void operator()(int r, int c) const { op.out(r, c) = op.value.value(); }
};

/// out = α a + β b (b may be absent); a, b, out alike.
struct Add {
  Matrix a, b, out;
  Real alpha = 1, beta = 1;
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(out, Access::write);
  }
};

struct AddBody {
  Add op;
  HD void operator()(int r, int c) const {
    op.out(r, c) = op.alpha * op.a(r, c) + (op.b.present() ? op.beta * op.b(r, c) : Real(0));
  }
};

/// out [1,n] = the sums of in [B,n] over rows, or [1,1]: over everything; or added to out.
struct ColumnSum {
  Matrix in, out;
  bool accumulate = false;
  void views(auto&& visit) {
    visit(in, Access::read), visit(out, accumulate ? Access::update : Access::write);
  }
};

/// out [B,1] = the sums of in [B,n] over columns.
struct RowSum {
  Matrix in, out;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

struct RowSumBody {
  RowSum op;
  HD Real operator()(int r, int c) const { return op.in(r, c); }
};

/// loss [1,1] = Σ_i weight_i · mean over rows of (sum of a row of term i), in nats per datum.
///
/// totals (in device memory, double) grow by the unweighted sums, totals[count] by the rows, so
/// that the host may read an epoch's means whenever it likes.
struct Objective {
  static constexpr int most = 4;
  std::array<Matrix, most> terms;
  std::array<Scale, most> weights;
  int count = 0;
  Matrix loss;
  double* totals = nullptr;
  void views(auto&& visit) {
    for (int i = 0; i < count; ++i) visit(terms[i], Access::read);
    visit(loss, Access::write);
  }
};

/// Moves the step counter and the place in the epoch on.
struct Advance {
  StepState* state = nullptr;
  int rows = 0;
  void views(auto&&) {}
  HD void move() const { ++state->step, state->position += std::uint32_t(rows); }
};

/// What the last operation of a step may do besides: the objective, and then the counters.
struct Tail {
  Objective objective;  // of no terms: none
  Advance advance;      // without a state: none
  void views(auto&& visit) {
    if (objective.count > 0) objective.views(visit);
  }
};

}  // namespace elbo
