#include "data/matrix_market.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <numeric>

#include "data/lines.h"
#include "data/lists.h"
#include "runtime/error.h"

namespace elbo {
namespace {

using Text = std::string_view;
namespace fs = std::filesystem;

Text text_of(const Bytes& content) {
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

/// Takes the next word off `rest`; empty at the end of the line.
Text take_word(Text& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  const Text word = rest.substr(0, rest.find_first_of(" \t"));
  rest.remove_prefix(word.size());
  return word;
}

/// Takes a number off `rest`; false if the next word is none, or one that does not fit.
template <class Number>
bool take(Text& rest, Number& number) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  const auto [end, status] = std::from_chars(rest.begin(), rest.end(), number);
  if (status != std::errc() || (end != rest.end() && *end != ' ' && *end != '\t')) return false;
  rest.remove_prefix(std::size_t(end - rest.begin()));
  return true;
}

struct Names {
  std::string file;  // empty: there is none
  std::vector<std::string> list;
};

/// Cell `column` (from 0) of each line, or the last if there are fewer, of the first of these files
/// that there is.
Names read_names(const fs::path& folder, std::initializer_list<const char*> files, int column) {
  for (const char* file : files)
    for (const char* ending : {"", ".gz"}) {
      Names names{(folder / file).string() + ending, {}};
      if (!fs::exists(names.file)) continue;
      const Bytes content = read_file(names.file);
      Lines lines(text_of(content));
      while (const auto line = lines.next()) {
        Text cell = line->text;
        for (int i = 0; i < column && cell.find('\t') != cell.npos; ++i)
          cell.remove_prefix(cell.find('\t') + 1);
        names.list.emplace_back(cell.substr(0, cell.find('\t')));
      }
      return names;
    }
  return {};
}

// More than the barcodes there are of 10x Genomics, so that a file may list all of them.
constexpr std::size_t most_empty_rows = 1 << 23;

class MatrixMarketParser {
 public:
  MatrixMarketParser(const std::string& source, Text text) : source_(source), lines_(text) {}

  /// `cells`: the columns are cells, whatever stands beside the file.
  Dataset parse(bool cells) {
    parse_header();
    parse_size();
    name(cells);
    require(columns_ <= std::numeric_limits<int>::max(), source_, ": is ", data_.rows, " x ",
            columns_, ", at most 2^31 - 1 columns are handled");
    data_.source = source_;
    data_.columns = int(columns_);
    // A short file may announce any size; few rows of a real one are empty.
    const std::size_t most_rows = most_empty_rows + lines_.bytes_left();
    require(std::size_t(data_.rows) <= most_rows, source_, ": line ", size_line_, " says ",
            data_.rows, " rows, the ", lines_.bytes_left(), " bytes below it may be at most ",
            most_rows);
    long read = 0;
    for (; const auto line = lines_.next(); ++read) parse_entry(*line, read);
    require(read == entries_, source_, ": truncated: ", read, " entries, line ", size_line_,
            " says ", entries_);
    store(data_, lists());
    return std::move(data_);
  }

 private:
  void parse_header() {
    const auto line = lines_.next();
    require(line.has_value(), source_, ": holds blank lines only, expected a matrix");
    auto expect = [&, rest = line->text](std::initializer_list<Text> expected) mutable {
      std::string word(take_word(rest)), all;
      for (const Text one : expected) {
        const auto same = [](unsigned char a, unsigned char b) {
          return std::tolower(a) == std::tolower(b);
        };
        if (std::equal(word.begin(), word.end(), one.begin(), one.end(), same)) return one;
        all += (all.empty() ? "" : " or ") + std::string(one);
      }
      fail(source_, ":", line->number, ": header has ", quoted(word), ", expected ", all);
    };
    expect({"%%MatrixMarket"});
    expect({"matrix"});
    expect({"coordinate"});
    field_ = expect({"integer", "real", "pattern", "unsigned-integer"});
    expect({"general"});
  }

  void parse_size() {
    auto line = lines_.next();
    while (line && line->text.starts_with('%')) line = lines_.next();
    require(line.has_value(), source_, ": truncated: ends before its size");
    Text rest = line->text;
    const bool whole = take(rest, stored_rows_) && take(rest, stored_columns_) &&
                       take(rest, entries_) && take_word(rest).empty();
    require(whole && stored_rows_ > 0 && stored_columns_ > 0 && entries_ >= 0, source_, ":",
            line->number, ": ", quoted(line->text), " is not a size: rows, columns, entries");
    size_line_ = line->number;
  }

