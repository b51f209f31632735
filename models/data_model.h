#pragma once
#include "models/config.h"

namespace elbo {

/// The two terms of the evidence lower bound, in nats: log_likelihood [B·S,1], S = noise.samples
/// draws a datum, and kl [B,1].  A model without a posterior has no kl; where there is another
/// bound [B,1] to train, the two are only counted.
struct Terms {
  Tensor log_likelihood, kl, bound{};
};

/// What an encoder and a decoder stand between: the transform of the data that the encoder sees,
/// and the law of the data given the decoder's numbers.
struct DataModel {
  std::optional<InputTransform> input;
  Likelihood likelihood;
  Tensor side;  // the law's last parameter, [1,C] or [1,1], where the decoder does not give it
  std::string side_name;
  RateScale rates = RateScale::plain;

  /// What the encoder reads: the data, perhaps corrupted, transformed, with what is given of them.
  Tensor seen(const Tensor& x, const Pass& pass) const {
    const Tensor spoilt = pass.corruption ? corrupt(x, *pass.corruption, pass.noise) : x;
    const Tensor read = input ? transform(spoilt, *input) : spoilt;
    return pass.condition ? join(read, pass.condition) : read;
  }
  /// What the decoder reads.
  static Tensor told(const Tensor& z, const Pass& pass) {
    return pass.condition ? join(z, pass.condition) : z;
  }
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
