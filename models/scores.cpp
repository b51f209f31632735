#include "models/scores.h"

#include <algorithm>
#include <cmath>

#include "models/parts.h"
#include "models/scalar_law.h"
#include "runtime/error.h"

namespace elbo {

namespace {

struct Drawn {
  Tensor log_p, log_ratio, kl, x, parameters;
  std::unique_ptr<Step> step;
};

std::unique_ptr<Drawn> record(const Model& model, Batches& batches, int rows, int draws,
                              const ScoreOptions& options) {
  auto drawn = std::make_unique<Drawn>();
  drawn->step = std::make_unique<Step>(batches.device(), [&] {
    const Tensor x = batches.next(rows);
    Pass pass{.noise = evaluation_noise(batches, options.seed),
              .condition = batches.condition(rows)};
    pass.noise.samples = draws;
    Tensor z = model.encode(x, pass.of_data());
    if (model.variational()) {
      drawn->kl = posterior_kl(z);
      const Draws many = sample_many(z, pass.noise);
      z = many.z, drawn->log_ratio = many.log_ratio;
    }
    const Tensor theta = model.decode(z, pass);
    drawn->log_p = model.data().log_likelihood(x, theta);
    if (options.features) drawn->x = x, drawn->parameters = model.data().parameters(x, theta);
  });
  return drawn;
}

/// Means of one datum's draws, weighed by what comes with them; at any time scaled by the largest
/// weight so far.
struct Weighed {
  double largest = -INFINITY, weights = 0, distortion = 0, log_likelihoods = 0;
  std::vector<double> features;

  /// The weight of a draw, after what was added before is scaled to it.
  double weight(double log_weight) {
    if (log_weight > largest) {
      const double shrink = std::exp(largest - log_weight);
      weights *= shrink, distortion *= shrink;
      for (double& f : features) f *= shrink;
      largest = log_weight;
    }
    return std::exp(log_weight - largest);
  }
};

}  // namespace

Scores scores(const Model& model, Batches& batches, const ScoreOptions& options) {
  require(options.samples > 0, "scores: ", options.samples, " samples, expected at least 1");
  constexpr long most_rows = 8192, most_numbers = 1 << 23;  // of the decoder at a time
  const int samples = model.variational() ? options.samples : 1, columns = batches.columns();
  const ScalarLaw law(model);
  const long decoded = options.features
                           ? std::clamp(most_numbers / (long(law.heads()) * columns), 1L, most_rows)
                           : most_rows;
  const int chunk = int(std::min({long(samples), decoded, 512L}));
  const int part = int(std::max(1L, decoded / chunk));
  batches.in_order();
  std::map<std::pair<int, int>, std::unique_ptr<Drawn>> steps;  // by data and draws

  Scores result;
  each_part(batches, 0, part, [&](long from, int rows) {
    std::vector<Weighed> sums(static_cast<std::size_t>(rows));
    if (options.features)
      for (Weighed& sum : sums) sum.features.assign(std::size_t(columns), 0.0);
    std::vector<Real> kl;
    for (int first = 0; first < samples; first += chunk) {
      const int draws = std::min(chunk, samples - first);
      auto& drawn = steps[{rows, draws}];
      if (!drawn) drawn = record(model, batches, rows, draws, options);
      // The epoch is a counter of the noise: each chunk has draws of its own.
      batches.progress().write({0, std::uint32_t(first / chunk), std::uint32_t(from)});
      (*drawn->step)();
      const std::vector<Real> log_p = drawn->log_p.read();
      std::vector<Real> log_ratio, x, parameters;
      if (drawn->log_ratio) log_ratio = drawn->log_ratio.read(), kl = drawn->kl.read();
      if (options.features) x = drawn->x.read(), parameters = drawn->parameters.read();
      for (std::size_t i = 0; i < log_p.size(); ++i) {
        const std::size_t row = i / std::size_t(draws);
        Weighed& sum = sums[row];
        const double w =
            sum.weight(double(log_p[i]) + (log_ratio.empty() ? 0 : double(log_ratio[i])));
        sum.weights += w;
        sum.distortion -= w * log_p[i];
        sum.log_likelihoods += log_p[i];
        for (std::size_t c = 0; c < sum.features.size(); ++c) {
          const Real value = x[row * sum.features.size() + c];
          if (std::isnan(value)) continue;
          const Real* const given =
              &parameters[(i * sum.features.size() + c) * std::size_t(law.heads())];
          sum.features[c] -= w * law(given, int(c), [&](const auto& of, const auto& p) {
                               return double(of.log_prob(value, p));
                             });
        }
      }
    }
    for (std::size_t r = 0; r < sums.size(); ++r) {
      const Weighed& sum = sums[r];
      result.log_evidence.push_back(sum.largest + std::log(sum.weights / samples));
      result.reconstruction.push_back(sum.distortion / sum.weights);
      if (!kl.empty()) result.elbo.push_back(sum.log_likelihoods / samples - double(kl[r]));
      for (const double f : sum.features) result.features.push_back(float(f / sum.weights));
    }
  });
  return result;
}

}  // namespace elbo
