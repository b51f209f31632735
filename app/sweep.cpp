#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/chart_js.h"
#include "app/commands.h"
#include "app/latents.h"
#include "app/report_page.h"
#include "app/training_data.h"
#include "data/atomic_file.h"
#include "models/evaluation.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

struct SweepCommand {
  TrainCommand train;
  std::vector<std::string> betas;  // as they were written
  long limit = 0;
};

/// Where the training with one β came to: nats per datum, of data.
struct Point {
  double beta, rate, distortion;
  int active;
  std::string run;
};

double number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value <= 0)
    throw UsageError("--betas: '" + text + "' is not a number > 0");
  return value;
}

void finish(CLI::App* on, SweepCommand& c) {
  TrainCommand& train = c.train;
  if (train.beta != TrainCommand().beta || train.rate_budget > 0 || train.target != "none" ||
      train.target_error != "none" || train.model.model != "vae" || train.objective != "elbo" ||
      !train.with.empty())
    throw UsageError("the weights are those of --betas, of the ELBO of a vae of one domain");
  if (c.betas.size() < 2) throw UsageError("--betas: expected at least two");
  std::sort(c.betas.begin(), c.betas.end(),
            [](const auto& a, const auto& b) { return number(a) < number(b); });
  const bool resume = train.resume, named = !train.out.empty();
  train.resume = false;
  finish_train(on, train);
  if (!named) train.out += "-sweep";
  train.resume = resume;
}

/// -(D' - D)/(R' - R) of two neighbours.  Where the rate falls with log β at a steady pace, as a
/// linear model's does between two of its collapses, the slopes from β to β' have this mean.
double price_between(const Point& a, const Point& b) {
  return (b.distortion - a.distortion) / (a.rate - b.rate);
}
double logarithmic_mean(double a, double b) { return (b - a) / std::log(b / a); }

Json json_of(const std::vector<Point>& points, const std::string& part) {
  Json json{{"of", part}, {"points", Json::array()}, {"between", Json::array()}};
  for (const Point& p : points)
    json["points"].push_back({{"beta", p.beta},
                              {"rate", p.rate},
                              {"distortion", p.distortion},
                              {"active_units", p.active},
                              {"run", p.run}});
  for (std::size_t i = 0; i + 1 < points.size(); ++i)
    json["between"].push_back({{"beta", logarithmic_mean(points[i].beta, points[i + 1].beta)},
                               {"slope", price_between(points[i], points[i + 1])}});
  return json;
}

constexpr const char* script = R"js(
const at = p => ({x: p.rate, y: p.distortion});
const datasets = [{label: 'trained', data: sweep.points.map(at), borderColor: blue,
  backgroundColor: blue, showLine: true, borderWidth: 2, pointRadius: 4}];
// At each point a line of slope -beta: the price that the training was told.
const reach = (Math.max(...sweep.points.map(p => p.rate)) -
               Math.min(...sweep.points.map(p => p.rate))) / 12;
for (const p of sweep.points)
  datasets.push({label: 'slope', showLine: true, pointRadius: 0, borderColor: orange,
    borderWidth: 2, data: [-1, 1].map(s => ({x: p.rate + s * reach,
                                             y: p.distortion - s * p.beta * reach}))});
new Chart(document.getElementById('curve'), {type: 'scatter', data: {datasets}, options: {
  plugins: {legend: {display: false}, tooltip: {callbacks: {
    label: i => i.datasetIndex ? '' : 'beta ' + sweep.points[i.dataIndex].beta}}},
  scales: {x: {title: {display: true, text: 'rate R: KL (nats per datum)'}},
           y: {title: {display: true, text: 'distortion D: -log-likelihood (nats per datum)'}}}}});
)js";

