#include "app/latents.h"

#include <algorithm>
#include <cmath>

#include "app/training_data.h"
#include "data/png.h"

namespace elbo {

std::vector<float> normal_latents(int units, long count, std::uint64_t seed) {
  const std::uint32_t stream = std::uint32_t(Stream::prior) << 24;
  std::vector<float> z;
  z.reserve(std::size_t(count) * std::size_t(units));
  for (long i = 0; i < count; ++i)
    for (int u = 0; u < units; ++u)
      z.push_back(float(Philox::at(u / 4, std::uint32_t(i), stream, 0, seed).normal(u % 4)));
  return z;
}

double normal_quantile(double p) {
  double low = -40, high = 40;
  while (high - low > 1e-12) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

Dataset first_of(Dataset data, long limit) {
  return limit > 0 && limit < data.rows ? data.slice(0, limit) : data;
}

Dataset trained_on(const RunDirectory& folder, const Model& model, long limit) {
  return model.taken(first_of(read_training_data(stored_command(folder)).train, limit));
}

std::vector<float> told_by(const Model& model, const std::string& condition) {
  const std::vector<Condition>& conditions = model.config().conditions;
  std::string names;
  for (const Condition& c : conditions) names += (names.empty() ? "" : ", ") + c.name;
  require(!condition.empty() || conditions.empty(), "the model is told ", names,
          "; say what of by --condition ", conditions.empty() ? "" : conditions[0].name, "=VALUE");
  return condition.empty() ? std::vector<float>() : given_by(conditions, condition);
}

std::vector<LatentUnit> ranked_units(const Encoded& encoded) {
  const auto units = std::size_t(encoded.units), rows = encoded.mean.size() / units;
  const std::vector<double> kl = kl_per_unit(encoded);
  std::vector<LatentUnit> ranked;
  for (std::size_t u = 0; u < units; ++u) {
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < rows; ++n) sum += encoded.mean[n * units + u];
    for (std::size_t n = 0; n < rows; ++n) {
      const double off = encoded.mean[n * units + u] - sum / double(rows);
      squares += off * off;
    }
    const double variance = squares / double(rows);
    ranked.push_back(
        {int(u), kl.empty() ? 0 : kl[u], sum / double(rows), variance, variance > 0.01});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](const LatentUnit& a, const LatentUnit& b) {
    return kl.empty() ? a.variance > b.variance : a.kl > b.kl;
  });
  return ranked;
}

std::vector<float> along(const std::vector<float>& start, int unit, double low, double high,
                         int steps) {
  std::vector<float> z;
  for (int step = 0; step < steps; ++step) {
    z.insert(z.end(), start.begin(), start.end());
    z[z.size() - start.size() + std::size_t(unit)] = float(low + (high - low) * step / (steps - 1));
  }
  return z;
}

std::vector<float> decoded_mean(const Model& model, const std::vector<float>& z,
                                const std::vector<float>& given) {
  return model.mean(decode(model, z, given));
}

std::vector<float> most_probable(const Model& model, const std::vector<Real>& theta) {
  std::vector<float> classes;
  const auto many = long(observation(model.config()).heads);
  for (auto logits = theta.begin(); logits != theta.end(); logits += many)
    classes.push_back(float(std::max_element(logits, logits + many) - logits));
  return classes;
}

std::vector<float> decoded_mean(const Model& model, const Dataset& latents,
                                const std::string& condition) {
  require(latents.columns == model.config().latent, latents.source, ": has ", latents.columns,
          " columns, the model has ", model.config().latent, " latent units");
  require(latents.missing() == 0, latents.source, ": ", latents.missing(), " numbers are NaN");
  return decoded_mean(model, latents.values(), told_by(model, condition));
}

std::vector<float> in_mode(const std::string& mode, const Model& model,
                           const std::vector<Real>& theta, std::uint64_t seed) {
  if (mode == "mean") return model.mean(theta);
  if (mode == "sample") return model.draw(theta, seed);
  require(mode == "params", "mode '", mode, "', expected mean, sample or params");
  require(!model.config().two_domains(),
          "--mode params: two domains have parameters of their own each");
  return {theta.begin(), theta.end()};
}

std::vector<std::string> feature_names(const Dataset& data) {
  std::vector<std::string> names = data.column_names;
  for (int c = int(names.size()); c < data.columns; ++c) names.push_back("x" + std::to_string(c));
  return names;
}

void write_pictures(const std::string& png, const Model& model, const StoredModel& stored,
                    std::vector<float> x, int columns) {
  for (float& value : x) value *= model.brightness();
  write_png_grid(png, x.data(), long(x.size()) / (long(stored.image_height) * stored.image_width),
                 stored.image_height, stored.image_width, columns);
}

}  // namespace elbo
