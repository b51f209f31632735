// The scVI-like model, held against its formulas written out in double: Lopez et al. (2018).
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <string>

#include "models/vae.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

using Table = Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Table values(const Tensor& t) {
  const std::vector<Real> v = t.read();
  Table out(t.rows(), t.columns());
  for (std::size_t i = 0; i < v.size(); ++i) out.data()[i] = v[i];
  return out;
}

Table dense(const Table& x, const Linear& layer) {
  const Table y = (x.matrix() * values(layer.weight).matrix().transpose()).array();
  return y.rowwise() + values(layer.bias).row(0);
}

/// relu of batch norm of a dense layer, of the batch or as estimated.
Table hidden(const Table& x, const Mlp& mlp, bool training) {
  Table y = dense(x, mlp.layers[0]);
  const BatchNorm& norm = mlp.batch_norms[0];
  for (long c = 0; c < y.cols(); ++c) {
    double mean = values(norm.running_mean)(0, c), variance = values(norm.running_variance)(0, c);
    if (training) mean = y.col(c).mean(), variance = (y.col(c) - mean).square().mean();
    y.col(c) = (y.col(c) - mean) / std::sqrt(variance + 1e-3) * values(norm.weight)(0, c) +
               values(norm.bias)(0, c);
  }
  return y.max(0);
}

double log_negative_binomial(double x, double mu, double theta) {
  return std::lgamma(x + theta) - std::lgamma(theta) - std::lgamma(x + 1) +
         theta * std::log(theta / (theta + mu)) + x * std::log(mu / (theta + mu));
}

TEST(Scvi, likelihood_and_kl_are_those_of_its_formulas_in_training_and_in_evaluation) {
  constexpr int cells = 9, genes = 12, units = 3;
  const auto normal = [](int i, std::uint32_t stream) {
    return double(Philox::at(std::uint32_t(i) / 4, 0, stream, 0, 23).normal(i % 4));
  };
  ModelConfig config{.observed = genes, .hidden = {8}, .latent = units};
  config.likelihood = "zinb", config.rates = "library", config.norm = "batch";
  config.norm_epsilon = 1e-3, config.norm_momentum = 0.01;
  const Device device = Device::cpu();
  const Vae vae(device, config, Initialiser(5));
  std::vector<Real> counts, noise, spread;
  for (int i = 0; i < cells * genes; ++i)
    counts.push_back(Real(std::floor(std::exp(1.5 * normal(i, 0)))));
  for (int i = 0; i < cells * units; ++i) noise.push_back(Real(normal(i, 1)));
  for (int i = 0; i < genes; ++i) spread.push_back(Real(normal(i, 2)));
  vae.data.side.write(spread);  // log inverse dispersion of each gene
  const Tensor x(device, {cells, genes}, counts), given(device, {cells, units}, noise);
  for (const bool training : {false, true}) {
    SCOPED_TRACE(training ? "training" : "evaluation");
    const Table seen = (values(x) + 1).log();
    const Table q = dense(hidden(seen, vae.encoder, training), vae.encoder.layers[1]);
    Table z(cells, units);
    std::vector<double> kl(cells), log_p(cells);
    for (int b = 0; b < cells; ++b)
      for (int d = 0; d < units; ++d) {
        const double m = q(b, 2 * d), s = q(b, 2 * d + 1);
        z(b, d) = m + std::exp(s / 2) * values(given)(b, d);
        kl[b] += (m * m + std::exp(s) - 1 - s) / 2;
      }
    const Table out = dense(hidden(z, vae.decoder, training), vae.decoder.layers[1]);
    for (int b = 0; b < cells; ++b) {
      double sum = 0;
      for (int g = 0; g < genes; ++g) sum += std::exp(out(b, 2 * g));
      for (int g = 0; g < genes; ++g) {
        const double mu = values(x).row(b).sum() * std::exp(out(b, 2 * g)) / sum;
        const double zero = 1 / (1 + std::exp(-out(b, 2 * g + 1))), n = values(x)(b, g);
        const double log_nb = log_negative_binomial(n, mu, std::exp(double(spread[g])));
        const double term =
            n > 0 ? std::log1p(-zero) + log_nb : std::log(zero + (1 - zero) * std::exp(log_nb));
        log_p[b] += term;
      }
    }
    const Terms terms = vae(x, {.training = training, .noise = {.given = given.matrix()}});
    const Table got_p = values(terms.log_likelihood), got_kl = values(terms.kl);
    // Two products of a few dozen terms of size 1 and a norm lie between x and a rate: some hundred
    // roundings of a logarithm's size, times counts.
    for (int b = 0; b < cells; ++b) {
      const double total = values(x).row(b).sum();
      EXPECT_NEAR(got_p(b, 0), log_p[b], tolerance::formula(100, std::fabs(log_p[b]) + total));
      EXPECT_NEAR(got_kl(b, 0), kl[b], tolerance::formula(100, kl[b]));
    }
  }
}

}  // namespace
}  // namespace elbo
