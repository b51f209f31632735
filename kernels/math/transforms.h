#pragma once
#include <variant>

#include "kernels/math/numerics.h"

namespace elbo {

// What a network reads of a datum: an entry x becomes `width` numbers, value(x, 0 … width - 1).
// A missing entry (NaN) becomes zeros, whatever the transform.

/// log(1 + x), of counts;  slope 1/(1 + x)
struct Log1p {
  HD int width() const { return 1; }
  HD Real value(Real x, int) const { return elbo::log1p(x); }
  template <class T>
  HD T value(T x) const {
    return elbo::log1p(x);
  }
  template <class T>
  HD T slope(T x, T) const {
    return 1 / (1 + x);
  }
};

/// 1 in the place of the class that x names, 0 … classes - 1; zeros if it names none.
struct OneHot {
  int classes = 2;
  HD int width() const { return classes; }
  HD Real value(Real x, int k) const { return x == Real(k) ? 1 : 0; }
};

/// scale · x + shift
struct Affine {
  Real scale = 1, shift = 0;
  HD int width() const { return 1; }
  HD Real value(Real x, int) const { return scale * x + shift; }
};

/// x, and 1 to say that it is there: so that a 0 is told from a missing entry.
struct Indicated {
  HD int width() const { return 2; }
  HD Real value(Real x, int k) const { return k == 0 ? x : Real(1); }
};

/// Every transform.  To add one: a struct above, a word here, a row in its test.
using InputTransform = std::variant<Log1p, OneHot, Affine, Indicated>;

inline int width_of(const InputTransform& transform) {
  return open(transform, [](const auto& t) { return t.width(); });
}

}  // namespace elbo
