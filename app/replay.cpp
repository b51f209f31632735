#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/latents.h"
#include "app/train_command.h"
#include "data/input_file.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct ReplayCommand {
  std::string run, device = "auto";
  std::uint64_t step = 0;  // 0: of the run's event
  long datum = -1;
  bool json = false;
};

using Json = nlohmann::ordered_json;

/// Step and datum of a loss that was not finite.
void ask_event(const RunDirectory& folder, ReplayCommand& c) {
  if (c.step > 0 && c.datum >= 0) return;
  const std::string file = folder.path(RunDirectory::event).string();
  require(folder.has(RunDirectory::event), folder.folder().string(),
          ": every loss of this run was finite; say which --step and --datum");
  const Bytes bytes = read_file(file);
  try {
    const Json event = Json::parse(bytes.begin(), bytes.end());
    if (c.step == 0) c.step = event.at("step").get<std::uint64_t>();
    if (c.datum < 0 && !event.at("datum").is_null()) c.datum = event.at("datum").get<long>();
    if (c.datum < 0) c.datum = event.at("data").at(0).get<long>();
  } catch (const Json::exception& error) {
    fail(file, ": ", error.what());
  }
}

/// The latest state before the step that the run keeps; nothing: the start.
std::optional<std::string> state_before(const RunDirectory& folder, std::uint64_t step) {
  std::vector<std::string> files{RunDirectory::checkpoint, RunDirectory::event_state};
  for (int epoch : folder.kept_epochs()) files.push_back(folder.kept_checkpoint(epoch));
  std::optional<std::string> latest;
  std::uint64_t steps = 0;
  for (const std::string& file : files) {
    if (!folder.has(file.c_str())) continue;
    const std::uint64_t taken = folder.load_checkpoint(file).steps;
    if (taken < step && (!latest || taken > steps)) latest = file, steps = taken;
  }
  return latest;
}

/// JSON has no NaN: those are text.
Json number(double x) { return std::isfinite(x) ? Json(x) : Json(fmt::format("{}", x)); }

Json to_json(const Replayed& r, int units) {
  Json json{{"step", r.step}, {"epoch", r.epoch}, {"datum", r.datum}, {"row", r.row}};
  json["x"] = Json::array();
  for (const Real x : r.x) json["x"].push_back(std::isnan(x) ? Json() : Json(x));  // null: missing
  if (units > 0) json["latents"] = Json::array();
  for (std::size_t i = 0; i < r.z.size(); ++i)
    json["latents"].push_back({{"sample", i / units},
                               {"unit", i % units},
                               {"mean", number(r.mean[i])},
                               {"deviation", number(r.deviation[i])},
                               {"noise", number(r.noise[i])},
                               {"z", number(r.z[i])}});
  json["log_likelihood"] = number(r.log_likelihood);
  json["kl"] = number(r.kl);
  json["loss"] = number(r.loss);
  json["gradient_norms"] = Json::object();
  for (const auto& [name, norm] : r.gradients) json["gradient_norms"][name] = number(norm);
  return json;
}

void print(const Replayed& r, int units) {
  std::cout << fmt::format(
      "step {} (epoch {}), datum {}, row {} of the batch\n"
      "log-likelihood {:.6g}, KL {:.6g}, loss {:.6g} nats\n\n",
      r.step, r.epoch, r.datum, r.row, r.log_likelihood, r.kl, r.loss);
  if (!r.z.empty()) {
    std::cout << fmt::format("{:>6} {:>6} {:>12} {:>12} {:>12} {:>12}\n", "sample", "unit", "mean",
                             "deviation", "noise", "z");
    for (std::size_t i = 0; i < r.z.size(); ++i)
      std::cout << fmt::format("{:>6} {:>6} {:>12.6g} {:>12.6g} {:>12.6g} {:>12.6g}\n",
                               i / std::size_t(units), i % std::size_t(units), r.mean[i],
                               r.deviation[i], r.noise[i], r.z[i]);
    std::cout << '\n';
  }
  std::cout << "norms of the loss's gradients\n";
  for (const auto& [name, norm] : r.gradients)
    std::cout << fmt::format("  {:<40}{:.6g}\n", name, norm);
}

int run(ReplayCommand c) {
  const RunDirectory folder(c.run);
  const TrainCommand train = stored_command(folder);
  ask_event(folder, c);
  const Device device = device_named(c.device, train);
  const Model model(device, folder.stored_model().config, train.seed);
  const Dataset data = trained_on(folder, model);
  require(c.datum < data.rows, "--datum ", c.datum, ": the data have ", data.rows,
          " rows, counted from 0");
  const std::optional<std::string> file = state_before(folder, c.step);
  const Checkpoint stored = file ? folder.load_checkpoint(*file) : Checkpoint{};
  std::optional<std::size_t> memory = data_memory(train);
  if (!memory && stored.streamed) memory = stored.streamed;
  Batches batches(device, data, train.seed, memory);
  TrainingOptions options = training_options(train, model.config(), data.rows);
  options.rate = scaled(options.rate, std::ldexp(Real(1), -stored.halvings));
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  if (file) {
    device.backend().choose(stored.choices);
    folder.restore(trainer.optimizer(), *file);
    trainer.resume(stored.epochs_done, stored.steps, stored.position, stored.totals);
    if (stored.multiplier) trainer.resume(*stored.multiplier);
  }
  trainer.run_to(c.step - 1);
  const bool one_encoder = model.variational() && !model.config().two_domains();
  const Replayed replayed =
      one_encoder ? trainer.replay(c.datum, [&](const Tensor& x,
                                                const Pass& pass) { return model.encode(x, pass); })
                  : trainer.replay(c.datum);
  const int units = one_encoder ? model.config().latent : 0;
  if (c.json) std::cout << to_json(replayed, units).dump(2) << '\n';
  else print(replayed, units);
  return 0;
}

}  // namespace

void add_replay(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<ReplayCommand>();
  CLI::App* const on = add_command(app, chosen, "replay", "one datum in one step of a training", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("--step", c->step, "from 1 [that at which the loss was no longer finite]")
      ->check(whole_from<std::uint64_t>(1));
  on->add_option("--datum", c->datum, "of the training data, from 0 [the first that was not]")
      ->check(whole_from<long>(0));
  add_device(on, c->device);
  on->add_flag("--json", c->json, "print JSON, with the datum itself");
  on->footer(
      "Its noise, latents, terms of the bound and gradients, as they were: worked out again from "
      "the\nlatest state before that step which the run keeps (--checkpoint-every), or from the "
      "start.");
}

}  // namespace elbo