  /// Finds out whether columns are cells, and takes their names.
  void name(bool cells) {
    const fs::path folder = fs::path(source_).parent_path();
    Names barcodes = read_names(folder, {"barcodes.tsv"}, 0);
    Names features = read_names(folder, {"features.tsv", "genes.tsv"}, 1);
    const auto fits = [](const Names& names, long count) {
      return !names.file.empty() && long(names.list.size()) == count;
    };
    const auto require_fit = [&](const Names& names, long count, const char* what) {
      require(names.file.empty() || fits(names, count), names.file, ": has ", names.list.size(),
              " lines, but ", source_, " has ", count, " ", what);
    };
    if (cells) {
      require_fit(barcodes, stored_columns_, "columns");
      require_fit(features, stored_rows_, "rows");
    }
    turned_ = cells || (fits(barcodes, stored_columns_) && fits(features, stored_rows_));
    data_.rows = turned_ ? stored_columns_ : stored_rows_;
    columns_ = turned_ ? stored_rows_ : stored_columns_;
    if (!turned_) return;
    data_.row_names = std::move(barcodes.list);
    data_.column_names = std::move(features.list);
  }

  void parse_entry(const Line& line, long read) {
    if (read == entries_)
      fail(source_, ":", line.number, ": entry ", read + 1, ", but line ", size_line_, " says ",
           entries_, " entries");
    Text rest = line.text;
    long row = 0, column = 0;
    double value = 1;
    if (!take(rest, row) || !take(rest, column) || !take_value(rest, value) ||
        !take_word(rest).empty())
      fail(source_, ":", line.number, ": ", quoted(line.text), " is not ",
           field_ == "pattern" ? "row, column"
           : field_ == "real"  ? "row, column, number"
                               : "row, column, whole number");
    if (row < 1 || row > stored_rows_ || column < 1 || column > stored_columns_)
      fail(source_, ":", line.number, ": row ", row, ", column ", column, " of a matrix of ",
           stored_rows_, " x ", stored_columns_);
    if (!std::isnan(value) && !std::isfinite(float(value)))
      fail(source_, ":", line.number, ": ", value,
           std::isfinite(value) ? " is too large for float32" : " is not finite");
    if (turned_) std::swap(row, column);
    found_.push_back({row - 1, std::uint32_t(column - 1), float(value)});
  }

  bool take_value(Text& rest, double& value) const {
    if (field_ == "pattern") return true;
    if (field_ == "real") return take(rest, value);
    long whole = 0;
    const bool is_whole = take(rest, whole);
    value = double(whole);
    return is_whole;
  }

  /// Each row's entries behind one another.
  ListedRows lists() const {
    ListedRows lists;
    lists.starts.assign(std::size_t(data_.rows) + 1, 0);
    for (const Entry& e : found_) ++lists.starts[std::size_t(e.row) + 1];
    std::partial_sum(lists.starts.begin(), lists.starts.end(), lists.starts.begin());
    lists.columns.resize(found_.size()), lists.values.resize(found_.size());
    std::vector<std::uint64_t> next(lists.starts.begin(), lists.starts.end() - 1);
    for (const Entry& e : found_) {
      const std::uint64_t to = next[std::size_t(e.row)]++;
      lists.columns[to] = e.column, lists.values[to] = e.value;
    }
    return lists;
  }

  struct Entry {
    long row;
    std::uint32_t column;
    float value;
  };

  const std::string& source_;
  Lines lines_;
  Text field_;
  long stored_rows_ = 0, stored_columns_ = 0, entries_ = 0, size_line_ = 0;
  bool turned_ = false;
  long columns_ = 0;
  std::vector<Entry> found_;
  Dataset data_;
};

}  // namespace

Dataset parse_matrix_market(const std::string& source, Bytes content, const Options& options) {
  options.require_known({});
  return MatrixMarketParser(source, text_of(content)).parse(false);
}

Dataset read_cells(const std::string& folder) {
  for (const char* name : {"matrix.mtx", "matrix.mtx.gz"}) {
    const std::string file = (fs::path(folder) / name).string();
    if (!fs::exists(file)) continue;
    const Bytes content = read_file(file);
    return MatrixMarketParser(file, text_of(content)).parse(true);
  }
  fail(folder, ": is a directory without matrix.mtx or matrix.mtx.gz, expected a file");
}

}  // namespace elbo
