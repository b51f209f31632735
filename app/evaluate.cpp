#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.h"
#include "app/training_data.h"
#include "models/evaluation.h"
#include "models/information.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct EvaluateCommand {
  std::string run, data, with, part, device = "auto";
  int importance_samples = 0;
  long limit = 0;
  bool information = false;
  int information_samples = 0;  // 0: min(N, 2000)
  std::uint64_t seed = 0;
  bool json = false;
};

struct Chosen {
  Dataset data;
  std::string name, part;  // part: empty where the data are not those of the run
  std::string words;       // what they are
};

/// Those of --data, or the part of the run's own.
/// Errors: the run has no such part; its data are no longer those that it was trained on.
Chosen choose(const EvaluateCommand& c, const RunDirectory& folder, const ModelConfig& config) {
  if (!c.data.empty()) return {read_domains(config, c.data, c.with).data, c.data, "", c.data};
  const TrainCommand train = stored_command(folder);
  const std::string part = !c.part.empty() ? c.part : train.valid.empty() ? "all" : "valid";
  if (part == "all")
    return {read_domains(config, train.data, train.with).data, train.data, part, train.data};
  require(part == "train" || !train.valid.empty(), "--part ", part, ": ", c.run,
          " was trained without --valid");
  TrainingData parts = read_training_data(train);
  if (folder.has(RunDirectory::checkpoint)) {
    const std::string then = folder.load_checkpoint().data_hash, now = parts.train.hash();
    require(then == now, train.data, ": has changed since ", c.run, " was trained (hash ", then,
            ", now ", now, "); --part all or --data evaluates it nonetheless");
  }
  const auto fraction = held_out_fraction(train);
  if (part == "train")
    return {std::move(parts.train), train.data, part,
            fraction ? fmt::format("the other {:.4g} % of {}", 100 * (1 - *fraction), train.data)
                     : train.data};
  return {
      std::move(*parts.valid), fraction ? train.data : train.valid, part,
      fraction ? fmt::format("held-out {:.4g} % of {}", 100 * *fraction, train.data) : train.valid};
}

struct Evaluation {
  Means means;
  std::optional<Nll> nll;
  std::optional<Information> information;
  std::optional<double> bits_per_dim, squared_error;
  std::string own_units;             // of prepared data: the way to them, as a formula
  std::optional<double> log_volume;  // and its mean over these data
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

void print_json(const Evaluation& e, const Chosen& chosen, std::uint64_t seed) {
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
  if (!e.own_units.empty()) {
    json["own_units"] = {{"formula", e.own_units}, {"add", nullptr}};
    if (e.log_volume) json["own_units"]["add"] = *e.log_volume;
  }
  if (e.information) json["information"] = json_of(*e.information);
  json["data"] = chosen.name;
  json["part"] = chosen.part.empty() ? nullptr : nlohmann::ordered_json(chosen.part);
  json["missing"] = chosen.data.missing();
  json["seed"] = seed;
  std::cout << json.dump(2) << '\n';
}

void print_text(const Evaluation& e, const Chosen& chosen) {
  std::cout << fmt::format("{}, {} data, in nats per datum\n", chosen.words, e.means.count)
            << missing_line(chosen.data.missing(), chosen.data.rows * chosen.data.columns);
  if (e.variational) std::cout << fmt::format("ELBO            {:.4f}\n", e.means.elbo);
  std::cout << fmt::format("log-likelihood  {:.4f}\n", e.means.log_likelihood);
  if (e.variational) std::cout << fmt::format("KL              {:.4f}\n", e.means.kl);
  if (e.nll)
    std::cout << fmt::format("NLL             {:.4f} ± {:.4f} ({} importance samples)\n",
                             e.nll->mean, e.nll->standard_error, e.nll->samples);
  if (!e.own_units.empty())
    std::cout << "These are of the prepared data x'. In their own units: " << e.own_units << '\n';
  if (e.log_volume)
    std::cout << fmt::format(
        "own units       {:+.4f} nats to each but KL and NLL; {:+.4f} to NLL\n", *e.log_volume,
        -*e.log_volume);
  if (e.bits_per_dim) std::cout << fmt::format("bits/dim        {:.4f}\n", *e.bits_per_dim);
  if (e.squared_error) std::cout << fmt::format("squared error   {:.6g}\n", *e.squared_error);
  if (e.information) print_text(*e.information);
}

/// A sentence for each term.
constexpr const char* information_help =
    R"(--information prints, with standard errors, where q(z) is the mean of q(z|x) over all data:
  rate R             the KL term: what the code of a datum costs, in nats
  I(x;z)             how much of it tells which datum that is; at most log N
  KL(q(z) || p(z))   the rest: how far the codes of all data together are from the prior
  total correlation  a part of that: how far the units are from independent of each other
  dimension-wise KL  and the other: how far each unit's codes are from the prior, summed
  KL of a unit       the unit's share of the rate
  active units       those whose posterior mean has a variance over data above 0.01
R = I(x;z) + KL(q(z) || p(z)) = I(x;z) + total correlation + dimension-wise KL.)";

