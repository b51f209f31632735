#pragma once
#include <vector>

#include "kernels/math/update_rules.h"
#include "kernels/ops/gather.h"
#include "kernels/ops/reduce.h"
#include "kernels/state.h"

namespace elbo {

/// One step of an update rule: w, m and v change by the gradient `in`, times `clip` if present.
///
/// All [rows, columns] alike.  The rate is the schedule's at the step counter; t = step + 1.  If
/// its state is halted, nothing changes.
struct Update {
  Matrix in, w, m, v, clip;
  UpdateRule rule;
  Scale rate;

  void views(auto&& visit) {
    visit(in, Access::read), visit(clip, Access::read);
    visit(w, Access::update), visit(m, Access::update), visit(v, Access::update);
  }
};

template <class Rule>
struct UpdateBody {
  static constexpr int width = 1;
  static constexpr bool sums = false;
  Update op;
  Rule rule;
  typename Rule::Now now;
  Real clip;

  HD UpdateBody(const Update& op, const Rule& rule)
      : op(op),
        rule(rule),
        now(rule.now(op.rate.value(), (op.rate.state ? op.rate.state->step : 0) + 1)),
        clip(op.clip.present() ? op.clip(0, 0) : Real(1)) {}
  HD void operator()(int r, int c, Vec<1> g) const {
    rule.step(now, clip * g[0], op.w(r, c), op.m(r, c), op.v(r, c));
  }
};

/// Every parameter at once, from stored gradients.
struct UpdateAll {
  std::vector<Update> updates;
  void views(auto&& visit) {
    for (Update& u : updates) u.views(visit);
  }
};

/// scale = min(1, limit / ‖all gradients‖₂), the norm over all of them together.
/// squares [1, gradients] holds each one's sum of squares.  Pascanu et al. (2013).
struct ClipScale {
  std::vector<Matrix> gradients;
  Matrix squares, scale;
  Real limit = 1;
  void views(auto&& visit) {
    for (Matrix& g : gradients) visit(g, Access::read);
    visit(squares, Access::write), visit(scale, Access::write);
  }
};

/// Where a weight's gradient goes: into memory, into the weight, or both.
struct Sink {
  Matrix gradient;
  bool accumulate = false;
  bool updates = false;
  Update update;
  void views(auto&& visit) {
    visit(gradient, accumulate ? Access::update : Access::write);
    if (updates) update.views(visit);
  }
};

/// The gradients of a dense layer's parameters: W [O,I] gets dyᵀ x, b [1,O] the column sums of dy.
/// Without x there is a b alone: any parameter whose gradient is a column sum, of a row even.
struct WeightGradient {
  Matrix dy, x;
  Sink weight, bias;
  Real unit = 0;  // of x, as Product's of a
  Lists lists{};  // where present, x is these, and has no memory of its own
  bool bias_alone() const { return !x.present() && !lists.present(); }
  void views(auto&& visit) {
    visit(dy, Access::read), visit(lists.present() ? lists.memory : x, Access::read);
    weight.views(visit), bias.views(visit);
  }
};

/// All of a step's in one launch; they depend on nothing of each other.
struct WeightGradients {
  std::vector<WeightGradient> layers;
  Tail tail{};
  void views(auto&& visit) {
    for (WeightGradient& l : layers) l.views(visit);
    tail.views(visit);
  }
};

}  // namespace elbo
