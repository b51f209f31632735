#include "models/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/error.h"

namespace elbo {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

/// `word` as one of `words`, by its place.
std::size_t chosen(const std::string& what, const std::string& word,
                   const std::vector<std::string>& words) {
  const auto found = std::find(words.begin(), words.end(), word);
  require(found != words.end(), "unknown ", what, " '", word, "', expected ", joined(words));
  return std::size_t(found - words.begin());
}

/// The width of the parameter that the model keeps for a law's last: none, one, one a feature.
int shared(const std::string& what, const std::string& word, int observed) {
  const int widths[] = {1, observed, 0};
  return widths[chosen(what, word, {"shared", "feature", "datum"})];
}

bool takes_counts(const ModelConfig& config) {
  return config.likelihood == "poisson" || config.likelihood == "negative_binomial" ||
         config.likelihood == "zinb";
}

std::optional<double> fixed(const std::string& sigma) {
  double value = 0;
  const std::string prefix = "fixed:";
  if (!sigma.starts_with(prefix)) return std::nullopt;
  const char *first = sigma.data() + prefix.size(), *last = sigma.data() + sigma.size();
  const auto [end, error] = std::from_chars(first, last, value);
  if (error != std::errc() || end != last || !std::isfinite(value) || !(value > 0))
    fail("unknown sigma '", sigma, "', expected fixed:NUMBER > 0, shared, feature or datum");
  return value;
}

}  // namespace

ModelConfig first_domain(const ModelConfig& config) {
  ModelConfig first = config;
  first.with_observed = 0;
  if (first.input == "auto" && !takes_counts(first) && !takes_levels(first)) first.input = "masked";
  return first;
}

ModelConfig second_domain(const ModelConfig& config) {
  ModelConfig second = config;
  second.observed = config.with_observed, second.total = config.with_total;
  if (config.with_likelihood != "none") second.likelihood = config.with_likelihood;
  const bool same = second.likelihood == config.likelihood;
  const ModelConfig plain;
  const auto take = [&](auto ModelConfig::* word, auto ModelConfig::* with) {
    if (config.*with != plain.*with) second.*word = config.*with;
    else if (!same) second.*word = plain.*word;
  };
  using M = ModelConfig;
  take(&M::input, &M::with_input), take(&M::sigma, &M::with_sigma);
  take(&M::dispersion, &M::with_dispersion), take(&M::rates, &M::with_rates);
  take(&M::degrees, &M::with_degrees), take(&M::levels, &M::with_levels);
  take(&M::components, &M::with_components);
  second.classes = config.with_classes;
  return first_domain(second);
}

std::vector<ModelConfig> domains(const ModelConfig& config) {
  if (!config.two_domains()) return {config};
  return {first_domain(config), second_domain(config)};
}

const std::vector<std::string>& likelihood_names() {
  static const std::vector<std::string> names{"bernoulli",
                                              "continuous_bernoulli",
                                              "gaussian",
                                              "laplace",
                                              "student_t",
                                              "beta",
                                              "poisson",
                                              "negative_binomial",
                                              "zinb",
                                              "discretised_logistic",
                                              "logistic_mixture",
                                              "categorical"};
  return names;
}

Observation observation(const ModelConfig& config) {
  const std::string& name = config.likelihood;
  chosen("likelihood", name, likelihood_names());
  config.preparation.require_words();
  require(
      !config.preparation.any() || name == "gaussian" || name == "laplace" || name == "student_t",
      "log1p, centre, standardise: prepared data are any numbers, the ", name,
      " likelihood takes others; expected gaussian, laplace or student_t");
  const std::string sigma = config.sigma != "auto" ? config.sigma
                            : name == "gaussian"   ? "fixed:1"
                                                   : "datum";
  // A law whose last parameter the decoder gives, or the model keeps.
  const auto of_two = [&](Likelihood law, int side, std::vector<std::string> names) {
    return Observation{law, parameters_of(law) - (side > 0), side, std::move(names)};
  };
  const auto scaled = [&](Likelihood law, const char* centre, const char* scale) {
    return of_two(law, shared("sigma", sigma, config.observed), {centre, scale});
  };
  if (name == "bernoulli") return {Bernoulli{}, 1, 0, {"logit"}};
  if (name == "continuous_bernoulli") return {ContinuousBernoulli{}, 1, 0, {"logit"}};
  if (name == "gaussian") {
    if (const auto known = fixed(sigma)) return {FixedGaussian{Real(*known)}, 1, 0, {"mean"}};
    return scaled(Gaussian{}, "mean", "log_variance");
  }
  if (name == "laplace") return scaled(Laplace{}, "median", "log_scale");
  if (name == "student_t") {
    require(config.degrees >= 0.1 && config.degrees <= 1e6, "student_t: ", config.degrees,
            " degrees of freedom, expected 0.1 to 1e6");
    return scaled(StudentT(Real(config.degrees)), "location", "log_scale");
  }
  if (name == "beta") return {Beta{}, 2, 0, {"log_alpha", "log_beta"}};
  if (name == "poisson") return {Poisson{}, 1, 0, {"log_rate"}};
  const auto dispersed = [&] { return shared("dispersion", config.dispersion, config.observed); };
  if (name == "negative_binomial")
    return of_two(NegativeBinomial{}, dispersed(), {"log_mean", "log_inverse_dispersion"});
  if (name == "zinb")
    return of_two(ZeroInflatedNegativeBinomial{}, dispersed(),
                  {"log_mean", "logit_zero", "log_inverse_dispersion"});
  require(config.levels >= 2 && config.levels <= 65536, name, ": ", config.levels,
          " levels, expected 2 to 65536");
  if (name == "discretised_logistic")
    return scaled(DiscretisedLogistic{config.levels}, "mean", "log_scale");
  std::vector<std::string> names;
  if (name == "logistic_mixture") {
    constexpr int most = DiscretisedLogisticMixture::most_components;
    require(config.components >= 1 && config.components <= most, name, ": ", config.components,
            " components, expected 1 to ", most);
    for (int j = 0; j < config.components; ++j)
      for (const char* part : {"weight_", "mean_", "log_scale_"})
        names.push_back(part + std::to_string(j));
    return {DiscretisedLogisticMixture{config.components, config.levels}, int(names.size()), 0,
            std::move(names)};
  }
  require(config.classes >= 2 && config.classes <= 65536, name, ": ", config.classes,
          " classes, expected 2 to 65536");
  for (int k = 0; k < config.classes; ++k) names.push_back("logit_" + std::to_string(k));
  return {Categorical{config.classes}, config.classes, 0, std::move(names)};
}

