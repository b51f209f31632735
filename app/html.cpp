#include "app/html.h"

#include <fmt/format.h>

#include <string_view>

namespace elbo {

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

namespace {

std::string base64(const std::vector<std::uint8_t>& bytes) {
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

}  // namespace

std::string image(const std::vector<std::uint8_t>& png, const std::string& what) {
  return fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\">", what, base64(png));
}

std::string section(const std::string& heading, const std::string& body,
                    const std::string& caption) {
  return fmt::format("<section><h2>{}</h2>{}<p class=soft>{}</p></section>\n", heading, body,
                     caption);
}

}  // namespace elbo
