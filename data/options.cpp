#include "data/options.h"

#include <algorithm>
#include <charconv>

#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

std::string decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const first = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(first, first + 2, byte, 16).ptr == first + 2) {
      plain += char(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string encoded(std::string_view text) {
  std::string code;
  for (const char c : text) {
    if (c == '&') code += "%26";
    else if (c == '%') code += "%25";
    else code += c;
  }
  return code;
}

}  // namespace

Options::Options(std::string source, std::string_view text) : source_(std::move(source)) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = part.find('=');
    require(equals != part.npos && equals > 0, source_, ": ", quoted(part),
            " follows its name, expected key=value");
    const std::string key(part.substr(0, equals));
    require(key == "only" || !get(key), source_, ": ", quoted(key), " is given twice");
    given_.emplace_back(key, decoded(part.substr(equals + 1)));
  }
}

std::optional<std::string> Options::get(std::string_view key) const {
  for (const auto& [name, value] : given_)
    if (name == key) return value;
  return {};
}

std::vector<std::string> Options::all(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : given_)
    if (name == key) values.push_back(value);
  return values;
}

long Options::whole(std::string_view key, long least, long otherwise) const {
  const auto text = get(key);
  if (!text) return otherwise;
  long value = 0;
  const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), value);
  require(status == std::errc() && end == text->data() + text->size() && value >= least, source_,
          ": ", key, "=", *text, ", expected a whole number from ", least);
  return value;
}

bool Options::yes(std::string_view key) const {
  const std::string text = get(key).value_or("0");
  require(text == "0" || text == "1", source_, ": ", key, "=", text, ", expected 0 or 1");
  return text == "1";
}

void Options::require_known(std::initializer_list<std::string_view> keys) const {
  constexpr std::string_view general[] = {"annotations", "labels",  "only",
                                          "drop",        "columns", "missing"};
  std::vector<std::string_view> known(keys);
  known.insert(known.end(), std::begin(general), std::end(general));
  for (const auto& [name, value] : given_) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string all;
    for (const std::string_view key : known) all += (all.empty() ? "" : ", ") + std::string(key);
    fail(source_, ": unknown key ", quoted(name), ", expected one of ", all);
  }
}

Options Options::take(std::initializer_list<std::string_view> keys) {
  Options taken;
  taken.source_ = source_;
  std::erase_if(given_, [&](const auto& pair) {
    if (std::find(keys.begin(), keys.end(), pair.first) == keys.end()) return false;
    taken.given_.push_back(pair);
    return true;
  });
  return taken;
}

std::string Options::text() const {
  std::string text;
  for (const auto& [name, value] : given_)
    text += (text.empty() ? "" : "&") + name + '=' + encoded(value);
  return text;
}

void Options::set(std::string_view key, std::string value) {
  for (auto& [name, old] : given_)
    if (name == key) return void(old = std::move(value));
  given_.emplace_back(key, std::move(value));
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == text.npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace elbo
