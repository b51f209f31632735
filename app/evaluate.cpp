#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/options.h"
#include "models/evaluation.h"
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
  std::optional<double> bits_per_dim, squared_error;
  bool variational;
};

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
               .bits_per_dim = {},
               .squared_error = {},
               .variational = model.variational()};
  if (c.importance_samples > 0)
    e.nll = importance_nll(model, batches, c.importance_samples, c.seed, c.limit);
  if (stored.image_height > 0 && e.variational)
    e.bits_per_dim = -e.means.elbo / (data.columns * std::log(2.0));
  if (!e.variational && std::holds_alternative<FixedGaussian>(observation(stored.config).law))
    e.squared_error = squared_error(data, reconstruct(model, batches, c.limit));

  if (c.json) print_json(e, name, c.seed);
  else print_text(e, name);
  return 0;
}

}  // namespace elbo
