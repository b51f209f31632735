#include "models/config.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/layers.h"
#include "runtime/error.h"

namespace elbo {

Observation observation(const ModelConfig& config) {
  if (config.likelihood == "bernoulli") return {Bernoulli{}, 1, 0};
  require(config.likelihood == "gaussian", "unknown likelihood '", config.likelihood,
          "', expected bernoulli or gaussian");
  const std::string& sigma = config.sigma;
  if (sigma == "shared") return {Gaussian{}, 1, 1};
  if (sigma == "feature") return {Gaussian{}, 1, config.observed};
  if (sigma == "datum") return {Gaussian{}, 2, 0};
  double value = 0;
  const std::string prefix = "fixed:";
  if (sigma.starts_with(prefix)) {
    const char *first = sigma.data() + prefix.size(), *last = sigma.data() + sigma.size();
    const auto [end, error] = std::from_chars(first, last, value);
    if (error == std::errc() && end == last && std::isfinite(value) && value > 0)
      return {FixedGaussian{Real(value)}, 1, 0};
  }
  fail("unknown sigma '", sigma, "', expected fixed:NUMBER > 0, shared, feature or datum");
}

std::string to_json(const ModelConfig& config) {
  nlohmann::ordered_json json;
  json["model"] = config.model;
  json["observed"] = config.observed;
  json["hidden"] = config.hidden;
  json["latent"] = config.latent;
  json["activation"] = config.activation;
  json["likelihood"] = config.likelihood;
  json["sigma"] = config.sigma;
  return json.dump(2);
}

ModelConfig config_from_json(const std::string& text, const std::string& where) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    ModelConfig config;
    json.at("model").get_to(config.model);
    json.at("observed").get_to(config.observed);
    json.at("hidden").get_to(config.hidden);
    json.at("latent").get_to(config.latent);
    json.at("activation").get_to(config.activation);
    json.at("likelihood").get_to(config.likelihood);
    json.at("sigma").get_to(config.sigma);
    return config;
  } catch (const nlohmann::json::exception& error) {
    fail(where, ": not a model config: ", error.what());
  }
}

}  // namespace elbo