std::optional<InputTransform> encoder_input(const ModelConfig& config) {
  const std::string word = config.input != "auto"               ? config.input
                           : takes_counts(config)               ? "log1p"
                           : config.likelihood == "categorical" ? "one_hot"
                           : takes_levels(config)               ? "levels"
                                                                : "plain";
  switch (chosen("input", word, {"plain", "masked", "indicated", "log1p", "one_hot", "levels"})) {
    case 0:
      return std::nullopt;
    case 1:
      return Affine{};
    case 2:
      return Indicated{};
    case 3:
      return Log1p{};
    case 4:
      require(config.classes >= 2, "input one_hot: only --likelihood categorical has classes");
      return OneHot{config.classes};
  }
  const Real middle = Real(config.levels - 1) / 2;
  return Affine{1 / middle, -1};
}

RateScale rates_of(const ModelConfig& config) {
  return RateScale(chosen("rates", config.rates, {"plain", "size", "library"}));
}

HiddenOptions hidden_options(const ModelConfig& config) {
  return {.norm = HiddenOptions::Norm(chosen("norm", config.norm, {"none", "batch", "layer"})),
          .dropout = config.dropout,
          .epsilon = config.norm_epsilon,
          .momentum = config.norm_momentum};
}

bool takes_levels(const ModelConfig& config) {
  return config.likelihood == "discretised_logistic" || config.likelihood == "logistic_mixture" ||
         config.likelihood == "categorical";
}

std::string to_json(const ModelConfig& config) {
  nlohmann::ordered_json json{
      {"observed", config.observed}, {"with_observed", config.with_observed},
      {"total", config.total},       {"with_total", config.with_total},
      {"low", config.low},           {"high", config.high}};
  for (const Condition& c : config.conditions)
    json["conditions"].push_back(
        {{"name", c.name}, {"levels", c.levels}, {"mean", c.mean}, {"scale", c.scale}});
  if (!config.preparation.mean.empty())
    json["standardised"] = {{"mean", config.preparation.mean}, {"scale", config.preparation.scale}};
  ModelConfig::fields(config, [&](const char* name, const auto& value) { json[name] = value; });
  return json.dump(2);
}

ModelConfig config_from_json(const std::string& text, const std::string& where) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    ModelConfig config;
    json.at("observed").get_to(config.observed);
    json.at("with_observed").get_to(config.with_observed);
    json.at("total").get_to(config.total), json.at("with_total").get_to(config.with_total);
    json.at("low").get_to(config.low), json.at("high").get_to(config.high);
    for (const auto& c : json.value("conditions", nlohmann::json::array()))
      config.conditions.push_back({c.at("name"), c.at("levels"), c.at("mean"), c.at("scale")});
    ModelConfig::fields(config,
                        [&](const char* name, auto& value) { json.at(name).get_to(value); });
    if (json.contains("standardised")) {
      json["standardised"].at("mean").get_to(config.preparation.mean);
      json["standardised"].at("scale").get_to(config.preparation.scale);
    }
    const std::string& groups = config.preparation.standardise;
    const std::size_t learnt = groups == "none"  ? 0
                               : groups == "all" ? 1
                                                 : std::size_t(config.observed);
    require(config.preparation.mean.size() == learnt && config.preparation.scale.size() == learnt,
            where, ": standardise ", groups, " needs ", learnt, " means and scales, has ",
            config.preparation.mean.size(), " and ", config.preparation.scale.size());
    return config;
  } catch (const nlohmann::json::exception& error) {
    fail(where, ": not a model config: ", error.what());
  }
}

}  // namespace elbo
