#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "app/commands.h"
#include "app/latents.h"
#include "app/training_data.h"
#include "models/frechet.h"
#include "models/gaussian_mixture.h"
#include "models/scores.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

struct CompareCommand {
  std::vector<std::string> runs;
  std::string data, train, device = "auto";
  bool pca = false, json = false;
  int samples = 100, coordinates = 50;
  long limit = 0, draws = 10000;
  std::uint64_t seed = 0;
};

/// What a model says of the data; what does not apply to it stays empty.
struct Line {
  std::string name, model;
  int units = 0;
  double squared_error = 0;
  std::optional<double> log_likelihood, standard_error, rate;
  std::optional<int> active;
  double prior = 0;              // Fréchet distance of decoded draws of N(0, I)
  std::optional<double> fitted;  // and of a Gaussian fitted to the codes
};

template <class T>
Dataset table_of(const Dataset& like, const std::vector<T>& values, double scale) {
  Dataset table;
  table.source = "decoded", table.columns = like.columns;
  table.rows = long(values.size()) / like.columns;
  for (const T v : values) table.floats.push_back(float(v * scale));
  return table;
}

/// The mean and its standard error.
void set_likelihood(Line& line, const std::vector<double>& log_p) {
  const double n = double(log_p.size()),
               mean = std::accumulate(log_p.begin(), log_p.end(), 0.0) / n;
  double squares = 0;
  for (const double v : log_p) squares += (v - mean) * (v - mean);
  line.log_likelihood = mean;
  if (n > 1) line.standard_error = std::sqrt(squares / (n - 1) / n);
}

/// What all are measured by: the data, and the coordinates in which draws are held against them.
struct Measure {
  const CompareCommand& command;
  Dataset data, train;
  Pca pca;
  int coordinates;

  double distance(const Dataset& drawn) const {
    return frechet_distance(pca, drawn, data, coordinates);
  }
};

Line line_of(const Measure& by, const std::string& run) {
  const CompareCommand& c = by.command;
  const RunDirectory folder(run);
  const Model model = folder.load_model(device_named(c.device, folder));
  const double scale = model.brightness();
  const Dataset data = model.taken(by.data);
  Batches batches(model.device(), data, 0);
  const Encoded codes = encode(model, batches, c.seed);
  Line line{.name = run, .model = model.config().model, .units = codes.units};

  const std::vector<float> again = reconstruct(model, batches);
  for (std::size_t i = 0; i < again.size(); ++i) {
    const double off =
        by.data.value(long(i) / data.columns, int(long(i) % data.columns)) - scale * again[i];
    if (!std::isnan(off)) line.squared_error += off * off / double(data.rows);
  }
  if (model.variational()) {
    std::vector<double> evidence =
        scores(model, batches, {.samples = c.samples, .seed = c.seed}).log_evidence;
    // Models of data that were prepared otherwise compare in the data's own units, if there is a
    // way.
    const Preparation& preparation = model.config().preparation;
    for (std::size_t r = 0; preparation.any() && r < evidence.size(); ++r)
      evidence[r] += preparation.log_volume(by.data.slice(long(r), 1)).value_or(NAN);
    set_likelihood(line, evidence);
    const std::vector<double> kl = kl_per_unit(codes);
    line.rate = std::accumulate(kl.begin(), kl.end(), 0.0);
  }
  const std::vector<LatentUnit> ranked = ranked_units(codes);
  line.active =
      int(std::count_if(ranked.begin(), ranked.end(), [](const auto& u) { return u.active; }));

  // A conditional model is told what the data are, in turn.
  std::vector<float> given;
  for (std::size_t i = 0; i < std::size_t(c.draws) * std::size_t(data.given_columns); ++i)
    given.push_back(data.given[i % data.given.size()]);
  const auto distance = [&](const std::vector<float>& z) {
    return by.distance(table_of(by.data, decoded_mean(model, z, given), scale));
  };
  line.prior = distance(normal_latents(codes.units, c.draws, c.seed));
  if (!model.variational()) {
    const Dataset train = model.taken(first_of(by.train, 10000));
    Batches trained(model.device(), train, 0);
    const GaussianMixture gaussian(encode(model, trained, c.seed).mean, codes.units,
                                   {.components = 1});
    line.fitted = distance(gaussian.draw(c.draws, c.seed));
  }
  return line;
}

Line line_of(const Measure& by, int units, bool gaussian) {
  const CompareCommand& c = by.command;
  const ProbabilisticPca model(by.pca, units);
  Line line{.name = "PCA", .model = "pca", .units = units};
  const std::vector<double> errors = by.pca.squared_errors(by.data, units);
  line.squared_error = std::accumulate(errors.begin(), errors.end(), 0.0) / double(errors.size());
  if (gaussian) set_likelihood(line, model.log_likelihoods(by.data));
  const std::vector<float> z = normal_latents(units, c.draws, c.seed);
  line.prior = by.distance(table_of(by.data, model.decode({z.begin(), z.end()}), 1));
  return line;
}

