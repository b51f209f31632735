#include "data/builtin.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "data/cell_cycle.h"
#include "data/digits.h"
#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

std::uint64_t count_in(const std::string& what, std::string_view key, std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, status] = std::from_chars(text.begin(), text.end(), count);
  require(status == std::errc() && end == text.end(), what, ": ", key, " is ", quoted(text),
          ", expected a whole number from 0");
  return count;
}

}  // namespace

Dataset builtin_dataset(const std::string& what) {
  const std::size_t mark = std::min(what.find('?'), what.size());
  const std::string name = what.substr(0, mark);
  const bool digits = name == "builtin:digits";
  require(digits || name == "builtin:cell-cycle", what,
          ": no such built-in data set, expected builtin:digits or builtin:cell-cycle");
  std::uint64_t count = digits ? 10000 : 2000, seed = 0;
  for (std::string_view rest = std::string_view(what).substr(mark); !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(part.size());
    const std::size_t equal = part.find('=');
    require(equal != part.npos, what, ": ", quoted(part), " is not KEY=VALUE");
    const std::string_view key = part.substr(0, equal), value = part.substr(equal + 1);
    require(key == "n" || key == "seed", what, ": unknown key ", quoted(key),
            ", expected n or seed");
    (key == "n" ? count : seed) = count_in(what, key, value);
  }
  require(count >= 1 && count <= 10'000'000, what, ": n is ", count, ", expected 1 to 10000000");
  Dataset data = digits ? draw_digits(long(count), seed) : simulate_cell_cycle(long(count), seed);
  data.source = what;
  return data;
}

}  // namespace elbo