std::string page(const std::vector<Point>& points, const std::string& part) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<title>Elbo: rate and distortion</title>\n<style>{}</style>\n<main>\n"
      "<h1>Rate and distortion</h1>\n<p class=soft>{}. One more nat of rate buys &beta; nats of "
      "reconstruction: the curve's slope is -&beta; (orange).</p>\n",
      report_style, part);
  if (chart_js_size > 0)
    html +=
        "<section><div class=tall style=\"height:460px\"><canvas "
        "id=curve></canvas></div></section>\n";
  html +=
      "<section><table class=numbers><tr><th>beta</th><th>rate R</th><th>distortion D</th>"
      "<th>active units</th><th>-dD/dR to the next</th></tr>\n";
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    html += fmt::format(
        "<tr><td>{:g}</td><td>{:.4f}</td><td>{:.4f}</td><td>{}</td><td>{}</td></tr>\n", p.beta,
        p.rate, p.distortion, p.active,
        i + 1 < points.size() ? fmt::format("{:.4g} (beta {:.4g})", price_between(p, points[i + 1]),
                                            logarithmic_mean(p.beta, points[i + 1].beta))
                              : "");
  }
  html += "</table></section>\n</main>\n";
  if (chart_js_size > 0)
    html += fmt::format("<script>{}</script>\n<script>const sweep = {};\n{}{}</script>\n",
                        std::string_view(chart_js, chart_js_size), json_of(points, part).dump(),
                        report_colours, script);
  return html + "</html>\n";
}

int run(const SweepCommand& c) {
  namespace fs = std::filesystem;
  std::vector<Point> points;
  for (const std::string& beta : c.betas) {
    TrainCommand train = c.train;
    train.beta = number(beta);
    train.out = (fs::path(c.train.out) / ("beta-" + beta)).string();
    train.resume = c.train.resume && RunDirectory(train.out).has(RunDirectory::checkpoint);
    std::cout << "beta " << beta << std::endl;
    if (const int code = run(train)) return code;
  }
  const std::string part = c.train.valid.empty() ? "training data" : "validation data";
  const Device device = device_named(c.train.device, c.train);
  TrainingData parts = read_training_data(c.train);
  Dataset data = parts.valid ? std::move(*parts.valid) : std::move(parts.train);
  if (c.limit > 0 && c.limit < data.rows) data = data.slice(0, c.limit);
  for (const std::string& beta : c.betas) {
    const std::string folder = (fs::path(c.train.out) / ("beta-" + beta)).string();
    const Model model = RunDirectory(folder).load_model(device);
    const Dataset taken = model.taken(data);
    Batches batches(device, taken, c.train.seed);
    const Means means = evaluate(model, batches, c.train.seed);
    const std::vector<LatentUnit> units = ranked_units(encode(model, batches, c.train.seed));
    points.push_back({number(beta), means.kl, -means.log_likelihood,
                      int(std::ranges::count_if(units, &LatentUnit::active)), folder});
  }
  std::cout << fmt::format("\nof {} {}, nats per datum\n{:>10}{:>12}{:>14}{:>8}   {}\n", data.rows,
                           part, "beta", "rate R", "distortion D", "active",
                           "-dD/dR to the next (beta between)");
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    std::cout << fmt::format("{:>10g}{:>12.4f}{:>14.4f}{:>8}", p.beta, p.rate, p.distortion,
                             p.active);
    if (i + 1 < points.size())
      std::cout << fmt::format("   {:.4g} ({:.4g})", price_between(p, points[i + 1]),
                               logarithmic_mean(p.beta, points[i + 1].beta));
    std::cout << '\n';
  }
  const fs::path folder = c.train.out;
  write_file((folder / "sweep.json").string(), json_of(points, part).dump(2) + "\n");
  write_file((folder / "sweep.html").string(), page(points, part));
  std::cout << (folder / "sweep.html").string() << '\n';
  return 0;
}

}  // namespace

void add_sweep(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<SweepCommand>();
  CLI::App* const on = add_command<SweepCommand>(
      app, chosen, "sweep", "train with many weights of the KL: the rate-distortion curve", c,
      [&app](SweepCommand& command) { finish(app.get_subcommand("sweep"), command); });
  on->add_option("--betas", c->betas, "the weights, such as 0.5,1,2,4")->delimiter(',')->required();
  on->add_option("--limit", c->limit, "measure on the first so many data")
      ->check(whole_from<long>(1));
  add_train_options(on, c->train);
  on->footer(
      "Trains one run for each weight, in the folders OUT/beta-*, and writes OUT/sweep.json "
      "and OUT/sweep.html.\nThe options are those of train; --resume goes on with the runs "
      "that are not finished.");
}

}  // namespace elbo
