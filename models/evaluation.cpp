#include "models/evaluation.h"

#include <algorithm>
#include <cmath>

#include "kernels/math/divergences.h"
#include "models/iwae.h"
#include "models/parts.h"
#include "runtime/error.h"

namespace elbo {

namespace {

void append(std::vector<float>& to, const std::vector<Real>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

Means evaluate(const Model& model, Batches& batches, std::uint64_t seed, long limit, int batch) {
  batches.in_order();
  StepBySize steps([&](int rows) {
    return make_outputs(batches.device(), [&](Outputs& out) {
      const Terms terms = model(batches.next(rows), {.noise = evaluation_noise(batches, seed),
                                                     .condition = batches.condition(rows)});
      out.first = terms.log_likelihood, out.second = terms.kl;
    });
  });
  double log_likelihood = 0, kl = 0;
  Means means;
  means.count = each_part(batches, limit, batch, [&](long, int rows) {
    Outputs& out = steps(rows);
    (*out.step)();
    for (Real v : out.first.read()) log_likelihood += v;
    if (out.second)
      for (Real v : out.second.read()) kl += v;
  });
  means.log_likelihood = log_likelihood / double(means.count);
  means.kl = kl / double(means.count);
  means.elbo = means.log_likelihood - means.kl;
  return means;
}

Nll importance_nll(const Model& model, Batches& batches, int samples, std::uint64_t seed,
                   long limit) {
  require(model.variational(), "importance sampling: the model has no posterior to draw from");
  require(samples > 0, "importance sampling: ", samples, " samples, expected at least 1");
  constexpr int most_rows = 8192;  // of the decoder at a time
  const int chunk = std::min(samples, 512), part = std::max(1, most_rows / chunk);
  batches.in_order();
  // By data and draws, of which the last part has fewer: four steps, whatever S is.
  std::map<std::pair<int, int>, std::unique_ptr<Outputs>> steps;
  const auto step_for = [&](int rows, int drawn) -> Outputs& {
    auto& slot = steps[{rows, drawn}];
    if (!slot)
      slot = make_outputs(batches.device(), [&](Outputs& out) {
        const Tensor x = batches.next(rows);
        Noise noise = evaluation_noise(batches, seed);
        noise.samples = drawn;
        out.first =
            importance_weighted(model, x, {.noise = noise, .condition = batches.condition(rows)})
                .bound;
      });
    return *slot;
  };
  double sum = 0, squares = 0;
  const long count = each_part(batches, limit, part, [&](long from, int rows) {
    std::vector<double> largest(rows, -INFINITY), total(rows, 0.0);
    for (int first = 0; first < samples; first += chunk) {
      const int drawn = std::min(chunk, samples - first);
      Outputs& out = step_for(rows, drawn);
      // The epoch is a counter of the noise: each chunk has draws of its own.
      batches.progress().write({0, std::uint32_t(first / chunk), std::uint32_t(from)});
      (*out.step)();
      const std::vector<Real> bounds = out.first.read();
      for (int r = 0; r < rows; ++r) {
        const double b = bounds[std::size_t(r)], most = std::max(largest[r], b);
        total[r] = total[r] * std::exp(largest[r] - most) + drawn * std::exp(b - most);
        largest[r] = most;
      }
    }
    for (int r = 0; r < rows; ++r) {
      const double nll = -(largest[r] + std::log(total[r] / samples));
      sum += nll, squares += nll * nll;
    }
  });
  const double mean = sum / double(count);
  const double variance = count > 1 ? (squares - sum * mean) / double(count - 1) : 0;
  return {mean, std::sqrt(std::max(variance, 0.0) / double(count)), samples, count};
}

Encoded encode(const Model& model, Batches& batches, std::uint64_t seed) {
  batches.in_order();
  StepBySize steps([&](int rows) {
    return make_outputs(batches.device(), [&](Outputs& out) {
      out.first = model.encode(batches.next(rows), {.condition = batches.condition(rows)});
      if (model.variational())
        out.second = sample_posterior(out.first, evaluation_noise(batches, seed)).z;
    });
  });
  Encoded result{.mean = {}, .log_variance = {}, .sample = {}, .units = model.config().latent};
  each_part(batches, 0, 512, [&](long, int rows) {
    Outputs& out = steps(rows);
    (*out.step)();
    const std::vector<Real> q = out.first.read();
    if (!model.variational()) return append(result.mean, q);
    for (std::size_t i = 0; i < q.size(); i += 2) {
      result.mean.push_back(float(q[i]));
      result.log_variance.push_back(float(q[i + 1]));
    }
    append(result.sample, out.second.read());
  });
  return result;
}

std::vector<double> kl_per_unit(const Encoded& encoded) {
  std::vector<double> kl(std::size_t(encoded.units));
  if (encoded.log_variance.empty()) return {};
  for (std::size_t i = 0; i < encoded.mean.size(); ++i)
    kl[i % kl.size()] +=
        StandardNormalKl{}.value(Real(encoded.mean[i]), Real(encoded.log_variance[i]));
  for (double& k : kl) k /= double(encoded.mean.size() / kl.size());
  return kl;
}

std::vector<Real> decode(const Model& model, const std::vector<float>& z,
                         const std::vector<float>& told) {
  const int units = model.config().latent;
  require(z.size() % std::size_t(units) == 0, "decode: ", z.size(),
          " numbers are not whole rows of ", units, " latent units");
  constexpr std::size_t part = 512;
  const std::size_t rows = z.size() / std::size_t(units);
  const std::size_t width = std::size_t(width_of(model.config().conditions));
  require(told.size() == width || told.size() == rows * width, "decode: ", told.size(),
          " given numbers, the model is told ", width, " of each of ", rows, " rows");
  std::vector<Real> theta;
  for (std::size_t first = 0; first < rows; first += part) {
    const std::size_t n = std::min(part, rows - first);
    const std::vector<Real> here(z.begin() + first * units, z.begin() + (first + n) * units);
    const Tensor given(model.device(), {int(n), units}, here);
    Pass pass;
    if (width > 0) {
      const auto from = told.begin() + (told.size() == width ? 0 : std::ptrdiff_t(first * width));
      const std::size_t told_rows = told.size() == width ? 1 : n;
      pass.condition = Tensor(model.device(), {int(told_rows), int(width)},
                              std::vector<Real>(from, from + std::ptrdiff_t(told_rows * width)));
    }
    Outputs out;
    Step step(model.device(), [&] { out.first = model.decode(given, pass); });
    step();
    const std::vector<Real> got = out.first.read();
    theta.insert(theta.end(), got.begin(), got.end());
  }
  return theta;
}

namespace {

/// The data's log totals, one a row and domain, if a domain's rates are relative to them.  What is
/// missing altogether has the total that is usual.
std::vector<Real> totals(const Model& model, Batches& batches, long limit) {
  std::vector<Real> all;
  const std::vector<Domain> domains = model.domains();
  if (std::ranges::all_of(domains, [](auto& d) { return d.data.rates == RateScale::plain; }))
    return all;
  for (std::size_t d = 0; d < domains.size(); ++d) {
    const ModelConfig& config = domains[d].config;
    batches.in_order();
    StepBySize steps([&](int rows) {
      return make_outputs(batches.device(), [&](Outputs& out) {
        const Tensor x = columns(batches.next(rows), domains[d].first, config.observed);
        out.first = log_totals(x), out.second = count_present(x);
      });
    });
    const long count = each_part(batches, limit, 512, [&](long first, int rows) {
      Outputs& out = steps(rows);
      (*out.step)();
      const std::vector<Real> here = out.first.read(), there = out.second.read();
      all.resize(std::max(all.size(), std::size_t(first + rows) * domains.size()));
      for (std::size_t r = 0; r < here.size(); ++r)
        all[(std::size_t(first) + r) * domains.size() + d] =
            there[r] > 0 ? here[r] : Real(std::log(config.total));
    });
    all.resize(std::size_t(count) * domains.size());
  }
  return all;
}

}  // namespace

namespace {

/// E[x] over draws of the posterior, in chunks of bounded memory whatever their number.
std::vector<float> mean_over_posterior(const Model& model, Batches& batches, long limit,
                                       int samples, std::uint64_t seed) {
  require(model.variational(), "reconstruct: the model has no posterior to draw from");
  const std::vector<Real> log_totals = totals(model, batches, limit);
  constexpr long most_numbers = 1 << 24, most_rows = 8192, most_draws = 512;
  const long columns = batches.columns(), wide = observation(model.config()).heads * columns;
  const int decoded = int(std::clamp(most_numbers / wide, 1L, most_rows));
  const int chunk = int(std::min({long(samples), long(decoded), most_draws}));
  batches.in_order();
  std::map<std::pair<int, int>, std::unique_ptr<Outputs>> steps;  // by data and draws
  const auto step_for = [&](int rows, int draws) -> Outputs& {
    auto& slot = steps[{rows, draws}];
    if (!slot)
      slot = make_outputs(batches.device(), [&](Outputs& out) {
        Pass pass{.noise = evaluation_noise(batches, seed), .condition = batches.condition(rows)};
        pass.noise.samples = draws;
        const Tensor q = model.encode(batches.next(rows), pass.of_data());
        out.first = model.decode(sample_posterior(q, pass.noise).z, pass);
      });
    return *slot;
  };
  std::vector<float> result;
  each_part(batches, limit, std::max(1, decoded / chunk), [&](long first, int rows) {
    std::vector<double> sums(std::size_t(rows * columns));
    for (int from = 0; from < samples; from += chunk) {
      const int draws = std::min(chunk, samples - from);
      Outputs& out = step_for(rows, draws);
      // The epoch is a counter of the noise: each chunk has draws of its own.
      batches.progress().write({0, std::uint32_t(from / chunk), std::uint32_t(first)});
      (*out.step)();
      std::vector<Real> of_draws;
      if (!log_totals.empty())
        for (long i = 0; i < long(rows) * draws; ++i)
          of_draws.push_back(log_totals[std::size_t(first + i / draws)]);
      const std::vector<float> means = model.mean(out.first.read(), of_draws);
      for (std::size_t i = 0; i < means.size(); ++i) {
        const std::size_t row = i / std::size_t(columns);
        sums[row / std::size_t(draws) * std::size_t(columns) + i % std::size_t(columns)] +=
            means[i];
      }
    }
    for (const double sum : sums) result.push_back(float(sum / samples));
  });
  return result;
}

}  // namespace

std::vector<float> reconstruct(const Model& model, Batches& batches, long limit, int samples,
                               std::uint64_t seed) {
  if (samples > 0) return mean_over_posterior(model, batches, limit, samples, seed);
  Encoded latents = encode(model, batches, 0);
  if (limit > 0)
    latents.mean.resize(std::min(latents.mean.size(), std::size_t(limit) * latents.units));
  std::vector<float> given = batches.given();
  if (limit > 0 && !given.empty())
    given.resize(latents.mean.size() / std::size_t(latents.units) *
                 std::size_t(width_of(model.config().conditions)));
  return model.mean(decode(model, latents.mean, given), totals(model, batches, limit));
}

Dataset corrupted(const Dataset& data, const Corruption& how, std::uint64_t seed) {
  Dataset spoilt = data;
  spoilt.floats = data.values();
  spoilt.type = Dataset::Type::f32, spoilt.scale = 1;
  spoilt.bytes.clear(), spoilt.starts.clear(), spoilt.indices.clear();
  constexpr std::uint32_t epoch = ~0u;
  for (long r = 0; r < data.rows; ++r) {
    const Noise::Row noise{std::uint32_t(r), std::uint32_t(Stream::corruption) << 24, epoch, seed};
    float* const row = &spoilt.floats[std::size_t(r) * std::size_t(data.columns)];
    for (int c = 0; c < data.columns; ++c) row[c] = float(how.value(Real(row[c]), noise, c));
  }
  return spoilt;
}

double squared_error(const Dataset& data, const std::vector<float>& other) {
  const std::vector<float> x = data.values();
  require(other.size() <= x.size() && other.size() % std::size_t(data.columns) == 0,
          "squared_error: ", other.size(), " numbers beside ", x.size());
  double sum = 0;
  for (std::size_t i = 0; i < other.size(); ++i) {
    if (std::isnan(x[i])) continue;
    const double off = double(x[i]) - (std::isnan(other[i]) ? 0 : double(other[i]));
    sum += off * off;
  }
  return sum / (double(other.size()) / data.columns);
}

std::vector<float> translate(const Model& model, Batches& batches, const Translation& how) {
  const TwoDomains& both = model.two_domains();
  const Vae& target = how.to_second ? both.b : both.a;
  const Domain domain = model.domains()[how.to_second ? 1 : 0];
  require(how.samples >= 0, "translate: ", how.samples, " samples, expected at least 0");
  const int draws = how.draw ? 1 : how.samples, rows_each = std::max(1, draws);
  const int part = std::max(1, 8192 / rows_each);  // rows of the decoder at a time
  Noise noise = evaluation_noise(batches, how.seed);
  noise.samples = rows_each;
  batches.in_order();
  StepBySize steps([&](int rows) {
    return make_outputs(batches.device(), [&](Outputs& out) {
      const Pass pass{.noise = noise, .condition = batches.condition(rows)};
      const Tensor q = both.encode(batches.next(rows), pass.of_data());
      Noise drawn = noise;
      if (draws == 0) {  // without noise, what is drawn is the posterior's mean
        out.second = Tensor(batches.device(), {rows, q.columns() / 2});
        drawn.given = out.second.matrix();
      }
      out.first = target.decode(sample_posterior(q, drawn).z, pass);
    });
  });
  std::vector<float> all;
  const std::size_t width = std::size_t(domain.config.observed);
  each_part(batches, 0, part, [&](long first, int rows) {
    Outputs& out = steps(rows);
    (*out.step)();
    const std::vector<Real> theta = out.first.read();
    const std::vector<float> x =
        how.draw ? domain.draw(theta, how.seed, first) : domain.mean(theta);
    for (std::size_t r = 0; r < std::size_t(rows); ++r)
      for (std::size_t c = 0; c < width; ++c) {
        double sum = 0;
        for (int s = 0; s < rows_each; ++s) sum += x[(r * rows_each + s) * width + c];
        all.push_back(float(sum / rows_each));
      }
  });
  return all;
}

}  // namespace elbo
