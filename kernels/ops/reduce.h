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

/// out = α a + β b + γ (b may be absent); a, b, out alike.
struct Add {
  Matrix a, b, out;
  Real alpha = 1, beta = 1, gamma = 0;
  void views(auto&& visit) {
    visit(a, Access::read), visit(b, Access::read), visit(out, Access::write);
  }
};

struct AddBody {
  Add op;
  HD void operator()(int r, int c) const {
    op.out(r, c) = op.alpha * op.a(r, c) + (op.b.present() ? op.beta * op.b(r, c) : op.gamma);
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
/// totals (in device memory, double) grow by the unweighted sums, totals[count] by the rows: the
/// means of an epoch.  With a state, a loss that is not finite halts the training there at the
/// step's end (Advance), and outcomes, a ring in memory that the host reads, get what the step
/// came to.
struct Objective {
  static constexpr int most = Outcome::most;
  std::array<Matrix, most> terms;
  std::array<Scale, most> weights;
  int count = 0;
  Matrix loss;
  double* totals = nullptr;
  StepState* state = nullptr;
  Outcome* outcomes = nullptr;  // only with a state
  void views(auto&& visit) {
    for (int i = 0; i < count; ++i) visit(terms[i], Access::read);
    visit(loss, Access::write);
  }
  /// Where this step's outcome belongs.
  HD Outcome* outcome() const {
    return outcomes ? outcomes + state->step % Outcome::kept : nullptr;
  }
  HD void judge(double value) const {
    if (state && !(value - value == 0)) state->failed = 1;  // an infinity or NaN
  }
};

/// Dual ascent on the weight β of the KL, so that a mean comes to stand at its bound:
///
///     log β += rate · clamp(v, -1, 1)
///
///     rate R at most C nats          v = (R - C) / C
///     distortion D at most D*        v = (D* - D) / max(β R, 1/8)        D = -log-likelihood
///
/// R and D are the batch's means, worked out from what the objective's totals grew by: sums of the
/// log-likelihood and of the KL, and the rows of the former (`samples` a datum).  Both v's are
/// relative to what a step of log β changes: dD = -β dR.  β stays within e^±12.
///
/// Source: Rezende & Viola, Taming VAEs (2018), there for λ = 1 / β.
struct Ascent {
  enum class Bounds { rate, distortion };
  Multiplier* weight = nullptr;  // null: there is none
  const double* totals = nullptr;
  int rows_at = 2;  // where the totals count the rows
  int samples = 1;
  Bounds bounds = Bounds::rate;
  double bound = 0;
  Scale rate{.factor = 0};

  HD void move() const {
    const volatile double* const now = totals;  // another block has just written them
    Multiplier& w = *weight;
    const double rows = now[rows_at] - w.rows;
    if (!(rows > 0)) return;
    const double distortion = -(now[0] - w.log_likelihood) / rows;
    const double nats = (now[1] - w.kl) * samples / rows;
    w.log_likelihood = now[0], w.kl = now[1], w.rows = now[rows_at];
    const double scale = double(w.value) * nats;
    double v = bounds == Bounds::rate ? (nats - bound) / bound
                                      : (bound - distortion) / (scale > 0.125 ? scale : 0.125);
    v = v > 1 ? 1 : v < -1 ? -1 : v;
    const double log_value = w.log_value + double(rate.value()) * v;
    w.log_value = log_value > 12 ? 12 : log_value < -12 ? -12 : log_value;
    w.value = Real(std::exp(w.log_value));
    w.log_total += w.log_value, w.moves += 1;
  }
};

/// Moves the step counter and the place in the epoch on, and before that a weight that is found.
/// After a step whose objective was not finite, no step does any more: its own updates may have
/// been made while the objective was summed, so it is taken to its end.
struct Advance {
  StepState* state = nullptr;
  int rows = 0;
  Ascent ascent{};
  void views(auto&&) {}
  HD void move() const {
    if (halted(state)) return;
    if (ascent.weight) ascent.move();
    ++state->step, state->position += std::uint32_t(rows);
    const volatile std::uint32_t& failed = state->failed;  // another block may have written it
    if (failed) state->halted = state->step;
  }
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
