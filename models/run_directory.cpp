#include "models/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/atomic_file.h"
#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view own_files[] = {
    RunDirectory::config_toml, RunDirectory::config_json,     RunDirectory::weights,
    RunDirectory::checkpoint,  RunDirectory::metrics_csv,     RunDirectory::metrics_jsonl,
    RunDirectory::samples,     RunDirectory::reconstructions, RunDirectory::report,
    RunDirectory::event,       RunDirectory::event_batch,     RunDirectory::event_state};

/// checkpoint/epoch-000012.safetensors
std::string kept_name(int epoch) {
  std::string number = std::to_string(epoch);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  return "checkpoint/epoch-" + number + ".safetensors";
}

const std::string best_prefix = "best.";

/// The arrays that a checkpoint keeps of parameter i: three, or a buffer alone.
std::vector<Parameter> kept_of(const Optimizer& optimizer, std::size_t i) {
  const Parameter& p = optimizer.parameters()[i];
  if (!p.trained) return {p};
  return {p,
          {"first_moment." + p.name, optimizer.first_moment(i), p.interleave, true, p.flat},
          {"second_moment." + p.name, optimizer.second_moment(i), p.interleave, true, p.flat}};
}

/// Whether a file of that name, "samples.png" or "checkpoint/epoch-000012.safetensors", is Elbo's.
bool is_own(const std::string& name) {
  int epoch = 0;
  return std::ranges::find(own_files, name) != std::end(own_files) ||
         name.starts_with(RunDirectory::events) ||
         (std::sscanf(name.c_str(), "checkpoint/epoch-%d", &epoch) == 1 &&
          name == kept_name(epoch));
}

/// Elbo's files in a run folder; or what killed processes left of them under temporary names.
std::vector<fs::path> own_files_in(const fs::path& folder, bool temporary) {
  std::vector<fs::path> found;
  for (const char* inner : {"", "checkpoint/", "blackbox/", "tensorboard/"}) {
    if (!fs::is_directory(folder / inner)) continue;
    for (const auto& entry : fs::directory_iterator(folder / inner)) {
      const std::string name = inner + entry.path().filename().string();
      const std::size_t end = name.find(".tmp-");
      if ((end != name.npos) == temporary && is_own(name.substr(0, end)) && !entry.is_directory())
        found.push_back(entry.path());
    }
  }
  return found;
}

}  // namespace

void RunDirectory::require_empty() const {
  require(!fs::exists(folder_) || fs::is_directory(folder_), folder_.string(),
          ": is a file, expected a folder");
  require(!fs::exists(folder_) || fs::is_empty(folder_), folder_.string(),
          ": is not empty; --resume goes on with the run in it, --force replaces it");
}

void RunDirectory::clear() const {
  try {
    fs::create_directories(folder_);
    remove_leftovers();
    for (const fs::path& file : own_files_in(folder_, false)) fs::remove(file);
    for (const char* name : {checkpoint, event, events}) {
      const fs::path inner = path(name).parent_path();
      if (fs::is_directory(inner) && fs::is_empty(inner)) fs::remove(inner);
    }
  } catch (const fs::filesystem_error& error) {
    fail(folder_.string(), ": cannot be made a run folder: ", error.code().message());
  }
}

std::vector<fs::path> RunDirectory::event_files() const {
  std::vector<fs::path> found = own_files_in(folder_, false);
  std::erase_if(found, [&](const fs::path& file) {
    return file.parent_path() != path(events).parent_path();
  });
  return found;
}

void RunDirectory::remove_leftovers() const {
  std::error_code none;  // they are in nobody's way
  for (const fs::path& file : own_files_in(folder_, true)) fs::remove(file, none);
}

void RunDirectory::save(const StoredModel& model) const {
  Json json = Json::parse(to_json(model.config));
  json["image_height"] = model.image_height;
  json["image_width"] = model.image_width;
  write_file(path(config_json).string(), json.dump(2) + "\n");
}

StoredModel RunDirectory::stored_model() const {
  require(fs::is_directory(folder_), folder_.string(), ": there is no such run");
  const std::string file = path(config_json).string();
  require(fs::exists(file), folder_.string(), ": is not a run (it has no config.json)");
  const Bytes bytes = read_file(file);
  StoredModel model;
  try {
    Json json = Json::parse(bytes.begin(), bytes.end());
    model.image_height = json.value("image_height", 0);
    model.image_width = json.value("image_width", 0);
    json.erase("image_height"), json.erase("image_width");
    model.config = config_from_json(json.dump(), file);
  } catch (const Json::exception& error) {
    fail(file, ": not a model config: ", error.what());
  }
  return model;
}

void RunDirectory::save(const Model& model) const {
  SafeTensors file;
  file.metadata = {{"format", "pt"}, {"elbo", version}};
  file.arrays = weights_of(model.parameters());
  write_safetensors(path(weights), file);
}

Model RunDirectory::load_model(const Device& device) const {
  const StoredModel stored = stored_model();
  const std::string file = path(weights).string();
  require(fs::exists(file), folder_.string(), ": has no ", weights,
          "; finish its training by elbo train --resume --out ", folder_.string());
  Model model(device, stored.config, 0);
  const SafeTensors saved = read_safetensors(file);
  for (const Parameter& p : model.parameters()) from_file(saved, p, file);
  require(saved.arrays.size() == model.parameters().size(), file, ": has ", saved.arrays.size(),
          " tensors, the model of config.json has ", model.parameters().size());
  return model;
}

std::map<std::string, SafeTensors::Array> weights_of(const std::vector<Parameter>& parameters) {
  std::map<std::string, SafeTensors::Array> arrays;
  for (const Parameter& p : parameters) arrays[p.name] = to_file(p);
  return arrays;
}

