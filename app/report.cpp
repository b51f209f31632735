#include "app/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "app/chart_js.h"
#include "app/progress.h"
#include "app/report_page.h"
#include "data/atomic_file.h"
#include "data/input_file.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string base64(const Bytes& bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) { return k < bytes.size() ? unsigned(bytes[k]) : 0u; };
    const unsigned word = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int d = 0; d < 4; ++d)
      out += i + std::size_t(d) > bytes.size() ? '=' : digits[word >> (18 - 6 * d) & 63];
  }
  return out;
}

/// The units in the order in which they say most: by KL, or by variance where there is no KL.
std::vector<int> ranked_units(const Encoded& latents, const std::vector<double>& kl) {
  std::vector<double> weight = kl;
  const std::size_t units = std::size_t(latents.units);
  if (weight.empty()) {
    std::vector<double> mean(units), square(units);
    for (std::size_t i = 0; i < latents.mean.size(); ++i) {
      mean[i % units] += latents.mean[i];
      square[i % units] += double(latents.mean[i]) * latents.mean[i];
    }
    const double rows = double(latents.mean.size()) / double(units);
    for (std::size_t u = 0; u < units; ++u)
      weight.push_back(square[u] / rows - mean[u] / rows * (mean[u] / rows));
  }
  std::vector<int> order(units);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return weight[a] > weight[b]; });
  return order;
}

/// stopped: for … → Stopped: for … .
std::string sentence(std::string text) {
  text[0] = char(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

/// What the script draws.
std::string chart_data(const Report& report, const std::vector<Json>& metrics) {
  const std::vector<double> kl = kl_per_unit(report.latents);
  const std::vector<int> order = ranked_units(report.latents, kl);
  Json run{{"metrics", metrics}, {"kl", Json::array()}, {"points", Json::array()}};
  constexpr std::size_t most_bars = 200;
  if (!kl.empty())
    for (std::size_t i = 0; i < std::min(order.size(), most_bars); ++i)
      run["kl"].push_back({{"unit", order[i]}, {"kl", kl[order[i]]}});
  if (order.size() >= 2) {
    run["axes"] = {order[0], order[1]};
    const auto rounded = [](float v) { return std::round(double(v) * 1e3) / 1e3; };
    for (std::size_t i = 0; i < report.latents.mean.size() / order.size(); ++i) {
      const float* z = &report.latents.mean[i * order.size()];
      run["points"].push_back({rounded(z[order[0]]), rounded(z[order[1]]),
                               report.labels.empty() ? 0 : report.labels[i]});
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
  if (report.latents.units >= 2)
    html += fmt::format(
        "<section><h2>Latent space</h2><div class=tall><canvas id=scatter>"
        "</canvas></div><p class=soft>Codes of {}, the two units of the largest "
        "{}{}.</p></section>",
        escaped(report.shown), variational ? "KL" : "variance",
        report.labels.empty() ? "" : ", coloured by label");
  return html + "</div>\n";
}

std::string picture(const RunDirectory& folder, const char* file, const std::string& heading,
                    const std::string& caption) {
  if (!folder.has(file)) return "";
  return fmt::format(
      "<section><h2>{}</h2><img alt=\"{}\" src=\"data:image/png;base64,{}\">"
      "<p class=soft>{}</p></section>\n",
      heading, heading, base64(read_file(folder.path(file).string())), caption);
}

std::string config_table(const Report& report) {
  Json rows = settings(report.command);
  rows["observed"] = report.model.config.observed;
  if (const Preparation& preparation = report.model.config.preparation; preparation.any())
    rows["own units"] = preparation.own_units(report.model.config.observed);
  if (report.model.config.two_domains())
    rows["observed with them"] = report.model.config.with_observed;
  rows["training data"] = report.rows;
  if (report.valid_rows > 0) rows["validation data"] = report.valid_rows;
  rows["parameters"] = report.parameters;
  rows["computed on"] = report.device;
  rows["elbo"] = version;
  std::string html = "<section><h2>Configuration</h2><table>";
  for (const auto& [key, value] : rows.items())
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>", key,
                        escaped(value.is_string() ? value.get<std::string>() : value.dump()));
  return html + "</table></section>\n";
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
      escaped(report.command.line), tiles(report, metrics));
  if (charts) html += curves(variational) + latents(report, variational);
  html += picture(folder, RunDirectory::reconstructions, "Reconstructions",
                  "Rows in pairs: data, and below them their reconstructions (" +
                      escaped(report.shown.substr(report.shown.find(' ') + 1)) + ").");
  html +=
      picture(folder, RunDirectory::samples, "Samples", "Expected data at draws from the prior.");
  html += metrics_table(metrics, !charts) + config_table(report) + "</main>\n";
  if (charts)
    html += fmt::format("<script>{}</script>\n<script>const run = {};\n{}</script>\n",
                        std::string_view(chart_js, chart_js_size), chart_data(report, metrics),
                        report_script);
  write_file(folder.path(RunDirectory::report).string(), html + "</html>\n");
}

}  // namespace elbo
