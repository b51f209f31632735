#pragma once
#include "kernels/state.h"

namespace elbo {

/// How data are spoilt before the encoder sees them, each entry by itself:
///
///     gaussian    x + amount · ε                           ε standard normal
///     mask        missing (NaN) with probability `amount`
///     salt        with probability `amount` low or high, each as likely; else x
///
/// What is missing stays missing.  Vincent et al., Extracting and Composing Robust Features with
/// Denoising Autoencoders (2008).
struct Corruption {
  enum class Kind { gaussian, mask, salt };
  Kind kind = Kind::gaussian;
  Real amount = 0, low = 0, high = 1;

  HD Real value(Real x, const Noise::Row& noise, int c) const {
    if (!(x == x)) return x;
    const Philox block = noise.block(c);
    if (kind == Kind::gaussian) return x + amount * block.normal(c % 4);
    // The upper 31 bits decide whether, the last one which.
    const std::uint32_t word = block.word[c % 4];
    if (Real(word >> 1) >= amount * Real(2147483648.0)) return x;
    if (kind == Kind::mask) return std::numeric_limits<Real>::quiet_NaN();
    return word & 1 ? high : low;
  }
};

/// out = in, corrupted: a function of the noise's counters, in every epoch another.
struct Corrupt {
  Matrix in, out;
  Corruption how;
  Noise noise;
  void views(auto&& visit) { visit(in, Access::read), visit(out, Access::write); }
};

struct CorruptBody {
  Corrupt op;
  HD void operator()(int r, int c) const {
    op.out(r, c) = op.how.value(op.in(r, c), op.noise.row(r), c);
  }
};

}  // namespace elbo
