#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "app/commands.h"
#include "app/latents.h"
#include "app/pictures.h"
#include "app/tables.h"
#include "app/training_data.h"

namespace elbo {

namespace {

struct TraverseCommand {
  std::string run, out, start, condition, device = "auto";
  int units = 5, unit = -1, steps = 9;
  double range = 3;
};

struct Start {
  std::vector<float> z, given;
};

/// The posterior's mean of FILE:ROW, and what is given of that row.
Start start_of(const TraverseCommand& c, const Model& model) {
  if (c.start.empty())
    return {std::vector<float>(std::size_t(model.config().latent), 0.f),
            told_by(model, c.condition)};
  const std::size_t colon = c.start.rfind(':');
  long row = -1;
  if (colon != c.start.npos) {
    const char *first = c.start.data() + colon + 1, *last = c.start.data() + c.start.size();
    const auto [end, error] = std::from_chars(first, last, row);
    if (error != std::errc() || end != last) row = -1;
  }
  if (row < 0) throw UsageError("--start: '" + c.start + "' is not FILE:ROW");
  const Dataset data = read_dataset(c.start.substr(0, colon));
  require(row < data.rows, "--start: ", data.source, " has ", data.rows, " rows, counted from 0");
  const Dataset one = model.taken(data.slice(row, 1));
  Batches batches(model.device(), one, 0);
  return {encode(model, batches, 0).mean,
          c.condition.empty() ? one.given : told_by(model, c.condition)};
}

void print(const std::vector<LatentUnit>& ranked, bool variational) {
  std::cout << fmt::format("{:>4}  {:>10}{:>22}  {}\n", "unit", "KL", "variance of the mean",
                           "active");
  for (const LatentUnit& u : ranked)
    std::cout << fmt::format("{:>4}  {:>10}{:>22.4f}  {}\n", u.unit,
                             variational ? fmt::format("{:.4f}", u.kl) : "-", u.variance,
                             u.active ? "yes" : "no");
}

int run(const TraverseCommand& c) {
  const bool png = ends_in_png(c.out);
  if (!png && !ends_in_table(c.out))
    throw UsageError("--out: '" + c.out + "' ends in none of .npy, .csv, .tsv and .png");
  const RunDirectory folder(c.run);
  const StoredModel stored = folder.stored_model();
  if (png) require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device_named(c.device, folder));
  const int latent = model.config().latent;
  require(c.unit < latent, "--unit ", c.unit, ": the model has ", latent, " units, from 0");
  const Start start = start_of(c, model);
  constexpr long enough = 4000;  // data, for the ranking
  const Dataset data = trained_on(folder, model, enough);
  Batches batches(model.device(), data, 0);
  const std::vector<LatentUnit> ranked = ranked_units(encode(model, batches, 0));
  print(ranked, model.variational());

  std::vector<int> units;
  if (c.unit >= 0) units = {c.unit};
  else
    for (int i = 0; i < std::min(c.units, latent); ++i)
      units.push_back(ranked[std::size_t(i)].unit);
  std::vector<float> z, places;
  for (const int unit : units) {
    const std::vector<float> way = along(start.z, unit, -c.range, c.range, c.steps);
    z.insert(z.end(), way.begin(), way.end());
    for (std::size_t i = std::size_t(unit); i < way.size(); i += std::size_t(latent))
      places.insert(places.end(), {float(unit), way[i]});
  }
  const std::vector<float> x = decoded_mean(model, z, start.given);
  if (png) {
    write_pictures(c.out, model, stored, x, c.steps);
    return 0;
  }
  Dataset table;
  table.rows = long(places.size()) / 2, table.columns = model.config().observed;
  if (c.out.ends_with(".npy")) {
    write_table(c.out, table, x);
    return 0;
  }
  table.column_names = {"unit", "value"};
  for (const std::string& name : feature_names(data)) table.column_names.push_back(name);
  const int columns = table.columns;
  table.columns += 2;
  for (long r = 0; r < table.rows; ++r) {
    table.floats.insert(table.floats.end(), places.begin() + 2 * r, places.begin() + 2 * r + 2);
    table.floats.insert(table.floats.end(), x.begin() + r * columns, x.begin() + (r + 1) * columns);
  }
  write_table(c.out, table, table.floats);
  return 0;
}

}  // namespace

void add_traverse(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<TraverseCommand>();
  CLI::App* const on = add_command(app, chosen, "traverse", "what each latent unit does", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("--out", c->out, "file.png: a row a unit; or .csv, .tsv, .npy")->required();
  CLI::Option* const many = on->add_option("--units", c->units, "so many, of the largest KL first")
                                ->check(whole_from<int>(1))
                                ->capture_default_str();
  on->add_option("--unit", c->unit, "this one alone")->check(whole_from<int>(0))->excludes(many);
  on->add_option("--steps", c->steps, "values of each unit")
      ->check(whole_from<int>(2))
      ->capture_default_str();
  on->add_option("--range", c->range, "from minus this to this")
      ->check(number_from(0, false))
      ->capture_default_str();
  on->add_option("--start", c->start, "FILE:ROW (from 0): the others stay at its code [at 0]");
  on->add_option("--condition", c->condition, "what a conditional model is told: NAME=VALUE,…");
  add_device(on, c->device);
  on->footer(
      "The ranking is by the first 4000 training data; an autoencoder's, which has no KL, by "
      "variance.");
}

}  // namespace elbo
