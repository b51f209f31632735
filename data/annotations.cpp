#include "data/annotations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "data/csv.h"
#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

std::string listed(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all.empty() ? "none" : all;
}

bool are_names(const std::vector<std::string>& cells) {
  const std::set<std::string_view> distinct(cells.begin(), cells.end());
  return distinct.size() == cells.size() &&
         std::none_of(cells.begin(), cells.end(), [](const std::string& cell) {
           return is_missing_cell(cell) || number_of_cell(cell).has_value();
         });
}

/// For each datum its line of the table; empty: in order.
std::vector<long> lines_of(const Dataset& data, const AnnotationTable& table,
                           const std::string& path) {
  const auto count = long(table.columns.front().values.size());
  std::unordered_map<std::string_view, long> line_of;
  for (const std::string& name : table.row_names) {
    const bool fresh = line_of.emplace(name, long(line_of.size())).second;
    require(fresh, path, ": row name ", quoted(name), " comes twice");
  }
  const auto named = [&](const std::string& name) { return line_of.contains(name); };
  if (std::none_of(data.row_names.begin(), data.row_names.end(), named)) {
    require(count == data.rows, path, ": has ", count, " rows, ", data.source, " has ", data.rows,
            ", and none of them has a name of the other's");
    return {};
  }
  std::vector<long> lines;
  for (const std::string& name : data.row_names) {
    const auto found = line_of.find(name);
    require(found != line_of.end(), path, ": does not name ", quoted(name), ", row ",
            lines.size() + 1, " of ", data.source);
    lines.push_back(found->second);
  }
  return lines;
}

}  // namespace

Annotation annotation_of(const std::string& name, const std::vector<std::string>& cells) {
  const bool numbers = std::all_of(cells.begin(), cells.end(), [](const std::string& cell) {
    return is_missing_cell(cell) || number_of_cell(cell).has_value();
  });
  if (!numbers) return levels_of(name, cells);
  Annotation a{name, {}, {}};
  for (const std::string& cell : cells)
    a.values.push_back(is_missing_cell(cell) ? unknown : float(*number_of_cell(cell)));
  return a;
}

Annotation levels_of(const std::string& name, const std::vector<std::string>& cells) {
  Annotation a{name, {}, {}};
  std::map<std::string_view, float> levels;
  for (const std::string& cell : cells)
    if (!is_missing_cell(cell)) levels.emplace(cell, 0.f);
  for (auto& [level, index] : levels) {
    index = float(a.levels.size());
    a.levels.emplace_back(level);
  }
  for (const std::string& cell : cells)
    a.values.push_back(is_missing_cell(cell) ? unknown : levels.at(cell));
  return a;
}

AnnotationTable read_annotations(const std::string& path) {
  TextTable text = read_text_table(path);
  AnnotationTable table;
  std::size_t first = 0;
  if (text.names[0].empty() || (text.names.size() > 1 && are_names(text.columns[0]))) {
    table.row_names = std::move(text.columns[0]);
    first = 1;
  }
  require(first < text.names.size(), path, ": has no column beside the names of its rows");
  for (std::size_t c = first; c < text.names.size(); ++c) {
    for (const Annotation& a : table.columns)
      require(a.name != text.names[c], path, ": has two columns ", quoted(a.name));
    table.columns.push_back(annotation_of(text.names[c], text.columns[c]));
  }
  return table;
}

void attach_annotations(Dataset& data, const std::string& path) {
  AnnotationTable table = read_annotations(path);
  const std::vector<long> lines = lines_of(data, table, path);
  for (Annotation& column : table.columns) {
    for (const Annotation& a : data.annotations)
      require(a.name != column.name, path, ": annotation ", quoted(a.name), " is one that ",
              data.source, " has itself");
    if (!lines.empty()) {
      std::vector<float> values;
      for (const long line : lines) values.push_back(column.values[std::size_t(line)]);
      column.values = std::move(values);
    }
    data.annotations.push_back(std::move(column));
  }
  if (data.row_names.empty()) data.row_names = std::move(table.row_names);
}

Annotation annotation_named(const Dataset& data, const std::string& name) {
  for (const Annotation& a : data.annotations)
    if (a.name == name) return a;
  if (name == "label" && !data.labels.empty()) {
    Annotation labels{.name = name, .levels = {}, .values = {}};
    const std::set<int> distinct(data.labels.begin(), data.labels.end());
    for (const int label : distinct) labels.levels.push_back(std::to_string(label));
    for (const int label : data.labels)
      labels.values.push_back(float(std::distance(distinct.begin(), distinct.find(label))));
    return labels;
  }
  std::vector<std::string> known;
  for (const Annotation& a : data.annotations) known.push_back(a.name);
  if (!data.labels.empty()) known.push_back("label");
  fail(data.source, ": has no annotation '", name, "'; it has ", listed(known));
}

void take_labels(Dataset& data, const std::string& name) {
  const Annotation a = annotation_named(data, name);
  std::vector<int> labels;
  for (const float value : a.values) {
    require(!std::isnan(value), data.source, ": annotation '", name, "' is unknown in row ",
            labels.size() + 1, ", expected a label");
    require(value == std::floor(value) && std::abs(value) < 0x1p24f, data.source, ": annotation '",
            name, "' is ", value, " in row ", labels.size() + 1,
            ", expected whole numbers or text as labels");
    labels.push_back(int(value));
  }
  data.labels = std::move(labels);
}

Dataset only(const Dataset& data, const std::string& name_and_level) {
  // The name may hold a colon itself.
  std::size_t colon = name_and_level.find(':');
  require(colon != name_and_level.npos, data.source, ": only=", name_and_level,
          ", expected only=NAME:LEVEL");
  for (std::size_t at = colon; at != name_and_level.npos; at = name_and_level.find(':', at + 1))
    for (const Annotation& a : data.annotations)
      if (a.name == name_and_level.substr(0, at)) colon = at;
  const Annotation a = annotation_named(data, name_and_level.substr(0, colon));
  const std::string level = name_and_level.substr(colon + 1);
  float wanted = 0;
  if (a.levels.empty()) {
    const auto number = number_of_cell(level);
    require(number.has_value(), data.source, ": annotation '", a.name, "' has numbers, ",
            quoted(level), " is none");
    wanted = float(*number);
  } else {
    const auto found = std::find(a.levels.begin(), a.levels.end(), level);
    require(found != a.levels.end(), data.source, ": annotation '", a.name, "' is never '", level,
            "'; it is one of ", listed(a.levels));
    wanted = float(found - a.levels.begin());
  }
  std::vector<long> rows;
  for (long r = 0; r < data.rows; ++r)
    if (a.values[std::size_t(r)] == wanted) rows.push_back(r);
  require(!rows.empty(), data.source, ": no row has ", a.name, " = ", level);
  return data.select(rows);
}

}  // namespace elbo
