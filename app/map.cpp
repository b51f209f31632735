#include <cmath>

#include "app/commands.h"
#include "app/latents.h"
#include "app/pictures.h"
#include "app/tables.h"
#include "app/train_command.h"
#include "kernels/math/normal.h"

namespace elbo {

namespace {

struct MapCommand {
  std::string run, data, out, condition, device = "auto";
  std::vector<int> units;
  int size = 20;
};

/// Pictures of E[x | z] on a grid whose rows and columns are equally probable under the prior:
/// Kingma & Welling, Auto-Encoding Variational Bayes (2014), figure 4.
void write_tiles(const MapCommand& c, const Model& model, const StoredModel& stored, int a, int b) {
  std::vector<float> z;
  for (int row = 0; row < c.size; ++row)
    for (int column = 0; column < c.size; ++column) {
      std::vector<float> here(std::size_t(model.config().latent), 0.f);
      here[std::size_t(a)] = float(normal_quantile((column + 0.5) / c.size));
      here[std::size_t(b)] = float(normal_quantile(1 - (row + 0.5) / c.size));
      z.insert(z.end(), here.begin(), here.end());
    }
  write_pictures(c.out, model, stored, decoded_mean(model, z, told_by(model, c.condition)), c.size);
}

void write_places(const MapCommand& c, const Encoded& q, const Dataset& data, int a, int b) {
  Dataset table;
  table.rows = data.rows, table.row_names = data.row_names;
  table.column_names = {"z" + std::to_string(a), "z" + std::to_string(b)};
  if (!data.labels.empty()) table.column_names.push_back("label");
  for (const Annotation& one : data.annotations) table.column_names.push_back(one.name);
  table.columns = int(table.column_names.size());
  for (std::size_t r = 0; r < std::size_t(data.rows); ++r) {
    const float* const mean = &q.mean[r * std::size_t(q.units)];
    table.floats.insert(table.floats.end(), {mean[a], mean[b]});
    if (!data.labels.empty()) table.floats.push_back(float(data.labels[r]));
    for (const Annotation& one : data.annotations) table.floats.push_back(one.values[r]);
  }
  write_table(c.out, table, table.floats);
}

/// q(z_a, z_b) = 1/N Σ_n N(z_a; …) N(z_b; …), per square unit, on an even grid over ±4.
void write_density(const MapCommand& c, const Encoded& q, int a, int b) {
  constexpr double reach = 4;
  const auto units = std::size_t(q.units), rows = q.mean.size() / units;
  const auto at = [&](int i) { return reach * (2 * (i + 0.5) / c.size - 1); };
  std::vector<double> density(std::size_t(c.size) * std::size_t(c.size), 0.0);
  std::vector<double> across(static_cast<std::size_t>(c.size));
  for (std::size_t n = 0; n < rows; ++n) {
    const auto of = [&](int unit) {
      const std::size_t i = n * units + std::size_t(unit);
      return NormalDensity<double>::of(q.mean[i], q.log_variance[i]);
    };
    const auto first = of(a), second = of(b);
    for (int i = 0; i < c.size; ++i)
      across[std::size_t(i)] = std::exp(second.log_density(at(i))) / double(rows);
    for (int i = 0; i < c.size; ++i) {
      const double p = std::exp(first.log_density(at(i)));
      for (int j = 0; j < c.size; ++j)
        density[std::size_t(i * c.size + j)] += p * across[std::size_t(j)];
    }
  }
  Dataset table;
  table.rows = long(density.size()), table.columns = 3;
  table.column_names = {"z" + std::to_string(a), "z" + std::to_string(b), "density"};
  for (int i = 0; i < c.size; ++i)
    for (int j = 0; j < c.size; ++j)
      table.floats.insert(table.floats.end(), {float(at(i)), float(at(j)),
                                               float(density[std::size_t(i * c.size + j)])});
  write_table(beside(c.out, "density"), table, table.floats);
}

int run(const MapCommand& c) {
  const bool png = ends_in_png(c.out);
  if (!png && !ends_in_table(c.out))
    throw UsageError("--out: '" + c.out + "' ends in none of .npy, .csv, .tsv and .png");
  const RunDirectory folder(c.run);
  const StoredModel stored = folder.stored_model();
  if (png) require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device_named(c.device, folder));
  const int latent = model.config().latent;
  require(latent >= 2, "a map needs two latent units, the model has ", latent);
  for (const int unit : c.units)
    require(unit < latent, "--units: there is no unit ", unit, ", only 0 to ", latent - 1);
  const Dataset data =
      c.data.empty() ? trained_on(folder, model) : model.taken(read_dataset(c.data));
  Batches batches(model.device(), data, 0);
  const Encoded q = encode(model, batches, 0);
  const std::vector<LatentUnit> ranked = ranked_units(q);
  const int a = c.units.empty() ? ranked[0].unit : c.units[0];
  const int b = c.units.empty() ? ranked[1].unit : c.units[1];
  if (png) {
    write_tiles(c, model, stored, a, b);
  } else {
    write_places(c, q, data, a, b);
    if (model.variational()) write_density(c, q, a, b);
  }
  return 0;
}

}  // namespace

void add_map(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<MapCommand>();
  CLI::App* const on = add_command(app, chosen, "map", "a plane of the latent space", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("--data", c->data, "data that lie there [those that it was trained on]");
  on->add_option("--out", c->out,
                 "file.png: pictures of the places; or .csv, .tsv, .npy: where the data lie, and "
                 "their density in NAME-density")
      ->required();
  on->add_option("--units", c->units, "two latent units, A,B [those of the largest KL]")
      ->delimiter(',')
      ->expected(2)
      ->check(whole_from<int>(0));
  on->add_option("--size", c->size, "places along each side")
      ->check(whole_from<int>(2))
      ->capture_default_str();
  on->add_option("--condition", c->condition, "what a conditional model is told: NAME=VALUE,…");
  add_device(on, c->device);
}

}  // namespace elbo