void RunDirectory::save(const Checkpoint& c, const Optimizer& optimizer, const char* name) const {
  std::error_code status;
  const fs::path file = path(name);
  fs::create_directories(file.parent_path(), status);
  require(!status, file.parent_path().string(), ": cannot be made: ", status.message());
  SafeTensors saved;
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i)
    for (const Parameter& p : kept_of(optimizer, i)) saved.arrays[p.name] = to_file(p);
  for (const auto& [tensor, array] : saved.arrays)
    if (!std::ranges::all_of(array.values, [](Real x) { return std::isfinite(x); }))
      throw NotFinite("training: " + tensor + " is not finite after step " +
                      std::to_string(c.steps));
  for (const auto& [tensor, array] : c.best) saved.arrays[best_prefix + tensor] = array;
  Json state{{"version", version},       {"epochs_done", c.epochs_done}, {"steps", c.steps},
             {"position", c.position},   {"totals", c.totals},           {"seconds", c.seconds},
             {"data_hash", c.data_hash}, {"settings", c.settings},       {"history", c.history}};
  if (c.multiplier)
    state["multiplier"] = {c.multiplier->log_value,      double(c.multiplier->value),
                           c.multiplier->log_likelihood, c.multiplier->kl,
                           c.multiplier->rows,           c.multiplier->log_total,
                           c.multiplier->moves};
  if (c.streamed) state["streamed"] = *c.streamed;
  if (!c.choices.empty()) state["choices"] = Json::parse(c.choices);
  if (c.halvings > 0) state["halvings"] = c.halvings;
  saved.metadata = {{"elbo", state.dump()}};
  write_safetensors(file, saved);
}

Checkpoint RunDirectory::load_checkpoint(const std::string& name) const {
  const fs::path file = folder_ / name;
  require(fs::exists(file), folder_.string(), ": has no checkpoint to resume");
  const SafeTensors saved = read_safetensors(file);
  try {
    const Json state = Json::parse(saved.metadata.at("elbo"));
    Checkpoint c;
    state.at("epochs_done").get_to(c.epochs_done);
    state.at("steps").get_to(c.steps);
    state.at("position").get_to(c.position);
    state.at("totals").get_to(c.totals);
    state.at("seconds").get_to(c.seconds);
    state.at("data_hash").get_to(c.data_hash);
    state.at("settings").get_to(c.settings);
    state.at("history").get_to(c.history);
    if (state.contains("multiplier")) {
      const auto m = state["multiplier"].get<std::array<double, 7>>();
      c.multiplier = {m[0], Real(m[1]), m[2], m[3], m[4], m[5], m[6]};
    }
    if (state.contains("streamed")) c.streamed = state["streamed"].get<std::size_t>();
    if (state.contains("choices")) c.choices = state["choices"].dump();
    c.halvings = state.value("halvings", 0);
    for (const auto& [tensor, array] : saved.arrays)
      if (tensor.starts_with(best_prefix)) c.best[tensor.substr(best_prefix.size())] = array;
    return c;
  } catch (const std::exception& error) {
    fail(file.string(), ": is not a checkpoint of Elbo: ", error.what());
  }
}

void RunDirectory::restore(const Optimizer& optimizer, const std::string& name) const {
  const fs::path file = folder_ / name;
  const SafeTensors saved = read_safetensors(file);
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i)
    for (const Parameter& p : kept_of(optimizer, i)) from_file(saved, p, file.string());
}

void RunDirectory::keep_checkpoint(int epoch, int most) const {
  // A file that is replaced keeps its content under its other names, so a link is a copy.
  const fs::path from = path(checkpoint), to = folder_ / kept_name(epoch);
  const fs::path temporary = to.string() + ".tmp-" + std::to_string(::getpid());
  try {
    fs::remove(temporary);
    std::error_code unlinked;  // not every file system has links
    fs::create_hard_link(from, temporary, unlinked);
    if (unlinked) fs::copy_file(from, temporary);
    fs::rename(temporary, to);
    fs::remove(temporary);  // rename does nothing where both are links of one file
    const std::vector<int> kept = kept_epochs();
    for (int i = 0; i + most < int(kept.size()); ++i) fs::remove(folder_ / kept_name(kept[i]));
  } catch (const fs::filesystem_error& error) {
    std::error_code none;
    fs::remove(temporary, none);
    fail(to.string(), ": cannot be written: ", error.code().message());
  }
}

std::vector<int> RunDirectory::kept_epochs() const {
  std::vector<int> epochs;
  const fs::path inner = path(checkpoint).parent_path();
  if (!fs::is_directory(inner)) return epochs;
  for (const auto& entry : fs::directory_iterator(inner)) {
    const std::string name = entry.path().filename().string();
    int epoch = 0;
    if (std::sscanf(name.c_str(), "epoch-%d", &epoch) == 1 &&
        entry.path() == folder_ / kept_name(epoch))
      epochs.push_back(epoch);
  }
  std::ranges::sort(epochs);
  return epochs;
}

std::string RunDirectory::kept_checkpoint(int epoch) const {
  const std::vector<int> kept = kept_epochs();
  std::string names;
  for (int other : kept) names += (names.empty() ? "" : ", ") + std::to_string(other);
  require(std::ranges::count(kept, epoch) > 0, folder_.string(), ": keeps no checkpoint of epoch ",
          epoch, "; it keeps ", kept.empty() ? "none (--checkpoint-every)" : "those of " + names);
  return kept_name(epoch);
}

}  // namespace elbo
