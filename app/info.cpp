#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/train_command.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct InfoCommand {
  std::string run, device = "auto";
  bool plan = false;
};

using Json = nlohmann::ordered_json;

/// The planned step needs only the width of the data, not the data.
std::string plan_of(const InfoCommand& c, const RunDirectory& folder, const ModelConfig& config) {
  const TrainCommand train = stored_command(folder);
  const Device device = device_named(c.device, train);
  const Model model(device, config, 0);
  Dataset data;
  data.source = "plan";
  data.rows = train.batch;
  data.columns = config.columns();
  data.floats.resize(std::size_t(data.rows) * data.columns);
  data.given_columns = width_of(config.conditions);
  data.given.resize(std::size_t(data.rows) * data.given_columns);
  Batches batches(device, data, 0);
  const TrainingOptions options = training_options(train, config, data.rows);
  const Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  return "on " + device.backend().description() + '\n' + trainer.program().describe();
}

int run(const InfoCommand& c) {
  const RunDirectory folder(c.run);
  const StoredModel stored = folder.stored_model();
  const Model model(Device::cpu(), stored.config, 0);
  long parameters = 0;
  for (const Parameter& p : model.parameters())
    if (p.trained) parameters += long(p.tensor.rows()) * p.tensor.columns();

  const Json config = settings(stored_command(folder));
  for (const auto& [key, value] : config.items())
    std::cout << fmt::format("{:<22}{}\n", key,
                             value.is_string() ? value.get<std::string>() : value.dump());
  std::cout << fmt::format("{:<22}{}\n", "observed", stored.config.observed)
            << (stored.config.two_domains()
                    ? fmt::format("{:<22}{}\n", "observed with them", stored.config.with_observed)
                    : "")
            << fmt::format("{:<22}{}\n", "parameters", parameters);
  if (const Preparation& preparation = stored.config.preparation; preparation.any())
    std::cout << fmt::format("{:<22}{}\n", "own units",
                             preparation.own_units(stored.config.observed));
  const Checkpoint state = folder.load_checkpoint();
  std::cout << fmt::format("{:<22}{}{}\n", "epochs done", state.epochs_done,
                           folder.has(RunDirectory::report) ? "" : " (not finished)");
  const Json last = state.history.empty() ? Json::object() : Json::parse(state.history.back());
  for (const auto& [key, value] : last.items())
    if (key != "epoch" && !value.is_null())
      std::cout << fmt::format("{:<22}{:.6g}\n", key, value.get<double>());
  if (!state.choices.empty()) {
    const Json choices = Json::parse(state.choices);
    std::cout << fmt::format("{:<22}{}, by {}\n", "large products", choices.at("products").size(),
                             choices.at("made_by").get<std::string>());
  }
  if (c.plan) std::cout << '\n' << plan_of(c, folder, stored.config);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<InfoCommand>();
  CLI::App* const on = add_command(app, chosen, "info", "what a run is", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_flag("--plan", c->plan, "list the planned operations of a training step");
  add_device(on, c->device);
}

}  // namespace elbo
