#pragma once
#include "models/config.h"

namespace elbo {

/// The two terms of the evidence lower bound, one row a datum, in nats.  A model without a
/// posterior has no kl.
struct Terms {
  Tensor log_likelihood, kl;
};

/// What an encoder and a decoder stand between: the transform of the data that the encoder sees,
/// and the law of the data given the decoder's numbers.
struct DataModel {
  std::optional<InputTransform> input;
  Likelihood likelihood;
  Tensor side;  // the law's last parameter, [1,C] or [1,1], where the decoder does not give it
  std::string side_name;
  RateScale rates = RateScale::plain;

  Tensor seen(const Tensor& x) const { return input ? transform(x, *input) : x; }
  /// The decoder's numbers [B·S,K·C] as the law takes them: counts relative to the datum's total.
  Tensor parameters(const Tensor& x, const Tensor& theta) const {
    if (rates == RateScale::plain) return theta;
    const int heads = theta.columns() / x.columns();
    return rates == RateScale::size ? size_factor_rates(theta, heads, log_totals(x))
                                    : library_rates(theta, heads, log_totals(x));
  }
  Tensor log_likelihood(const Tensor& x, const Tensor& theta) const {
    return log_prob(likelihood, x, parameters(x, theta), side);
  }
};

}  // namespace elbo
