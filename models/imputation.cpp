#include "models/imputation.h"

#include <algorithm>
#include <cmath>

#include "models/parts.h"
#include "models/scalar_law.h"
#include "runtime/error.h"

namespace elbo {

namespace {

constexpr int predictive = 999;  // draws for an interval: the k-th of each end leave 2k/1000 out

/// A datum while its draws come in: sums under weights relative to the largest so far.
struct Standing {
  std::vector<int> missing;  // columns
  double largest = -INFINITY, total = 0, squares = 0;
  std::vector<double> sums;                 // of a mean; of a categorical's probabilities
  std::vector<std::vector<float>> samples;  // resampled draws of what is missing

  void scale(double by) {
    total *= by, squares *= by * by;
    for (double& s : sums) s *= by;
  }
};

/// What is summed of a scalar: its mean, or the probability of each class.
int width_of_mean(const Likelihood& law) {
  const auto* const classes = std::get_if<Categorical>(&law);
  return classes ? classes->classes : 1;
}

class Imputer {
 public:
  Imputer(const Model& model, const ImputationOptions& options)
      : options_(options),
        law_(model),
        columns_(model.config().observed),
        width_(width_of_mean(law_.likelihood())) {}

  int samples() const { return options_.imputations + (options_.interval > 0 ? predictive : 0); }

  Standing start(std::vector<int> missing) const {
    Standing datum{.missing = std::move(missing), .sums = {}, .samples = {}};
    datum.sums.resize(datum.missing.size() * std::size_t(width_));
    datum.samples.assign(std::size_t(samples()), std::vector<float>(datum.missing.size()));
    return datum;
  }

  /// Draws of z, by their log weights and the law's parameters [draws, K·C].
  void add(Standing& datum, std::uint32_t number, std::uint32_t chunk, const Real* log_weights,
           const Real* parameters, int draws) const {
    double most = datum.largest;
    for (int s = 0; s < draws; ++s) {
      require(!std::isnan(log_weights[s]), "impute: the weights of a datum are not finite");
      most = std::max(most, double(log_weights[s]));
    }
    if (most == -INFINITY) return;
    datum.scale(std::exp(datum.largest - most));
    datum.largest = most;
    std::vector<double> cumulative;  // of this chunk
    double here = 0;
    for (int s = 0; s < draws; ++s) {
      const double w = std::exp(double(log_weights[s]) - most);
      cumulative.push_back(here += w);
      datum.squares += w * w;
      if (w > 0) add_mean(datum, w, row(parameters, s));
    }
    datum.total += here;
    // Each sample comes from this chunk with the chunk's share of the weight so far: in the end,
    // from any draw with its weight.
    for (int i = 0; i < samples(); ++i) {
      const Philox chance = Philox::at(
          std::uint32_t(i), number, std::uint32_t(Stream::resampling) << 24, chunk, options_.seed);
      if (unit(chance.word[0]) * datum.total >= here) continue;
      const auto found =
          std::upper_bound(cumulative.begin(), cumulative.end(), unit(chance.word[1]) * here);
      const int s = int(std::min<std::ptrdiff_t>(found - cumulative.begin(), draws - 1));
      draw(datum.samples[std::size_t(i)], datum, number, std::uint32_t(i), row(parameters, s));
    }
  }

  void finish(const Standing& datum, Imputation& result) const {
    require(datum.total > 0 && std::isfinite(datum.total),
            "impute: the weights of a datum are not finite");
    result.effective.push_back(datum.total * datum.total / datum.squares);
    for (std::size_t m = 0; m < datum.missing.size(); ++m) {
      const auto sums = datum.sums.begin() + std::ptrdiff_t(m) * width_;
      result.mean.push_back(width_ == 1 ? float(*sums / datum.total)
                                        : float(std::max_element(sums, sums + width_) - sums));
    }
    for (int i = 0; i < options_.imputations; ++i) {
      const std::vector<float>& drawn = datum.samples[std::size_t(i)];
      result.drawn[std::size_t(i)].insert(result.drawn[std::size_t(i)].end(), drawn.begin(),
                                          drawn.end());
    }
    if (options_.interval > 0) add_interval(datum, result);
  }

 private:
  /// In [0, 1).
  static double unit(std::uint32_t word) { return word * 0x1p-32; }
  const Real* row(const Real* parameters, int draw) const {
    return parameters + std::size_t(draw) * std::size_t(columns_) * std::size_t(law_.heads());
  }
  const Real* scalar(const Real* row, int column) const {
    return row + std::size_t(column) * std::size_t(law_.heads());
  }

  void add_mean(Standing& datum, double weight, const Real* row) const {
    double* sums = datum.sums.data();
    for (const int c : datum.missing) {
      law_(scalar(row, c), c, [&]<class Law>(const Law& law, const auto& p) {
        if constexpr (std::is_same_v<Law, Categorical>)
          for (int k = 0; k < width_; ++k)
            sums[k] += weight * std::exp(double(law.log_prob(Real(k), p)));
        else *sums += weight * double(law.mean(p));
      });
      sums += width_;
    }
  }

