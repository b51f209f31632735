#include <algorithm>
#include <cctype>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "data/builtin.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/matrix_market.h"
#include "data/npy.h"
#include "runtime/error.h"

namespace elbo {
namespace {

using std::string_view_literals::operator""sv;

struct Format {
  std::initializer_list<std::string_view> endings;  // of the name, without .gz, in lower case
  std::string_view magic;                           // how the content begins; empty: no telling
  Dataset (*parse)(const std::string& source, Bytes);
};

const Format formats[] = {
    {{".csv", ".tsv", ".txt"}, {}, parse_csv},
    {{".npy"}, "\x93NUMPY"sv, parse_npy},
    {{"-ubyte", ".idx"}, "\0\0\x08"sv, parse_idx},
    {{".mtx"}, "%%MatrixMarket"sv, parse_matrix_market},
};

bool is_named(const Format& format, std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return std::any_of(format.endings.begin(), format.endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool begins_so(const Format& format, const Bytes& content) {
  const auto equal = [](char a, std::uint8_t b) { return std::uint8_t(a) == b; };
  return !format.magic.empty() && content.size() >= format.magic.size() &&
         std::equal(format.magic.begin(), format.magic.end(), content.begin(), equal);
}

}  // namespace

Dataset read_dataset(const std::string& what) {
  if (what.starts_with("builtin:")) return builtin_dataset(what);
  if (std::filesystem::is_directory(what)) return read_cells(what);
  Bytes content = read_file(what);
  for (const Format& format : formats)
    if (is_named(format, what)) return format.parse(what, std::move(content));
  for (const Format& format : formats)
    if (begins_so(format, content)) return format.parse(what, std::move(content));
  fail(what, ": unknown format: begins with ", hex(content, 4),
       ", expected a name in .csv .tsv .txt .npy .idx .mtx or -ubyte (or with .gz)");
}

}  // namespace elbo
