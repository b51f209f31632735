#include "models/two_domains.h"

namespace elbo {

Terms TwoDomains::operator()(const Tensor& x, const Pass& pass) const {
  const Pass of_data = pass.of_data();
  if (!pass.training) {
    const auto [z, kl] = sample_posterior(encode(x, of_data), pass.noise);
    return {log_likelihood(x, z, pass), kl};
  }
  require(pass.noise.samples == 1, "two domains: ", pass.noise.samples,
          " draws a datum, the bound is made of 1");
  const Tensor x_a = of_a(x), x_b = of_b(x);
  const Tensor expert_a = a.encode(x_a, of_data), expert_b = b.encode(x_b, of_data);
  const Tensor there_a = count_present(x_a), there_b = count_present(x_b);
  const Tensor nothing(x.device(), {x.rows(), 1});
  // The three bounds draw numbers of their own.
  Noise noise = pass.noise;
  const auto draw = [&](const Tensor& in_a, const Tensor& in_b) {
    const Sampled drawn =
        sample_posterior(product_of_experts(expert_a, expert_b, in_a, in_b), noise);
    ++noise.first_sample;
    return drawn;
  };
  const auto [z, kl] = draw(there_a, there_b);
  const Tensor log_likelihood = add(a.log_likelihood(x_a, z, pass), b.log_likelihood(x_b, z, pass));
  const auto [z_a, kl_a] = draw(there_a, nothing);
  const auto [z_b, kl_b] = draw(nothing, there_b);
  const Tensor alone = add(a.log_likelihood(x_a, z_a, pass), b.log_likelihood(x_b, z_b, pass));
  const Tensor rates = add(kl, add(kl_a, kl_b));
  return {log_likelihood, kl, add(add(log_likelihood, alone), rates, 1, -pass.kl_weight)};
}

}  // namespace elbo
