#include "app/report_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "app/html.h"
#include "app/latents.h"
#include "app/pictures.h"
#include "data/png.h"

namespace elbo {

namespace {

struct Moments {
  double mean = 0, deviation = 0;  // over what is there
};

/// Of column c of values [rows, columns].
Moments moments(const std::vector<float>& values, int columns, int c) {
  double there = 0, sum = 0, squares = 0;
  for (std::size_t i = std::size_t(c); i < values.size(); i += std::size_t(columns))
    if (!std::isnan(values[i])) there += 1, sum += values[i];
  const double mean = there > 0 ? sum / there : 0;
  for (std::size_t i = std::size_t(c); i < values.size(); i += std::size_t(columns))
    if (!std::isnan(values[i])) squares += (values[i] - mean) * (values[i] - mean);
  return {mean, there > 0 ? std::sqrt(squares / there) : 0};
}

/// A column of the data, and what the model makes of it.
struct Column {
  std::string name;
  Moments data, drawn;
  double explained =
      0;             // of the variance, by the reconstruction; of classes the share that is right
  int common = 0;    // of classes the commonest
  double share = 0;  // and its share
};

bool has_classes(const Model& model) {
  return model.config().likelihood == "categorical" && !model.config().two_domains();
}

/// E[x | z], or the most probable classes, which have no mean.
std::vector<float> expected(const Model& model, const std::vector<float>& z,
                            const std::vector<float>& given, bool classes) {
  const std::vector<Real> theta = decode(model, z, given);
  return classes ? most_probable(model, theta) : model.mean(theta);
}

/// 1 - Σ (x - x̂)² / Σ (x - x̄)²
double explained(const std::vector<float>& x, const std::vector<float>& back, int columns, int c,
                 const Moments& of) {
  double there = 0, squares = 0;
  for (std::size_t i = std::size_t(c); i < x.size(); i += std::size_t(columns))
    if (!std::isnan(x[i]))
      there += 1, squares += (double(x[i]) - back[i]) * (double(x[i]) - back[i]);
  const double spread = there * of.deviation * of.deviation;
  return spread > 0 ? 1 - squares / spread : std::nan("");
}

/// The same of classes: the share of x = x̂, and that of the commonest class.
void compare_classes(const std::vector<float>& x, const std::vector<float>& back, int columns,
                     int c, Column& column) {
  std::map<int, long> counts;
  double there = 0, right = 0;
  for (std::size_t i = std::size_t(c); i < x.size(); i += std::size_t(columns)) {
    if (std::isnan(x[i])) continue;
    ++counts[int(x[i])];
    there += 1, right += x[i] == back[i];
  }
  column.explained = there > 0 ? right / there : std::nan("");
  for (const auto& [number, count] : counts)
    if (double(count) / there > column.share)
      column.common = number, column.share = double(count) / there;
}

/// Of so many rows as keep this short.
std::vector<Column> columns_of(const Model& model, const Dataset& data, Batches& batches,
                               const Encoded& latents, std::uint64_t seed) {
  const long rows = std::clamp(4'000'000L / data.columns, 1L, data.rows);
  const std::vector<float> x = model.in_own_units(data.slice(0, rows)).values();
  const std::vector<std::string> names = feature_names(data);
  std::vector<Column> columns(std::size_t(data.columns));
  for (std::size_t c = 0; c < columns.size(); ++c) columns[c].name = names[c];
  if (has_classes(model)) {
    const std::vector<float>&mean = latents.mean, &given = batches.given();
    const std::vector<float> back =
        expected(model, {mean.begin(), mean.begin() + rows * latents.units},
                 {given.begin(), given.begin() + rows * width_of(model.config().conditions)}, true);
    for (int c = 0; c < data.columns; ++c)
      compare_classes(x, back, data.columns, c, columns[std::size_t(c)]);
    return columns;
  }
  const std::vector<float> back = reconstruct(model, batches, rows);
  std::vector<float> drawn;
  if (model.variational())
    drawn = model.draw(decoded_draws(model, rows, seed, batches.given()), seed);
  for (int c = 0; c < data.columns; ++c) {
    Column& column = columns[std::size_t(c)];
    column.data = moments(x, data.columns, c), column.drawn = moments(drawn, data.columns, c);
    column.explained = explained(x, back, data.columns, c, column.data);
  }
  return columns;
}

/// A letter, where classes have letters.
std::string class_name(int number, const std::string& alphabet) {
  return std::size_t(number) < alphabet.size() ? alphabet.substr(std::size_t(number), 1)
                                               : std::to_string(number);
}

/// Three digits, or whole.
std::string number(double value) {
  const double size = std::abs(value);
  return size >= 999.5 && size < 1e6 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string columns_section(std::vector<Column> columns, const Model& model,
                            const std::string& alphabet) {
  std::erase_if(columns, [](const Column& column) { return std::isnan(column.explained); });
  if (columns.empty()) return "";
  std::ranges::stable_sort(columns, std::greater(), &Column::explained);
  constexpr std::size_t most = 24;
  const bool classes = has_classes(model), drawn = model.variational() && !classes;
  std::string html = fmt::format(
      "<div class=scroll><table class=numbers><tr><th>column</th><th>{}</th><th>{}</th>{}"
      "<th>{}</th></tr>",
      classes ? "commonest" : "data: mean", classes ? "its share" : "deviation",
      drawn ? "<th>draws: mean</th><th>deviation</th>" : "",
      classes ? "share reconstructed" : "variance explained");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns.size() > most && i >= most / 2 && i < columns.size() - most / 2) continue;
    const Column& column = columns[i];
    if (columns.size() > most && i == columns.size() - most / 2) html += "<tr><td>…</td></tr>";
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td>", escaped(column.name),
                        classes ? class_name(column.common, alphabet) : number(column.data.mean),
                        number(classes ? column.share : column.data.deviation));
    if (drawn)
      html += fmt::format("<td>{}</td><td>{}</td>", number(column.drawn.mean),
                          number(column.drawn.deviation));
    constexpr double widest = 75;  // left of the number
    html += fmt::format("<td class=bar><i style=\"width:{:.0f}%\"></i>{:.2f}</td></tr>",
                        widest * std::clamp(column.explained, 0., 1.), column.explained);
  }
  return section(
      "Columns", html + "</table></div>",
      fmt::format("By how well each is reconstructed; {:.2f} is the median of {}.{}{}",
                  columns[columns.size() / 2].explained, columns.size(),
                  columns.size() > most ? " The best and the worst are shown." : "",
                  drawn ? " Draws are what the model makes of the prior: where it has learnt how "
                          "the data are spread, mean and deviation agree."
                        : ""));
}