int run(const EvaluateCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  const Model model = folder.load_model(device);
  Chosen chosen = choose(c, folder, stored.config);
  Dataset& data = chosen.data;
  if (c.limit > 0 && c.limit < data.rows) {
    data = data.slice(0, c.limit);
    chosen.words = fmt::format("the first {} of {}", c.limit, chosen.words);
  }
  const Preparation& preparation = stored.config.preparation;
  std::optional<double> log_volume;
  if (preparation.any()) log_volume = preparation.log_volume(data);
  data = model.taken(std::move(data));
  Batches batches(device, data, 0);

  Evaluation e{.means = evaluate(model, batches, c.seed),
               .nll = {},
               .information = {},
               .bits_per_dim = {},
               .squared_error = {},
               .own_units = preparation.any() ? preparation.own_units(data.columns) : "",
               .log_volume = log_volume,
               .variational = model.variational()};
  if (c.importance_samples > 0)
    e.nll = importance_nll(model, batches, c.importance_samples, c.seed);
  if (c.information) e.information = information(model, batches, {c.information_samples, c.seed});
  if (stored.image_height > 0 && e.variational && (!preparation.any() || log_volume)) {
    const double dims = data.columns - double(data.missing()) / double(data.rows);
    e.bits_per_dim = -(e.means.elbo + log_volume.value_or(0)) / (dims * std::log(2.0));
  }
  if (!e.variational && std::holds_alternative<FixedGaussian>(observation(stored.config).law))
    e.squared_error = squared_error(model.in_own_units(data), reconstruct(model, batches));

  if (c.json) print_json(e, chosen, c.seed);
  else print_text(e, chosen);
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<EvaluateCommand>();
  CLI::App* const on =
      add_command(app, chosen, "evaluate", "the bound, and the likelihood, of data", c);
  on->add_option("run", c->run, "run folder")->required();
  CLI::Option* evaluated = on->add_option("--data", c->data, "data to evaluate [those of the run]");
  on->add_option("--with", c->with, "their second domain")->needs(evaluated);
  on->add_option("--part", c->part,
                 "of the run's data: valid, train or all [valid if it has them, else all]")
      ->check(one_of({"valid", "train", "all"}))
      ->excludes(evaluated);
  on->add_option("--importance-samples", c->importance_samples,
                 "estimate the negative log-likelihood with so many samples a datum")
      ->check(whole_from<int>(1));
  on->add_option("--limit", c->limit, "only the first so many data")->check(whole_from<long>(1));
  CLI::Option* const information = on->add_flag(
      "--information", c->information, "what the KL term is made of, and the active units");
  on->add_option("--information-samples", c->information_samples,
                 "draws for that [min(data, 2000)]")
      ->needs(information)
      ->check(whole_from<int>(3));
  on->footer(information_help);
  add_seed(on, c->seed, "of the noise");
  add_device(on, c->device);
  on->add_flag("--json", c->json, "print JSON");
}

}  // namespace elbo
