#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/commands.h"
#include "app/latents.h"
#include "app/tables.h"
#include "app/train_command.h"
#include "models/run_directory.h"
#include "models/scores.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

struct ScoreCommand {
  std::string run, data, out, device = "auto";
  ScoreOptions options;
  bool json = false;
};

constexpr long most_shown = 10, most_features = 3;

/// The numbers as a table, a row a datum: log_evidence, elbo, reconstruction and the features.
Dataset table_of(const Scores& s, const Dataset& data) {
  Dataset table;
  table.rows = data.rows, table.row_names = data.row_names;
  table.column_names = {"log_evidence"};
  if (!s.elbo.empty()) table.column_names.push_back("elbo");
  table.column_names.push_back("reconstruction");
  if (!s.features.empty())
    for (const std::string& name : feature_names(data)) table.column_names.push_back(name);
  table.columns = int(table.column_names.size());
  for (std::size_t r = 0; r < std::size_t(data.rows); ++r) {
    table.floats.push_back(float(s.log_evidence[r]));
    if (!s.elbo.empty()) table.floats.push_back(float(s.elbo[r]));
    table.floats.push_back(float(s.reconstruction[r]));
    if (s.features.empty()) continue;
    const auto first = s.features.begin() + std::ptrdiff_t(r) * data.columns;
    table.floats.insert(table.floats.end(), first, first + data.columns);
  }
  return table;
}

/// Those of the least evidence first; and of each the features whose contribution is furthest above
/// what it is on average over these data.
Json most_unusual(const Scores& s, const Dataset& data) {
  std::vector<long> order(static_cast<std::size_t>(data.rows));
  std::iota(order.begin(), order.end(), 0L);
  const auto shown = std::min<std::size_t>(most_shown, order.size());
  std::partial_sort(
      order.begin(), order.begin() + std::ptrdiff_t(shown), order.end(), [&](long a, long b) {
        const double left = s.log_evidence[std::size_t(a)], right = s.log_evidence[std::size_t(b)];
        return left != right ? left < right : a < b;
      });
  const auto columns = std::size_t(data.columns);
  std::vector<double> usual(s.features.empty() ? 0 : columns, 0.0);
  for (std::size_t i = 0; i < s.features.size(); ++i)
    usual[i % columns] += s.features[i] / double(data.rows);
  const std::vector<std::string> names = feature_names(data);
  Json all = Json::array();
  for (std::size_t i = 0; i < shown; ++i) {
    const auto row = std::size_t(order[i]);
    Json one{{"row", row}};
    if (!data.row_names.empty()) one["name"] = data.row_names[row];
    one["log_evidence"] = s.log_evidence[row];
    if (!s.elbo.empty()) one["elbo"] = s.elbo[row];
    if (!s.features.empty()) {
      const float* const own = &s.features[row * columns];
      std::vector<std::size_t> by_excess(columns);
      std::iota(by_excess.begin(), by_excess.end(), std::size_t(0));
      const auto top = std::min<std::size_t>(most_features, columns);
      std::partial_sort(
          by_excess.begin(), by_excess.begin() + std::ptrdiff_t(top), by_excess.end(),
          [&](std::size_t a, std::size_t b) { return own[a] - usual[a] > own[b] - usual[b]; });
      one["features"] = Json::array();
      for (std::size_t f = 0; f < top; ++f)
        one["features"].push_back({{"name", names[by_excess[f]]},
                                   {"contribution", own[by_excess[f]]},
                                   {"usual", usual[by_excess[f]]},
                                   {"value", data.value(long(row), int(by_excess[f]))}});
    }
    all.push_back(std::move(one));
  }
  return all;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

void print_text(const Json& json) {
  std::cout << fmt::format("{} data, in nats per datum\n", json["count"].get<long>())
            << fmt::format("log evidence    {:.4f}", json["log_evidence"].get<double>());
  if (!json["elbo"].is_null())
    std::cout << fmt::format(" ({} importance samples)\nELBO            {:.4f}",
                             json["importance_samples"].get<int>(), json["elbo"].get<double>());
  std::cout << fmt::format("\n\nThe most unusual\n{:>8}{:>16}\n", "row", "log evidence");
  for (const Json& one : json["most_unusual"]) {
    std::cout << fmt::format("{:>8}{:>16.4f}", one["row"].get<long>(),
                             one["log_evidence"].get<double>());
    if (one.contains("name")) std::cout << "  " << one["name"].get<std::string>();
    if (one.contains("features"))
      for (const Json& f : one["features"])
        std::cout << fmt::format("  {} = {:g} ({:.2f}, usual {:.2f})", f["name"].get<std::string>(),
                                 f["value"].is_null() ? NAN : f["value"].get<double>(),
                                 f["contribution"].get<double>(), f["usual"].get<double>());
    std::cout << '\n';
  }
}

int run(const ScoreCommand& c) {
  require_table(c.out);
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const Model model = folder.load_model(device);
  const Dataset data = model.taken(read_dataset(c.data));
  Batches batches(device, data, 0);
  const Scores s = scores(model, batches, c.options);
  const Dataset table = table_of(s, data);
  write_table(c.out, table, table.floats);

  const Json json{
      {"count", data.rows},
      {"log_evidence", mean_of(s.log_evidence)},
      // An autoencoder is no bound on anything.
      {"elbo", s.elbo.empty() ? Json() : Json(mean_of(s.elbo))},
      {"reconstruction", mean_of(s.reconstruction)},
      {"importance_samples", model.variational() ? c.options.samples : 0},
      {"units", "nats per datum"},
      {"most_unusual", most_unusual(s, data)},
  };
  if (c.json) std::cout << json.dump(2) << '\n';
  else print_text(json);
  return 0;
}

}  // namespace

void add_score(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<ScoreCommand>();
  CLI::App* const on = add_command(app, chosen, "score", "how unusual each datum is, and why", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data")->required();
  on->add_option("--out", c->out, "file.csv, .tsv or .npy: a row a datum")->required();
  on->add_option("--importance-samples", c->options.samples, "draws a datum of the log evidence")
      ->check(whole_from<int>(1))
      ->capture_default_str();
  on->add_flag("--features", c->options.features,
               "what each column contributes: its expected -log p(x_c|z) given the datum");
  add_seed(on, c->options.seed, "of the draws");
  add_device(on, c->device);
  on->add_flag("--json", c->json, "print JSON");
  on->footer(
      "log_evidence is a bound on log p(x) by importance-weighted draws; the lower, the more "
      "unusual.\nThe columns' contributions sum up to the reconstruction. Named are those furthest "
      "above their\nmean over the data.");
}

}  // namespace elbo