/// A unit, and the expected data [steps, columns] at some values of it.
struct Way {
  LatentUnit unit;
  std::vector<float> values, x;
};

std::vector<Way> ways(const Model& model, const Encoded& latents, const std::vector<float>& given,
                      bool pictures) {
  const std::size_t most = pictures ? 8 : 4;
  const int steps = pictures ? 15 : 7;
  std::vector<LatentUnit> units = ranked_units(latents);
  const std::size_t width = units.size();
  std::vector<float> start(width, 0.f);
  // An autoencoder's codes are where they are; those of a prior are about 0.
  if (!model.variational())
    for (const LatentUnit& u : units) start[std::size_t(u.unit)] = float(u.centre);
  std::erase_if(units, [](const LatentUnit& u) { return !u.active; });
  units.resize(std::min(units.size(), most));
  const std::vector<float> told(given.begin(), given.begin() + width_of(model.config().conditions));
  std::vector<Way> ways;
  for (const LatentUnit& u : units) {
    float low = -3, high = 3;
    if (!model.variational()) {
      low = high = float(u.centre);
      for (std::size_t i = std::size_t(u.unit); i < latents.mean.size(); i += width)
        low = std::min(low, latents.mean[i]), high = std::max(high, latents.mean[i]);
    }
    const std::vector<float> z = along(start, u.unit, low, high, steps);
    Way way{u, {}, expected(model, z, told, has_classes(model) && !pictures)};
    for (std::size_t i = std::size_t(u.unit); i < z.size(); i += width) way.values.push_back(z[i]);
    ways.push_back(std::move(way));
  }
  return ways;
}

std::string name_of(const Way& way, bool variational) {
  return fmt::format("unit {}<br><span class=soft>{} {:.3g}</span>", way.unit.unit,
                     variational ? "KL" : "variance",
                     variational ? way.unit.kl : way.unit.variance);
}

