#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/options.h"
#include "models/evaluation.h"
#include "models/information.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

/// The mean over data of Σ (x - x̂)².
double squared_error(const Dataset& data, const std::vector<float>& reconstructed) {
  double sum = 0;
  for (std::size_t i = 0; i < reconstructed.size(); ++i) {
    const double off = double(data.value(long(i) / data.columns, int(i % data.columns))) -
                       double(reconstructed[i]);
    sum += off * off;
  }
  return sum / (double(reconstructed.size()) / data.columns);
}

struct Evaluation {
  Means means;
  std::optional<Nll> nll;
  std::optional<Information> information;
  std::optional<double> bits_per_dim, squared_error;
  bool variational;
};

nlohmann::ordered_json json_of(const Estimate& e) {
  return {{"value", e.value}, {"standard_error", e.standard_error}};
}

nlohmann::ordered_json json_of(const Information& i) {
  nlohmann::ordered_json json;
  json["rate"] = json_of(i.rate);
  json["mutual_information"] = json_of(i.mutual_information);
  json["log_count"] = i.log_count();
  json["aggregate_kl"] = json_of(i.aggregate_kl);
  json["total_correlation"] = json_of(i.total_correlation);
  json["dimension_kl"] = json_of(i.dimension_kl);
  json["active_units"] = i.active_units();
  for (const Information::Unit& unit : i.units)
    json["latent_units"].push_back({{"kl", json_of(unit.kl)},
                                    {"mean_variance", json_of(unit.mean_variance)},
                                    {"active", unit.active}});
  json["samples"] = i.samples;
  return json;
}

void print_text(const Information& i) {
  const auto line = [](const std::string& name, const Estimate& e, const std::string& note = "") {
    std::cout << fmt::format("{:<28}{:.4f} ± {:.4f}{}\n", name, e.value, e.standard_error, note);
  };
  std::cout << fmt::format("\nThe KL term, by {} draws against the posteriors of {} data\n",
                           i.samples, i.count);
  line("rate R", i.rate);
  line("= I(x;z)", i.mutual_information, fmt::format("  (at most log N = {:.4f})", i.log_count()));
  line("+ KL(q(z) || p(z))", i.aggregate_kl);
  line("  = total correlation", i.total_correlation);
  line("  + dimension-wise KL", i.dimension_kl);
  std::cout << fmt::format("active units                {} of {}\n", i.active_units(),
                           i.units.size());
  std::cout << fmt::format("\n{:>4}  {:<20}{:<24}{}\n", "unit", "KL", "variance of the mean",
                           "active");
  for (std::size_t u = 0; u < i.units.size(); ++u) {
    const auto& [kl, variance, active] = i.units[u];
    std::cout << fmt::format(
        "{:>4}  {:<20}{:<24}{}\n", u, fmt::format("{:.4f} ± {:.4f}", kl.value, kl.standard_error),
        fmt::format("{:.4f} ± {:.4f}", variance.value, variance.standard_error),
        active ? "yes" : "no");
  }
}

void print_json(const Evaluation& e, const std::string& data, std::uint64_t seed) {
  nlohmann::ordered_json json;
  // An autoencoder is no bound on anything: it has a log-likelihood at its code, no ELBO and no KL.
  json["elbo"] = e.variational ? nlohmann::ordered_json(e.means.elbo) : nullptr;
  json["log_likelihood"] = e.means.log_likelihood;
  json["kl"] = e.variational ? nlohmann::ordered_json(e.means.kl) : nullptr;
  json["nll"] = e.nll ? nlohmann::ordered_json(e.nll->mean) : nullptr;
  if (e.nll) json["nll_standard_error"] = e.nll->standard_error;
  json["importance_samples"] = e.nll ? e.nll->samples : 0;
  json["count"] = e.means.count;
  json["units"] = "nats per datum";
  if (e.bits_per_dim) json["bits_per_dim"] = *e.bits_per_dim;
  if (e.squared_error) json["squared_error"] = *e.squared_error;
  if (e.information) json["information"] = json_of(*e.information);
  json["data"] = data;
  json["seed"] = seed;
  std::cout << json.dump(2) << '\n';
}

void print_text(const Evaluation& e, const std::string& data) {
  std::cout << fmt::format("{} data of {}, in nats per datum\n", e.means.count, data);
  if (e.variational) std::cout << fmt::format("ELBO            {:.4f}\n", e.means.elbo);
  std::cout << fmt::format("log-likelihood  {:.4f}\n", e.means.log_likelihood);
  if (e.variational) std::cout << fmt::format("KL              {:.4f}\n", e.means.kl);
  if (e.nll)
    std::cout << fmt::format("NLL             {:.4f} ± {:.4f} ({} importance samples)\n",
                             e.nll->mean, e.nll->standard_error, e.nll->samples);
  if (e.bits_per_dim) std::cout << fmt::format("bits/dim        {:.4f}\n", *e.bits_per_dim);
  if (e.squared_error) std::cout << fmt::format("squared error   {:.6g}\n", *e.squared_error);
  if (e.information) print_text(*e.information);
}

}  // namespace

int run(const EvaluateCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  const Model model = folder.load_model(device);
  const std::string name = c.data.empty() ? stored_command(folder).data : c.data;
  const Dataset data = read_dataset(name);
  model.check_data(data);
  Batches batches(device, data, 0);

  Evaluation e{.means = evaluate(model, batches, c.seed, c.limit),
               .nll = {},
               .information = {},
               .bits_per_dim = {},
               .squared_error = {},
               .variational = model.variational()};
  if (c.importance_samples > 0)
    e.nll = importance_nll(model, batches, c.importance_samples, c.seed, c.limit);
  if (c.information)
    e.information = information(model, batches, {c.information_samples, c.seed, c.limit});
  if (stored.image_height > 0 && e.variational)
    e.bits_per_dim = -e.means.elbo / (data.columns * std::log(2.0));
  if (!e.variational && stored.config.likelihood == "gaussian" &&
      stored.config.sigma.starts_with("fixed:"))
    e.squared_error = squared_error(data, reconstruct(model, batches, c.limit));

  if (c.json) print_json(e, name, c.seed);
  else print_text(e, name);
  return 0;
}

}  // namespace elbo
