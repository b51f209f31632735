#include "data/csv.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "data/annotations.h"
#include "data/atomic_file.h"
#include "data/lines.h"
#include "runtime/error.h"

namespace elbo {
namespace {

using Text = std::string_view;

Text trimmed(Text text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Whether the cell can be a name.  A lone dash or dot is neither that nor a number.
bool is_text(Text cell) {
  return !number_of_cell(cell) && !is_missing_cell(cell) && cell != "-" && cell != ".";
}

class CellSplitter {
 public:
  CellSplitter(const std::string& source, Text first_line)
      : source_(source), delimiter_(delimiter_of(first_line)) {}

  char delimiter() const { return delimiter_; }

  /// Takes the next cell off `rest`, which loses its data pointer with the last cell of the line.
  std::string take_cell(Text& rest, const Line& line, std::size_t column) const {
    const std::size_t start = rest.find_first_not_of(delimiter_ == '\t' ? " " : " \t");
    if (start == rest.npos || rest[start] != '"') {
      const std::size_t end = rest.find(delimiter_);
      const std::string cell(trimmed(rest.substr(0, end)));
      rest = end == rest.npos ? Text() : rest.substr(end + 1);
      return cell;
    }
    std::string cell;
    std::size_t at = start + 1;
    while (true) {
      const std::size_t quote = rest.find('"', at);
      require(quote != rest.npos, place(line, column), "a quote is opened and not closed in ",
              quoted(rest));
      cell += rest.substr(at, quote - at);
      at = quote + 1;
      if (at == rest.size() || rest[at] != '"') break;
      cell += '"', ++at;
    }
    const std::size_t end = rest.find(delimiter_, at);
    require(trimmed(rest.substr(at, end - at)).empty(), place(line, column),
            "text follows the closing quote in ", quoted(rest));
    rest = end == rest.npos ? Text() : rest.substr(end + 1);
    return cell;
  }

  std::vector<std::string> cells_of(const Line& line) const {
    std::vector<std::string> cells;
    for (Text rest = line.text; rest.data() != nullptr;)
      cells.push_back(take_cell(rest, line, cells.size() + 1));
    return cells;
  }

  std::string place(const Line& line, std::size_t column) const {
    return source_ + ':' + std::to_string(line.number) + ':' + std::to_string(column) + ": ";
  }

 private:
  static char delimiter_of(Text line) {
    bool inside = false;
    bool semicolon = false;
    for (const char c : line) {
      inside ^= c == '"';
      if (inside) continue;
      if (c == '\t') return '\t';
      semicolon |= c == ';';
    }
    return semicolon ? ';' : ',';
  }

  const std::string& source_;
  char delimiter_;
};

class CsvParser {
 public:
  CsvParser(const std::string& source, Text text, const Options& options)
      : source_(source),
        options_(options),
        lines_(text),
        splitter_(source, Lines(text).next().value_or(Line{}).text) {}

  Dataset parse() {
    const auto first = lines_.next();
    require(first.has_value(), source_, ": holds blank lines only, expected numbers");
    const auto second = lines_.next();
    const std::vector<std::string> top = splitter_.cells_of(*first);
    const std::vector<std::string> below = second ? splitter_.cells_of(*second) : top;

    named_rows_ = below.size() > 1 && is_text(below[0]);
    const bool headed = second && is_header(top, below);
    width_ = headed ? below.size() : top.size();
    reference_ = headed ? second->number : first->number;
    require(second || std::none_of(top.begin() + named_rows_, top.end(), is_text) ||
                !std::all_of(top.begin(), top.end(), is_text),
            source_, ": holds a header only, expected numbers below it");
    set_aside(headed, top);
    if (headed) take_names(*first, top);

    data_.source = source_;
    data_.type = Dataset::Type::f32;
    require(width_ <= std::size_t(std::numeric_limits<int>::max()), source_, ": ", width_,
            " columns, at most 2^31 - 1 are handled");
    const auto kept = std::count(aside_.begin() + named_rows_, aside_.end(), Aside::no);
    require(kept > 0, source_, ": no column of numbers is left");
    data_.columns = int(kept);
    const std::size_t likely = lines_.bytes_left() / std::max<std::size_t>(1, first->text.size());
    data_.floats.reserve((likely + 2) * std::size_t(data_.columns));
    if (!headed) add(*first);
    if (second) add(*second);
    while (const auto line = lines_.next()) add(*line);
    if (!label_name_.empty()) {
      data_.annotations.push_back(annotation_of(label_name_, label_cells_));
      take_labels(data_, label_name_);
    }
    return std::move(data_);
  }

 private:
  bool is_header(const std::vector<std::string>& top, const std::vector<std::string>& below) const {
    if (named_rows_ && top.size() + 1 == below.size()) return true;
    if (top.size() != below.size()) return std::all_of(top.begin(), top.end(), is_text);
    if (named_rows_ && top[0].empty()) return true;
    for (std::size_t i = named_rows_; i < top.size(); ++i)
      if (is_text(top[i]) && number_of_cell(below[i])) return true;
    // The first datum may be missing altogether.
    return std::all_of(top.begin() + named_rows_, top.end(), is_text) &&
           std::all_of(below.begin() + named_rows_, below.end(), is_missing_cell);
  }

  /// Finds the columns that labels= and drop= name.
  void set_aside(bool headed, const std::vector<std::string>& top) {
    aside_.assign(width_, Aside::no);
    const std::size_t unnamed = headed ? width_ - top.size() : 0;
    const auto place_of = [&](const std::string& name) {
      if (headed)
        for (std::size_t i = 0; i < top.size(); ++i)
          if (top[i] == name) return i + unnamed;
      std::size_t number = 0;
      const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
      require(status == std::errc() && end == name.data() + name.size() && number >= 1 &&
                  number <= width_,
              source_, ": has no column ", quoted(name), headed ? "" : " (it has no header)",
              ", expected a name in its header or a number from 1 to ", width_);
      return number - 1;
    };
    const auto set = [&](const std::string& name, Aside what) {
      const std::size_t at = place_of(name);
      aside_[at] = what;
      if (at == 0) named_rows_ = false;
      return at;
    };
    if (const auto names = options_.get("drop"))
      for (const std::string& name : split_list(*names)) set(name, Aside::dropped);
    if (const auto name = options_.get("labels")) {
      const std::size_t at = set(*name, Aside::label);
      label_name_ = headed && at >= unnamed ? top[at - unnamed] : *name;
    }
  }

  void take_names(const Line& line, const std::vector<std::string>& top) {
    const std::size_t skipped = top.size() == width_ ? named_rows_ : 0;
    require(top.size() - skipped == width_ - named_rows_, source_, ":", line.number,
            ": header has ", top.size(), " cells, line ", reference_, " has ", width_);
    for (std::size_t i = skipped; i < top.size(); ++i)
      if (aside_[i + width_ - top.size()] == Aside::no) data_.column_names.push_back(top[i]);
  }

  void add(const Line& line) {
    Text rest = line.text;
    std::size_t column = 1;
    if (named_rows_) data_.row_names.push_back(splitter_.take_cell(rest, line, column++));
    for (; rest.data() != nullptr && column <= width_; ++column) {
      if (const Aside aside = aside_[column - 1]; aside != Aside::no) [[unlikely]] {
        std::string cell = splitter_.take_cell(rest, line, column);
        if (aside == Aside::label) label_cells_.push_back(std::move(cell));
        continue;
      }
      float value = 0;
      const auto [end, status] = std::from_chars(rest.begin(), rest.end(), value);
      const bool whole = end == rest.end() || *end == splitter_.delimiter();
      if (status == std::errc() && whole && std::isfinite(value)) [[likely]]
        rest = end == rest.end() ? Text() : Text(end + 1, std::size_t(rest.end() - end - 1));
      else value = awkward_number(rest, line, column);
      data_.floats.push_back(value);
    }
    if (rest.data() != nullptr || column != width_ + 1)
      fail(source_, ":", line.number, ": ", splitter_.cells_of(line).size(), " cells, expected ",
           width_, " as in line ", reference_);
    ++data_.rows;
  }

  /// A missing value, a number with spaces, quotes or a plus sign, or one too small for float32; or
  /// what is wrong.
  float awkward_number(Text& rest, const Line& line, std::size_t column) const {
    const std::string cell = splitter_.take_cell(rest, line, column);
    const Text text = trimmed(cell);
    if (is_missing_cell(text)) return std::numeric_limits<float>::quiet_NaN();
    const auto number = number_of_cell(text);
    require(number.has_value(), splitter_.place(line, column), quoted(text), " is not a number");
    const bool spelt = text.find_first_of("nN") != text.npos;  // inf
    require(std::isfinite(float(*number)), splitter_.place(line, column), quoted(text),
            spelt ? " is not finite" : " is too large for float32");
    return float(*number);
  }

  enum class Aside : char { no, dropped, label };

  const std::string& source_;
  const Options& options_;
  Lines lines_;
  CellSplitter splitter_;
  bool named_rows_ = false;
  std::size_t width_ = 0;     // cells of a line
  long reference_ = 1;        // the line that says so
  std::vector<Aside> aside_;  // a word a cell
  std::string label_name_;
  std::vector<std::string> label_cells_;
  Dataset data_;
};

/// Every cell of a table as text, below its header.
TextTable texts(const std::string& source, Text content) {
  Lines lines(content);
  const auto first = lines.next(), second = lines.next();
  require(second.has_value(), source, ": holds fewer than two lines, expected a header and rows");
  const CellSplitter splitter(source, first->text);
  TextTable table;
  table.names = splitter.cells_of(*first);
  const std::size_t width = splitter.cells_of(*second).size();
  if (table.names.size() + 1 == width) table.names.insert(table.names.begin(), "");
  table.columns.resize(table.names.size());
  for (auto line = second; line; line = lines.next()) {
    std::vector<std::string> cells = splitter.cells_of(*line);
    require(cells.size() == table.names.size(), source, ":", line->number, ": ", cells.size(),
            " cells, expected ", table.names.size(), " as in the header");
    for (std::size_t c = 0; c < cells.size(); ++c) table.columns[c].push_back(std::move(cells[c]));
  }
  return table;
}

Text text_of(const Bytes& content) {
  Text text(reinterpret_cast<const char*>(content.data()), content.size());
  constexpr Text byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return text;
}

}  // namespace

std::optional<long double> number_of_cell(Text cell) {
  if (cell.starts_with('+') && !cell.starts_with("+-")) cell.remove_prefix(1);
  long double number = 0;
  const auto [end, status] = std::from_chars(cell.begin(), cell.end(), number);
  if (cell.empty() || end != cell.end() || status == std::errc::invalid_argument) return {};
  if (status == std::errc::result_out_of_range) return std::numeric_limits<long double>::infinity();
  return number;
}

bool is_missing_cell(Text cell) {
  if (const auto number = number_of_cell(cell)) return std::isnan(*number);
  const auto says = [cell](Text mark) {
    const auto same = [](unsigned char a, char b) { return std::tolower(a) == b; };
    return std::equal(cell.begin(), cell.end(), mark.begin(), mark.end(), same);
  };
  constexpr Text marks[] = {"", "?", "na", "n/a", "null", "none"};
  return std::any_of(std::begin(marks), std::end(marks), says);
}

Dataset read_csv(const std::string& path) { return parse_csv(path, read_file(path)); }

Dataset parse_csv(const std::string& source, Bytes content, const Options& options) {
  options.require_known({});
  return CsvParser(source, text_of(content), options).parse();
}

TextTable read_text_table(const std::string& path) {
  const Bytes content = read_file(path);
  return texts(path, text_of(content));
}

namespace {

std::string cell(Text name, char delimiter) {
  const bool plain = name.find_first_of(std::string("\"\r\n") + delimiter) == name.npos &&
                     trimmed(name).size() == name.size();
  if (plain) return std::string(name);
  std::string all = "\"";
  for (const char c : name) all += c == '"' ? "\"\"" : std::string(1, c);
  return all + '"';
}

}  // namespace

void write_csv(const std::string& path, const std::vector<std::string>& column_names,
               const std::vector<std::string>& row_names, long rows, int columns,
               const float* values) {
  require(column_names.empty() || column_names.size() == std::size_t(columns), path, ": ",
          column_names.size(), " names for ", columns, " columns");
  require(row_names.empty() || row_names.size() == std::size_t(rows), path, ": ", row_names.size(),
          " names for ", rows, " rows");
  const char delimiter = path.ends_with(".tsv") ? '\t' : ',';
  AtomicFile file(path);
  std::string line;
  if (!column_names.empty()) {
    for (int c = 0; c < columns; ++c) {
      if (c > 0 || !row_names.empty()) line += delimiter;
      line += cell(column_names[std::size_t(c)], delimiter);
    }
    file.write(line + '\n');
  }
  for (long r = 0; r < rows; ++r) {
    line = row_names.empty() ? "" : cell(row_names[std::size_t(r)], delimiter);
    for (int c = 0; c < columns; ++c) {
      if (c > 0 || !row_names.empty()) line += delimiter;
      const float value = values[std::size_t(r) * std::size_t(columns) + std::size_t(c)];
      char digits[32];
      const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
      line += std::isnan(value) ? Text("NaN") : Text(digits, std::size_t(end - digits));
    }
    file.write(line + '\n');
  }
  file.commit();
}

}  // namespace elbo
