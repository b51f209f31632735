#include "models/condition.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "data/annotations.h"
#include "runtime/error.h"

namespace elbo {

namespace {

std::string listed(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all.empty() ? "none" : all;
}

std::vector<std::string> parts(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) all.push_back(part);
  return all;
}

}  // namespace

int width_of(const std::vector<Condition>& conditions) {
  int width = 0;
  for (const Condition& c : conditions) width += c.width();
  return width;
}

std::vector<Condition> conditions_of(const Dataset& data, const std::string& names) {
  std::vector<Condition> conditions;
  if (names == "none") return conditions;
  for (const std::string& name : parts(names)) {
    const Annotation a = annotation_named(data, name);
    Condition condition{.name = name, .levels = a.levels};
    if (a.levels.empty()) {
      double sum = 0, squares = 0;
      long count = 0;
      for (const float v : a.values)
        if (!std::isnan(v)) sum += v, squares += double(v) * v, ++count;
      require(count > 0, data.source, ": annotation '", name, "' is missing in every row");
      condition.mean = sum / double(count);
      const double variance = squares / double(count) - condition.mean * condition.mean;
      if (variance > 0) condition.scale = std::sqrt(variance);
    }
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

void give(Dataset& data, const std::vector<Condition>& conditions) {
  const int width = width_of(conditions);
  data.given_columns = width;
  data.given.assign(std::size_t(data.rows) * std::size_t(width), 0.f);
  int first = 0;
  for (const Condition& c : conditions) {
    const Annotation a = annotation_named(data, c.name);
    require(a.levels.empty() == c.levels.empty(), data.source, ": annotation '", c.name, "' is ",
            a.levels.empty() ? "a number" : "one of some levels",
            ", in the training data it was not");
    std::vector<long> level_of;  // that the model knows
    for (const std::string& level : a.levels) {
      const auto found = std::find(c.levels.begin(), c.levels.end(), level);
      level_of.push_back(found == c.levels.end() ? -1 : found - c.levels.begin());
    }
    for (long r = 0; r < data.rows; ++r) {
      const float v = a.values[std::size_t(r)];
      if (std::isnan(v)) continue;
      float* const row = &data.given[std::size_t(r) * width + std::size_t(first)];
      if (c.levels.empty()) {
        row[0] = float((v - c.mean) / c.scale);
        continue;
      }
      const long level = level_of[std::size_t(v)];
      if (level < 0)
        fail(data.source, ": row ", r, " has ", c.name, " = ", a.levels[std::size_t(v)],
             ", the model knows ", listed(c.levels));
      row[level] = 1;
    }
    first += c.width();
  }
}

std::vector<float> given_by(const std::vector<Condition>& conditions, const std::string& text) {
  std::vector<float> given(std::size_t(width_of(conditions)), 0.f);
  for (const std::string& part : parts(text)) {
    const std::size_t at = part.find('=');
    require(at != part.npos, "condition '", part, "': expected NAME=VALUE");
    const std::string name = part.substr(0, at), value = part.substr(at + 1);
    int first = 0;
    auto c = conditions.begin();
    for (; c != conditions.end() && c->name != name; ++c) first += c->width();
    if (c == conditions.end()) {
      std::vector<std::string> known;
      for (const Condition& k : conditions) known.push_back(k.name);
      fail("condition '", name, "': the model is told ", listed(known));
    }
    if (c->levels.empty()) {
      double number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      require(error == std::errc() && end == value.data() + value.size(), "condition ", name, ": '",
              value, "' is not a number");
      given[std::size_t(first)] = float((number - c->mean) / c->scale);
      continue;
    }
    const auto level = std::find(c->levels.begin(), c->levels.end(), value);
    require(level != c->levels.end(), "condition ", name, ": '", value, "' is none of ",
            listed(c->levels));
    given[std::size_t(first + (level - c->levels.begin()))] = 1;
  }
  return given;
}

}  // namespace elbo