Json json_of(const Line& line) {
  const auto maybe = [](const auto& value) { return value ? Json(*value) : Json(); };
  return {{"name", line.name},
          {"model", line.model},
          {"units", line.units},
          {"squared_error", line.squared_error},
          {"log_likelihood", maybe(line.log_likelihood)},
          {"standard_error", maybe(line.standard_error)},
          {"rate", maybe(line.rate)},
          {"active_units", maybe(line.active)},
          {"prior_distance", line.prior},
          {"fitted_distance", maybe(line.fitted)}};
}

void print_text(const std::vector<Line>& lines, const Measure& by) {
  const auto maybe = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.4f}", *value) : std::string("-");
  };
  std::size_t wide = 3;
  for (const Line& line : lines) wide = std::max(wide, line.name.size());
  std::cout << fmt::format(
                   "{} data of {}, in nats per datum; distances of {} decoded draws in {} "
                   "coordinates\n\n",
                   by.data.rows, by.command.data, by.command.draws, by.coordinates)
            << fmt::format("{:<{}}{:>7}{:>15}{:>24}{:>10}{:>8}{:>14}{:>15}\n", "", wide, "units",
                           "squared error", "log-likelihood", "rate", "active", "prior draws",
                           "fitted draws");
  for (const Line& line : lines) {
    std::string likelihood = maybe(line.log_likelihood);
    if (line.standard_error) likelihood += fmt::format(" ± {:.4f}", *line.standard_error);
    // The sign ± is two bytes and one column.
    const int width = line.standard_error ? 25 : 24;
    std::cout << fmt::format("{:<{}}{:>7}{:>15.4f}", line.name, wide, line.units,
                             line.squared_error)
              << std::string(std::max(0, width - int(likelihood.size())), ' ') << likelihood
              << fmt::format("{:>10}{:>8}{:>14.4f}{:>15}\n", maybe(line.rate),
                             line.active ? std::to_string(*line.active) : "-", line.prior,
                             maybe(line.fitted));
  }
}

/// On the scale of what is decoded: grey from 0 to 1, also where models take levels.
Dataset train_of(const CompareCommand& c, const TrainCommand& first) {
  if (!c.train.empty()) return read_dataset(c.train);
  TrainCommand plain = first;
  plain.model.likelihood = "gaussian";  // under which grey images are no levels
  return read_training_data(plain).train;
}

int run(const CompareCommand& c) {
  const RunDirectory first(c.runs.at(0));
  const ModelConfig config = first.stored_model().config;
  Dataset train = train_of(c, stored_command(first));
  Pca pca(train);
  const Measure by{c, first_of(read_dataset(c.data), c.limit), std::move(train), std::move(pca),
                   std::min(c.coordinates, config.observed)};
  std::vector<Line> lines;
  for (const std::string& run : c.runs) lines.push_back(line_of(by, run));
  if (c.pca) lines.push_back(line_of(by, config.latent, config.likelihood == "gaussian"));
  if (!c.json) {
    print_text(lines, by);
    return 0;
  }
  Json json{
      {"data", c.data},         {"count", by.data.rows},         {"importance_samples", c.samples},
      {"draws", c.draws},       {"coordinates", by.coordinates}, {"units", "nats per datum"},
      {"models", Json::array()}};
  for (const Line& line : lines) json["models"].push_back(json_of(line));
  std::cout << json.dump(2) << '\n';
  return 0;
}

}  // namespace

void add_compare(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<CompareCommand>();
  CLI::App* const on = add_command(app, chosen, "compare", "runs side by side on the same data", c);
  on->add_option("runs", c->runs, "run folders")->required();
  on->add_option("--data", c->data, "data, best of no model's training")->required();
  on->add_flag("--pca", c->pca,
               "beside them principal components, as many as the first has latent units");
  on->add_option("--train", c->train,
                 "what principal components are fitted to [the first run's training data]");
  on->add_option("--importance-samples", c->samples, "draws a datum of a vae's log-likelihood")
      ->check(whole_from<int>(1))
      ->capture_default_str();
  on->add_option("--limit", c->limit, "only the first so many data")->check(whole_from<long>(2));
  on->add_option("--draws", c->draws, "new data of each model")
      ->check(whole_from<long>(2))
      ->capture_default_str();
  on->add_option("--coordinates", c->coordinates,
                 "principal components in which new data are held against DATA")
      ->check(whole_from<int>(1))
      ->capture_default_str();
  add_seed(on, c->seed, "of all draws");
  add_device(on, c->device);
  on->add_flag("--json", c->json, "print JSON");
  on->footer(R"(squared error    of the reconstruction, summed over columns
log-likelihood   a vae's by importance sampling (a lower bound on average); that of
                 principal components exactly (Tipping & Bishop 1999), where the first
                 run's likelihood is gaussian
rate, active     the KL term; units whose code has a variance over the data above 0.01
prior draws      Fréchet distance from DATA of decoded draws of N(0, I): 0 is best
fitted draws     the same where the draws are of a Gaussian fitted to an autoencoder's codes)");
}

}  // namespace elbo
