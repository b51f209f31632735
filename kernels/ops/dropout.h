#pragma once
#include "kernels/state.h"

namespace elbo {

/// What dropout multiplies entry (r, c) of a layer by: 0 with the probability p that was asked for,
/// else 1 / (1 - p).  A pure function of the noise's counters, so that nothing is stored: the
/// backward pass draws it again.  Srivastava et al., Dropout (2014).
struct DropoutMask {
  std::uint32_t dropped = 0;  // p 2³²: words below it drop; 0: everything is kept
  Real scale = 1;
  Noise noise;
  // Factors that were drawn beforehand, those of column c at c - given_from; who reads them knows.
  Matrix given{};
  int given_from = 0;

  HD bool present() const { return dropped > 0; }

  /// Its part of one row.
  struct Row {
    std::uint32_t dropped = 0;
    Real scale = 1;
    Noise::Row noise;
    HD Real factor(int c) const { return noise.word(c) >= dropped ? scale : Real(0); }
  };
  HD Row row(int r) const { return {dropped, scale, noise.row(r)}; }
};

/// out = factor · in; of a gradient as of a value.
struct Drop {
  Matrix in, out;
  DropoutMask mask;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

struct DropBody {
  Drop op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const DropoutMask::Row mask = op.mask.row(r);
    team.each(op.in.columns, [&](int c) { op.out(r, c) = mask.factor(c) * op.in(r, c); });
  }
};

}  // namespace elbo
