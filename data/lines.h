#pragma once
#include <algorithm>
#include <optional>
#include <string_view>

namespace elbo {

struct Line {
  std::string_view text;
  long number = 0;  // from 1
};

/// The lines of a text, which end in LF or CRLF; blank ones, of spaces at most, are skipped and
/// counted.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  /// The next line that is not blank, without its end.
  std::optional<Line> next() {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.find_first_not_of(' ') != line.npos) return Line{line, number_};
    }
    return {};
  }
  std::size_t bytes_left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  long number_ = 0;
};

}  // namespace elbo
