#pragma once

namespace elbo {

/// Which epoch of a training is the best, and when to stop waiting for a better one.
///
/// An epoch is judged by a number that rises, as the validation ELBO with its KL unweighted does;
/// those up to `warm_up` are not, since there the weight of the KL is still rising.
class EarlyStopping {
 public:
  /// patience: the epochs without a better one after which it is over; 0: never.
  explicit EarlyStopping(int warm_up = 0, int patience = 0)
      : warm_up_(warm_up), patience_(patience) {}

  /// The next epoch's number.  True if it is the best so far; of equals the first is.
  bool saw(double value) {
    if (++epoch_ <= warm_up_ || (best_ > 0 && !(value > value_))) return false;
    best_ = epoch_, value_ = value;
    return true;
  }
  /// The best epoch, from 1, and its number; 0: none is judged yet.
  int best() const { return best_; }
  double value() const { return value_; }
  int patience() const { return patience_; }
  bool over() const { return patience_ > 0 && best_ > 0 && epoch_ - best_ >= patience_; }

 private:
  int warm_up_, patience_, epoch_ = 0, best_ = 0;
  double value_ = 0;
};

}  // namespace elbo