  void draw(std::vector<float>& to, const Standing& datum, std::uint32_t number,
            std::uint32_t sample, const Real* row) const {
    for (std::size_t m = 0; m < datum.missing.size(); ++m) {
      const int c = datum.missing[m];
      to[m] = law_(scalar(row, c), c, [&](const auto& law, const auto& p) {
        ObservationNoise noise{options_.seed, number, std::uint32_t(c), sample};
        return float(law.sample(p, noise));
      });
    }
  }

  void add_interval(const Standing& datum, Imputation& result) const {
    const double beyond = (1 - options_.interval) / 2 * (predictive + 1);
    const std::size_t k = std::size_t(std::max(1.0, std::floor(beyond + 1e-9)));
    std::vector<float> values(predictive);
    for (std::size_t m = 0; m < datum.missing.size(); ++m) {
      for (std::size_t i = 0; i < predictive; ++i)
        values[i] = datum.samples[std::size_t(options_.imputations) + i][m];
      std::sort(values.begin(), values.end());
      result.lower.push_back(values[k - 1]), result.upper.push_back(values[predictive - k]);
    }
  }

  ImputationOptions options_;
  ScalarLaw law_;
  int columns_, width_;
};

}  // namespace

Imputation impute(const Model& model, const Dataset& data, const ImputationOptions& options) {
  require(model.variational(), "impute: the model has no posterior to draw from");
  require(options.samples > 0, "impute: ", options.samples, " samples, expected at least 1");
  require(options.imputations >= 0 && options.imputations < 1 << 20,
          "impute: ", options.imputations, " imputations, expected 0 to 2^20");
  require(options.interval >= 0 && options.interval <= 0.99, "impute: an interval of ",
          options.interval, ", expected a probability up to 0.99");
  Imputation result;
  result.drawn.resize(std::size_t(options.imputations));
  std::vector<long> rows;                 // that miss something
  std::vector<std::vector<int>> missing;  // and what
  for (long r = 0; r < data.rows; ++r) {
    std::vector<int> here;
    data.each_listed(r, [&](int c, float x) {
      if (!std::isnan(x)) return;
      here.push_back(c);
      result.places.push_back(std::size_t(r) * std::size_t(data.columns) + std::size_t(c));
    });
    if (here.empty()) continue;
    rows.push_back(r), missing.push_back(std::move(here));
  }
  if (rows.empty()) return result;

  const Imputer imputer(model, options);
  // At a time: rows of the decoder, whose numbers come to the host; data, with their samples.
  constexpr long most_numbers = 1 << 24, most_rows = 8192, most_draws = 512;
  const long wide = long(observation(model.config()).heads) * data.columns;
  const long held = std::max(1, imputer.samples()) * long(data.columns);
  const int decoded = int(std::clamp(most_numbers / wide, 1L, most_rows));
  const int chunk = int(std::min({long(options.samples), long(decoded), most_draws}));
  const int part = int(std::clamp(most_numbers / held, 1L, long(decoded / chunk)));

  const Dataset incomplete = data.select(rows);
  Batches batches(model.device(), incomplete, 0);
  std::map<std::pair<int, int>, std::unique_ptr<Outputs>> steps;  // by data and draws
  const auto step_for = [&](int count, int draws) -> Outputs& {
    auto& slot = steps[{count, draws}];
    if (!slot)
      slot = make_outputs(batches.device(), [&](Outputs& out) {
        const Tensor x = batches.next(count);
        Pass pass{.noise = evaluation_noise(batches, options.seed),
                  .condition = batches.condition(count)};
        pass.noise.samples = draws;
        const auto [z, log_ratio] = sample_many(model.encode(x, pass.of_data()), pass.noise);
        const DataModel& law = model.data();
        out.second = law.parameters(x, model.decode(z, pass));
        out.first = add(log_prob(law.likelihood, x, out.second, law.side), log_ratio);
      });
    return *slot;
  };
  each_part(batches, 0, part, [&](long first, int count) {
    std::vector<Standing> standing;
    for (int r = 0; r < count; ++r)
      standing.push_back(imputer.start(missing[std::size_t(first + r)]));
    for (int from = 0; from < options.samples; from += chunk) {
      const int draws = std::min(chunk, options.samples - from);
      Outputs& out = step_for(count, draws);
      const auto number = std::uint32_t(from / chunk);
      // The epoch is a counter of the noise: each chunk has draws of its own.
      batches.progress().write({0, number, std::uint32_t(first)});
      (*out.step)();
      const std::vector<Real> log_weights = out.first.read(), parameters = out.second.read();
      for (int r = 0; r < count; ++r)
        imputer.add(standing[std::size_t(r)], std::uint32_t(first + r), number,
                    &log_weights[std::size_t(r) * std::size_t(draws)],
                    &parameters[std::size_t(r) * std::size_t(draws) * std::size_t(wide)], draws);
    }
    for (const Standing& datum : standing) imputer.finish(datum, result);
  });
  return result;
}

std::vector<float> completed(const Dataset& data, const std::vector<std::size_t>& places,
                             const std::vector<float>& numbers) {
  require(places.size() == numbers.size(), "completed: ", numbers.size(), " numbers for ",
          places.size(), " places");
  std::vector<float> all = data.values();
  for (std::size_t i = 0; i < places.size(); ++i) all.at(places[i]) = numbers[i];
  return all;
}

}  // namespace elbo
