#include "app/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <regex>
#include <string_view>

#include "app/chart_js.h"
#include "app/html.h"
#include "app/latents.h"
#include "app/progress.h"
#include "app/report_page.h"
#include "data/atomic_file.h"
#include "data/input_file.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

/// stopped: for … → Stopped: for … .
std::string sentence(std::string text) {
  text[0] = char(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

/// What points are coloured by: the labels, by their names where an annotation has them, or else
/// the first annotation of few levels.
struct Colouring {
  std::string by;
  std::vector<int> group;  // of each datum; none: all alike
  std::vector<std::string> names;
};

Colouring colouring(const Dataset& data) {
  Colouring none{"", data.labels, {}};
  if (!data.labels.empty()) none.by = "label";
  for (const Annotation& a : data.annotations) {
    std::vector<int> group;
    for (const float value : a.values) group.push_back(std::isnan(value) ? -1 : int(value));
    if (a.levels.size() > 1 && a.levels.size() <= 20 &&
        (data.labels.empty() || group == data.labels))
      return {a.name, group, a.levels};
  }
  return none;
}

/// What the script draws.
std::string chart_data(const Report& report, const std::vector<Json>& metrics) {
  const std::vector<LatentUnit> units = ranked_units(report.latents);
  Json run{{"metrics", metrics}, {"kl", Json::array()}, {"points", Json::array()}};
  constexpr std::size_t most_bars = 200;
  if (!report.latents.log_variance.empty())
    for (std::size_t i = 0; i < std::min(units.size(), most_bars); ++i)
      run["kl"].push_back({{"unit", units[i].unit}, {"kl", units[i].kl}});
  if (units.size() >= 2) {
    const int x = units[0].unit, y = units[1].unit;
    const Colouring colours = colouring(report.data);
    run["axes"] = {x, y};
    run["names"] = colours.names;
    const auto rounded = [](float v) { return std::round(double(v) * 1e3) / 1e3; };
    for (std::size_t i = 0; i < report.latents.mean.size() / units.size(); ++i) {
      const float* z = &report.latents.mean[i * units.size()];
      run["points"].push_back(
          {rounded(z[x]), rounded(z[y]), colours.group.empty() ? 0 : colours.group[i]});
    }
  }
  std::string text = run.dump();
  // No text inside can end the script.
  for (std::size_t at = 0; (at = text.find("</", at)) != std::string::npos;)
    text.replace(at, 2, "<\\/");
  return text;
}

std::string tile(const std::string& value, const std::string& what) {
  return fmt::format("<div class=tile><b>{}</b><span>{}</span></div>\n", escaped(value),
                     escaped(what));
}

std::string number(const Json& value) {
  if (value.is_null()) return "";
  return value.is_number_float() ? fmt::format("{:.5g}", value.get<double>()) : value.dump();
}

std::string tiles(const Report& report, const std::vector<Json>& metrics) {
  const Json& last = metrics[std::size_t(report.epoch - 1)];
  const bool valid = !last.at("valid_log_likelihood").is_null();
  const std::string of = valid ? ", validation" : "";
  const auto means = [&](const std::string& key) { return last.at((valid ? "valid_" : "") + key); };
  std::string html;
  if (!last.at("elbo").is_null()) html += tile(number(means("elbo")), "ELBO" + of);
  html += tile(number(means("log_likelihood")), "log-likelihood" + of);
  if (!last.at("kl").is_null()) html += tile(number(means("kl")), "KL" + of);
  double seconds = 0;
  for (const Json& m : metrics) seconds += m.at("seconds").get<double>();
  html += tile(fmt::format("{}", metrics.size()), "epochs");
  html += tile(duration(seconds), "training time");
  html += tile(short_count(double(report.rows) * double(metrics.size()) / std::max(seconds, 1e-9)),
               "data per second");
  html += tile(short_count(double(report.rows)), "training data");
  html += tile(short_count(double(report.parameters)), "parameters");
  return html;
}

std::string curves(bool variational) {
  std::string html = "<section><h2>Training</h2><div class=charts>";
  if (variational) html += "<div><canvas id=elbo></canvas></div>";
  html += "<div><canvas id=log_likelihood></canvas></div>";
  if (variational) html += "<div><canvas id=kl></canvas></div>";
  return html + "</div></section>\n";
}

std::string latents(const Report& report, bool variational) {
  std::string html = "<div class=halves>";
  if (variational)
    html += fmt::format(
        "<section><h2>KL per latent unit</h2><div class=tall><canvas id=units>"
        "</canvas></div><p class=soft>{}; {}.</p></section>",
        escaped(report.diagnosis), escaped(report.shown));
  if (report.latents.units >= 2) {
    const std::string by = colouring(report.data).by;
    html += fmt::format(
        "<section><h2>Latent space</h2><div class=tall><canvas id=scatter>"
        "</canvas></div><p class=soft>Codes of {}, the two units of the largest "
        "{}{}.</p></section>",
        escaped(report.shown), variational ? "KL" : "variance",
        by.empty() ? "" : ", coloured by " + escaped(by));
  }
  return html + "</div>\n";
}

std::string picture(const RunDirectory& folder, const char* file, const std::string& heading,
                    const std::string& caption) {
  if (!folder.has(file)) return "";
  return section(heading, image(read_file(folder.path(file).string()), heading), caption);
}

std::string listed(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<dl>";
  for (const auto& [what, text] : facts)
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escaped(what), escaped(text));
  return html + "</dl>";
}

/// As `elbo inspect` advises, beside what was chosen.
std::string advised(const Advice& advice, const std::string& chosen, long all) {
  std::vector<Choice> rows = advice.choices;
  const std::string recommended = rows[0].likelihood;
  const auto known = [&](const Choice& row) { return row.likelihood == chosen; };
  if (std::ranges::none_of(rows, known)) rows.push_back({chosen, "not among those that apply"});
  std::string html = "<table><tr><th>likelihood</th><th></th><th>why</th></tr>";
  for (const Choice& row : rows) {
    std::string marks = known(row) ? "chosen" : "";
    if (row.likelihood == recommended) marks += marks.empty() ? "recommended" : ", recommended";
    html +=
        fmt::format("<tr{}><td>{}</td><td>{}</td><td>{}</td></tr>",
                    known(row) ? " class=chosen" : "", row.likelihood, marks, escaped(row.reason));
  }
  html += "</table>";
  for (const std::string& warning : advice.warnings)
    html += "<p class=note>" + escaped(warning) + "</p>";
  return html + fmt::format(
                    "<p class=soft>Recommended: <code>--likelihood {}{}</code>, of what elbo "
                    "inspect finds in {}.</p>",
                    recommended, advice.flags,
                    advice.rows < all ? fmt::format("the first {} rows", advice.rows) : "all rows");
}

std::string data_section(const Report& report) {
  std::vector<std::pair<std::string, std::string>> facts{{"source", report.command.data}};
  if (!report.command.with.empty()) facts.emplace_back("with", report.command.with);
  facts.insert(facts.end(), report.facts.begin(), report.facts.end());
  if (report.valid_rows > 0)
    facts.emplace_back("validation data", fmt::format("{} rows", report.valid_rows));
  const std::string given =
      report.advice ? advised(*report.advice, report.model.config.likelihood, report.rows) : "";
  return section("Training data", listed(facts) + given, "As they were read.");
}

std::string config_section(const Report& report) {
  Json rows = settings(report.command);
  rows["observed"] = report.model.config.observed;
  if (const Preparation& preparation = report.model.config.preparation; preparation.any())
    rows["own units"] = preparation.own_units(report.model.config.observed);
  if (report.model.config.two_domains())
    rows["observed with them"] = report.model.config.with_observed;
  rows["parameters"] = report.parameters;
  rows["computed on"] = report.device;
  rows["ended"] = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
  rows["elbo"] = version;
  std::vector<std::pair<std::string, std::string>> facts;
  for (const auto& [key, value] : rows.items())
    facts.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return section("Configuration", listed(facts),
                 "Stands in config.toml as well: elbo train --config config.toml --out NEW is the "
                 "same training again.");
}

std::string metrics_table(const std::vector<Json>& metrics, bool open) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : metrics.back().items())
    if (!value.is_null()) keys.push_back(key);
  std::string html = fmt::format(
      "<section><details{}><summary>Metrics of every epoch</summary>"
      "<div class=scroll><table class=numbers><tr>",
      open ? " open" : "");
  for (const std::string& key : keys) html += "<th>" + key + "</th>";
  html += "</tr>";
  for (const Json& m : metrics) {
    html += "<tr>";
    for (const std::string& key : keys) html += "<td>" + number(m.at(key)) + "</td>";
    html += "</tr>";
  }
  return html + "</table></div></details></section>\n";
}

}  // namespace

