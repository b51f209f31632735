#include "models/information.h"

#include <algorithm>
#include <cmath>

#include "kernels/math/divergences.h"
#include "kernels/math/normal.h"
#include "nn/functions.h"
#include "runtime/error.h"

namespace elbo {

namespace {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / double(values.size());
}

/// 1/n Σ (a - mean a)(b - mean b)
double covariance(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean_of(a), mean_b = mean_of(b);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / double(a.size());
}

/// The mean and its standard error, when `fitted` numbers were fitted to the values before; none
/// can be told from a single value.
Estimate mean(const std::vector<double>& values, int fitted = 0) {
  const double freedom = double(values.size()) - 1 - fitted;
  return {mean_of(values),
          freedom > 0 ? std::sqrt(covariance(values, values) / freedom) : INFINITY};
}

/// Means with the help of a control whose mean is known.
struct Control {
  std::vector<double> values;
  double mean;

  double slope(const std::vector<double>& of) const {
    const double variance = covariance(values, values);
    return variance > 0 ? covariance(of, values) / variance : 0;
  }
  Estimate estimate(const std::vector<double>& of, double slope) const {
    std::vector<double> rest;
    for (std::size_t i = 0; i < of.size(); ++i) rest.push_back(of[i] - slope * (values[i] - mean));
    return elbo::mean(rest, 1);
  }
};

/// The variance over data and its standard error: that of the unbiased variance is
/// (μ₄ - (n - 3)/(n - 1) σ⁴)/n.
Estimate variance(const std::vector<double>& values) {
  const double n = double(values.size()), middle = mean_of(values);
  if (n < 2) return {0, INFINITY};
  double second = 0, fourth = 0;
  for (double v : values) second += square(v - middle), fourth += square(square(v - middle));
  const double unbiased = second / (n - 1);
  const double squared = (fourth / n - (n - 3) / (n - 1) * square(unbiased)) / n;
  return {unbiased, std::sqrt(std::max(squared, 0.0))};
}

/// Draws from the posteriors, and log q(z | x) of each under the posterior it comes from, computed
/// from z as it is stored, as log q(z) will be.
struct PosteriorDraws {
  std::vector<Real> z;         // [M,D]
  std::vector<double> own;     // log q(z_m | x_m)
  std::vector<double> priors;  // log p(z_m)
};

PosteriorDraws draw(const Encoded& q, int samples, std::uint64_t seed) {
  const int units = q.units;
  const long count = long(q.mean.size()) / units;
  const auto prior = NormalDensity<double>::of(0, 0);
  PosteriorDraws draws;
  long before = -1;
  std::uint32_t sample = 0;
  for (int m = 0; m < samples; ++m) {
    const std::uint32_t word =
        Philox::at(std::uint32_t(m) / 4, 0, std::uint32_t(Stream::shuffle) << 24, 0, seed)
            .word[m % 4];
    const double at = (m + word * 0x1p-32) / samples * double(count);
    const long datum = std::min(count - 1, long(at));
    sample = datum == before ? sample + 1 : 0;
    before = datum;
    double own = 0, log_prior = 0;
    Philox block;
    for (int d = 0; d < units; ++d) {
      if (d % 4 == 0)
        block = Philox::at(std::uint32_t(d) / 4, std::uint32_t(datum),
                           std::uint32_t(Stream::evaluation) << 24 | sample, 0, seed);
      const float mean = q.mean[datum * units + d], s = q.log_variance[datum * units + d];
      draws.z.push_back(Real(mean) + elbo::exp(Real(s) / 2) * block.normal(d % 4));
      const double z = draws.z.back();
      own += NormalDensity<double>::of(mean, s).log_density(z);
      log_prior += prior.log_density(z);
    }
    draws.own.push_back(own), draws.priors.push_back(log_prior);
  }
  return draws;
}

}  // namespace

int Information::active_units() const {
  return int(std::count_if(units.begin(), units.end(), [](const Unit& u) { return u.active; }));
}
double Information::log_count() const { return std::log(double(count)); }

Information information(const Device& device, const Encoded& q, const InformationOptions& options) {
  const int units = q.units;
  require(units > 0 && !q.mean.empty() && q.mean.size() == q.log_variance.size() &&
              q.mean.size() % std::size_t(units) == 0,
          "information: ", q.mean.size(), " means and ", q.log_variance.size(),
          " log-variances of ", units, " units, expected as many of each, a row a datum");
  const long count = long(q.mean.size()) / units;
  const int samples = options.samples ? options.samples : std::max(3, int(std::min(count, 2000L)));
  require(samples >= 3 && samples / count < 1 << 24, "information: ", samples, " draws from ",
          count, " posteriors, expected at least 3 and at most 2^24 a posterior");

  Information result{.count = count, .samples = samples, .units = {}};
  std::vector<double> rates(count, 0.0);
  for (int d = 0; d < units; ++d) {
    std::vector<double> kl, means;
    for (long n = 0; n < count; ++n) {
      const float mean = q.mean[n * units + d], s = q.log_variance[n * units + d];
      kl.push_back(StandardNormalKl{}.value(Real(mean), Real(s)));
      means.push_back(mean);
      rates[n] += kl.back();
    }
    Information::Unit unit{mean(kl), variance(means)};
    unit.active = unit.mean_variance.value > 0.01;
    result.units.push_back(unit);
  }
  result.rate = mean(rates);

  const PosteriorDraws draws = draw(q, samples, options.seed);
  std::vector<Real> interleaved;
  for (std::size_t i = 0; i < q.mean.size(); ++i)
    interleaved.push_back(Real(q.mean[i])), interleaved.push_back(Real(q.log_variance[i]));
  const Tensor z(device, {samples, units}, draws.z);
  const Tensor posteriors(device, {int(count), 2 * units}, interleaved);
  const Aggregate aggregate = aggregate_posterior(z, posteriors);
  const std::vector<Real> log_q = aggregate.log_q.read();
  const std::vector<Real> log_marginals = aggregate.log_marginals.read();

  Control rate{{}, result.rate.value};
  std::vector<double> mutual, to_prior, correlation, dimensions;
  for (int m = 0; m < samples; ++m) {
    double marginals = 0;
    for (int d = 0; d < units; ++d) marginals += log_marginals[std::size_t(m) * units + d];
    const double joint = log_q[m];
    rate.values.push_back(draws.own[m] - draws.priors[m]);
    mutual.push_back(draws.own[m] - joint);
    to_prior.push_back(joint - draws.priors[m]);
    correlation.push_back(joint - marginals);
    dimensions.push_back(marginals - draws.priors[m]);
  }
  double slope = rate.slope(mutual);
  result.mutual_information = rate.estimate(mutual, slope);
  if (result.mutual_information.value > result.log_count())
    slope = 0, result.mutual_information = rate.estimate(mutual, slope);
  result.aggregate_kl = rate.estimate(to_prior, 1 - slope);
  const double part = rate.slope(correlation);
  result.total_correlation = rate.estimate(correlation, part);
  result.dimension_kl = rate.estimate(dimensions, 1 - slope - part);
  return result;
}

Information information(const Model& model, Batches& batches, const InformationOptions& options) {
  require(model.variational(),
          "information: the model has no posterior; only a vae has a rate to take apart");
  Encoded q = encode(model, batches, options.seed);
  if (options.limit > 0) {
    const std::size_t most = std::min(q.mean.size(), std::size_t(options.limit) * q.units);
    q.mean.resize(most), q.log_variance.resize(most);
  }
  return information(batches.device(), q, options);
}

}  // namespace elbo
