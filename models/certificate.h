#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace elbo {

/// A number that is known from elsewhere, and what this build makes of it on a device.
struct Check {
  std::string group, claim;
  double expected, got, tolerance;  // tolerance: the largest |got - expected|

  bool passed() const { return std::abs(got - expected) <= tolerance; }  // a NaN does not
};

struct CertifyOptions {
  double draws = 1;   // times the usual number, wherever something is drawn
  bool full = false;  // sums and integrates the laws for more parameters
};

/// Holds the library, on that device, against what is known exactly: every likelihood and its
/// scores; the divergence; ELBO ≤ IWAE ≤ log p where all three have values; how the KL decomposes;
/// the likelihood of principal components; the variances of two gradient estimators; the random
/// numbers; and that the same training gives the same bits.
///
/// `made`, when given, sees each check as it is made.  Seeds are fixed: a device always gives the
/// same numbers.  What is random lies within 3 of its own standard errors.
std::vector<Check> certify(const Device&, const CertifyOptions& = {},
                           const std::function<void(const Check&)>& made = {});

}  // namespace elbo