/// From orange by way of nothing to blue, for so many deviations from a column's mean.
std::string cell(double off, const std::string& text) {
  return fmt::format("<td style=\"background:rgba({},{:.2f})\">{}</td>",
                     off < 0 ? "217,130,43" : "47,109,181", std::min(std::abs(off) / 3, 1.) * 0.65,
                     escaped(text));
}

std::string table_of(const Way& way, const std::vector<Column>& columns, const Model& model,
                     const std::string& alphabet) {
  constexpr std::size_t most = 8;
  const bool classes = has_classes(model);
  const std::size_t width = columns.size(), steps = way.values.size();
  // In deviations; a class is as it is in the middle, or it is not.
  const auto off = [&](std::size_t step, std::size_t c) {
    const float value = way.x[step * width + c];
    if (classes) return value == way.x[steps / 2 * width + c] ? 0 : 1.5;
    return (value - columns[c].data.mean) / columns[c].data.deviation;
  };
  std::vector<std::pair<double, std::size_t>> moved;
  for (std::size_t c = 0; c < width; ++c) {
    if (!classes && !(columns[c].data.deviation > 0)) continue;
    double low = off(0, c), high = low;
    for (std::size_t s = 1; s < steps; ++s)
      low = std::min(low, off(s, c)), high = std::max(high, off(s, c));
    // What the model does not explain moves for nothing.
    moved.emplace_back((high - low) * std::max(columns[c].explained, 0.), c);
  }
  std::ranges::stable_sort(moved, [](const auto& a, const auto& b) { return a.first > b.first; });
  moved.resize(std::min(moved.size(), most));
  std::string html = fmt::format("<div><table class=\"numbers heat\"><tr><th>{}</th>",
                                 name_of(way, model.variational()));
  for (const float value : way.values) html += "<th>" + number(value) + "</th>";
  html += "</tr>";
  for (const auto& [_, c] : moved) {
    html += "<tr><th>" + escaped(columns[c].name) + "</th>";
    for (std::size_t s = 0; s < steps; ++s) {
      const float value = way.x[s * width + c];
      html += cell(off(s, c), classes ? class_name(int(value), alphabet) : number(value));
    }
    html += "</tr>";
  }
  return html + "</table></div>";
}

std::string pictures_of(const Way& way, const Model& model, const Dataset& data) {
  std::vector<float> x = way.x;
  for (float& value : x) value *= model.brightness();
  const int steps = int(way.values.size());
  return fmt::format("<div class=walk><div>{}</div>{}</div>", name_of(way, model.variational()),
                     image(png_grid(x.data(), steps, data.image_height, data.image_width, steps),
                           "What a latent unit does"));
}

}  // namespace

std::string report_sections(const Model& model, const Dataset& data, Batches& batches,
                            const Encoded& latents, std::uint64_t seed) {
  const bool pictures = data.image_height > 0, variational = model.variational();
  std::vector<Column> columns;
  if (!pictures) columns = columns_of(model, data, batches, latents, seed);
  std::string walks;
  for (const Way& way : ways(model, latents, batches.given(), pictures))
    walks +=
        pictures ? pictures_of(way, model, data) : table_of(way, columns, model, data.alphabet);
  const std::string what =
      pictures             ? "The unit that says most comes first."
      : has_classes(model) ? "The most probable classes, of each unit in columns that it changes "
                             "and that are reconstructed best; another than in the middle is blue."
                           : "Of each unit the columns that it moves most of what the model "
                             "explains, in the data's own units; the colours are deviations from "
                             "the column's mean: orange below, blue above.";
  std::string html;
  if (!walks.empty())
    html += section(
        "What the latent units do", pictures ? walks : "<div class=walks>" + walks + "</div>",
        fmt::format("Expected data while one unit goes {}{}. {}",
                    variational ? "from -3 to 3 and the others stay at 0"
                                : "from the lowest of its codes to the highest and the others stay "
                                  "at their means",
                    model.config().conditions.empty() ? "" : ", told what the first datum is",
                    what));
  return html + (pictures ? "" : columns_section(std::move(columns), model, data.alphabet));
}

}  // namespace elbo
