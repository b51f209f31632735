#include "app/config_file.h"

#include <stdexcept>

namespace {
struct BrokenPromise : std::logic_error {
  using logic_error::logic_error;
};
constexpr void promise(bool holds, const char* what) {
  if (!holds) throw BrokenPromise(what);
}
}  // namespace

// The parser of toml++ 3.3 asserts some of what a file can break ("[=", a time without hours), and
// in a release takes it for granted: here it is thrown.
#undef NDEBUG
#define TOML_ASSERT(expression) promise(bool(expression), #expression)
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "app/command_line.h"

namespace elbo {

namespace {

/// Without what would break a line: keys and the parser's complaints may quote any character.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return line;
}

std::string scalar_text(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  std::ostringstream out;
  out.precision(17);
  if (const auto* integer = node.as_integer()) out << integer->get();
  else if (const auto* number = node.as_floating_point()) out << number->get();
  else if (const auto* truth = node.as_boolean()) out << (truth->get() ? "true" : "false");
  else throw UsageError(where + ": expected a string, a number, a truth value or a list of them");
  return out.str();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> read_config(const std::string& path) {
  if (!std::filesystem::is_regular_file(path))
    throw UsageError(path + ": there is no such config file");
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    std::ostringstream text;
    text << path << ", line " << error.source().begin.line << ": " << one_line(error.description());
    throw UsageError(text.str());
  } catch (const BrokenPromise&) {
    throw UsageError(path + ": is not TOML");
  }
  std::vector<std::pair<unsigned, std::pair<std::string, std::string>>> by_line;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const unsigned line = node.source().begin.line;
    const std::string where = path + ", line " + std::to_string(line) + ": " + one_line(name);
    std::string value;
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& entry : *list)
        value += (value.empty() ? "" : ",") + scalar_text(entry, where);
      if (value.empty()) value = "none";
    } else {
      value = scalar_text(node, where);
    }
    by_line.push_back({line, {name, value}});
  }
  std::stable_sort(by_line.begin(), by_line.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<std::string, std::string>> entries;
  for (auto& [line, entry] : by_line) entries.push_back(std::move(entry));
  return entries;
}

std::string to_toml(const nlohmann::ordered_json& settings) {
  std::string text;
  // A flat JSON object's scalars and lists are written as TOML writes them.
  for (const auto& [key, value] : settings.items()) text += key + " = " + value.dump() + "\n";
  return text;
}

}  // namespace elbo