void write_report(const RunDirectory& folder, const Report& report) {
  std::vector<Json> metrics;
  for (const std::string& line : report.history) metrics.push_back(Json::parse(line));
  const bool variational = report.model.config.model == "vae", charts = chart_js_size > 0;
  const std::string name = escaped(folder.folder().filename().string());

  std::string html = fmt::format(
      "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<title>Elbo: {}</title>\n<style>{}</style>\n<main>\n<h1>{}</h1>\n"
      "<p class=soft>{} on {}. Losses are in nats per datum, summed over features, "
      "unweighted.{}</p>\n<pre><code>{}</code></pre>\n<div class=tiles>{}</div>\n",
      name, report_style, name, variational ? "Variational autoencoder" : "Autoencoder",
      escaped(report.command.data),
      report.ending.empty() ? "" : " " + escaped(sentence(report.ending)),
      std::regex_replace(escaped(report.command.line), std::regex(" (--[^ ]+)"),
                         " <span>$1</span>"),
      tiles(report, metrics));
  if (charts) html += curves(variational) + latents(report, variational);
  html += picture(folder, RunDirectory::reconstructions, "Reconstructions",
                  "Rows in pairs: data, and below them their reconstructions (" +
                      escaped(report.shown.substr(report.shown.find(' ') + 1)) + ").");
  html +=
      picture(folder, RunDirectory::samples, "Samples", "Expected data at draws from the prior.");
  html += report.sections + data_section(report) + metrics_table(metrics, !charts) +
          config_section(report) + "</main>\n";
  if (charts)
    html += fmt::format("<script>{}</script>\n<script>const run = {};\n{}{}</script>\n",
                        std::string_view(chart_js, chart_js_size), chart_data(report, metrics),
                        report_colours, report_script);
  write_file(folder.path(RunDirectory::report).string(), html + "</html>\n");
}

}  // namespace elbo
