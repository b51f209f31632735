#pragma once
#include <algorithm>
#include <optional>
#include <vector>

namespace elbo {

/// Finds the fastest of several ways to do the same: each is tried twice, in turns, and its better
/// time counts, so that one disturbance decides nothing.  A way alone is the fastest untried.
class Fastest {
 public:
  explicit Fastest(int ways) : best_(std::size_t(ways)) {}

  /// The way to try next; none where that is over.
  std::optional<int> next() const {
    const int ways = int(best_.size());
    return ways > 1 && tried_ < 2 * ways ? std::optional(tried_ % ways) : std::nullopt;
  }
  /// How long next() took.
  void took(double seconds) {
    double& best = best_[std::size_t(tried_) % best_.size()];
    best = tried_++ < int(best_.size()) ? seconds : std::min(best, seconds);
  }
  /// The first of the fastest; the first of all for as long as there is one to try.
  int way() const {
    return next() ? 0 : int(std::min_element(best_.begin(), best_.end()) - best_.begin());
  }

 private:
  std::vector<double> best_;
  int tried_ = 0;
};

}  // namespace elbo
