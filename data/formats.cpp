#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <unordered_map>

#include "data/annotations.h"
#include "data/builtin.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/fasta.h"
#include "data/h5ad.h"
#include "data/idx.h"
#include "data/lines.h"
#include "data/matrix_market.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/options.h"
#include "data/pictures.h"
#include "data/ten_x.h"
#include "runtime/error.h"

namespace elbo {
namespace {

using std::string_view_literals::operator""sv;
namespace fs = std::filesystem;

/// One of two functions reads it: of the content, unpacked; of the path, by a library.
struct Format {
  std::initializer_list<std::string_view> endings;  // of the name, without .gz, in lower case
  std::string_view magic;                           // how the content begins; empty: no telling
  Dataset (*parse)(const std::string& source, Bytes, const Options&) = nullptr;
  Dataset (*read)(const std::string& path, const Options&) = nullptr;
};

Dataset read_hdf5(const std::string& path, const Options& options) {
  return is_ten_x(path) ? read_ten_x(path, options) : read_h5ad(path, options);
}

const Format csv{.endings = {".csv", ".tsv", ".txt"}, .magic = {}, .parse = parse_csv};
const Format fasta{
    .endings = {".fa", ".fasta", ".fna", ".faa"}, .magic = ">"sv, .parse = parse_fasta};
const Format formats[] = {
    csv,
    {{".npy"}, "\x93NUMPY"sv, parse_npy},
    {{".npz"}, "PK\3\4"sv, parse_npz},
    {{"-ubyte", ".idx"}, "\0\0\x08"sv, parse_idx},
    {{".mtx"}, "%%MatrixMarket"sv, parse_matrix_market},
    {.endings = {".h5ad", ".h5", ".hdf5"}, .magic = "\x89HDF"sv, .read = read_hdf5},
    fasta,
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

Dataset read_folder(const std::string& folder, const Options& options) {
  const bool cells =
      fs::exists(fs::path(folder) / "matrix.mtx") || fs::exists(fs::path(folder) / "matrix.mtx.gz");
  if (!cells && holds_pictures(folder)) return read_pictures(folder, options);
  require(cells, folder,
          ": is a directory without matrix.mtx or matrix.mtx.gz and without .png, expected a file");
  options.require_known({});
  return read_cells(folder);
}

Dataset read_by_format(const std::string& path, const Options& options) {
  if (fs::is_directory(path)) return read_folder(path, options);
  const Format* known = nullptr;
  for (const Format& format : formats)
    if (known == nullptr && is_named(format, path)) known = &format;
  if (known != nullptr && known->read != nullptr) return known->read(path, options);
  Bytes content = read_file(path);
  for (const Format& format : formats)
    if (known == nullptr && begins_so(format, content)) known = &format;
  require(known != nullptr, path, ": unknown format: begins with ", hex(content, 4),
          ", expected a name in .csv .tsv .txt .npy .npz .idx .mtx .h5ad .h5 .fa .fasta or -ubyte "
          "(or with .gz)");
  if (known->read != nullptr) return known->read(path, options);
  // A text file may hold sequences as well.
  if (known->parse == csv.parse && begins_so(fasta, content)) known = &fasta;
  return known->parse(path, std::move(content), options);
}

std::vector<int> named_columns(const Dataset& data, const std::vector<std::string>& names,
                               const std::string& where, bool skip) {
  std::unordered_map<std::string_view, int> place;
  for (int c = 0; c < int(data.column_names.size()); ++c)
    place.emplace(data.column_names[std::size_t(c)], c);
  std::vector<int> columns;
  for (const std::string& name : names) {
    const auto found = place.find(name);
    int number = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, status] = std::from_chars(name.data(), end, number);
    const bool counts = status == std::errc() && stop == end;
    if (found != place.end()) columns.push_back(found->second);
    else if (counts && number >= 1 && number <= data.columns) columns.push_back(number - 1);
    else require(skip, where, ": ", data.source, " has no column ", quoted(name));
  }
  return columns;
}

Dataset without(const Dataset& data, const std::vector<int>& out, const std::string& why) {
  std::vector<int> kept;
  for (int c = 0; c < data.columns; ++c)
    if (std::find(out.begin(), out.end(), c) == out.end()) kept.push_back(c);
  require(!kept.empty(), data.source, ": ", why, " leaves no column");
  return data.select_columns(kept);
}

Dataset dropped(const Dataset& data, const std::string& names) {
  return without(data, named_columns(data, split_list(names), "drop", false), "drop=" + names);
}

/// With an annotation, or else a column, as labels.
Dataset labelled(Dataset data, const std::string& name) {
  const bool known =
      name == "label" || std::any_of(data.annotations.begin(), data.annotations.end(),
                                     [&](const auto& a) { return a.name == name; });
  const std::vector<int> column =
      known ? std::vector<int>{} : named_columns(data, {name}, "labels", true);
  if (!column.empty()) {
    Annotation a{name, {}, {}};
    for (long r = 0; r < data.rows; ++r) a.values.push_back(data.value(r, column[0]));
    data.annotations.push_back(std::move(a));
    data = without(data, column, "labels=" + name);
  }
  take_labels(data, name);
  return data;
}

Dataset chosen(const Dataset& data, const std::string& path, const Options& options) {
  const std::string missing = options.get("missing").value_or("refuse");
  require(missing == "skip" || missing == "refuse", data.source, ": missing=", missing,
          ", expected skip or refuse");
  const Bytes content = read_file(path);
  Lines lines({reinterpret_cast<const char*>(content.data()), content.size()});
  std::vector<std::string> names;
  while (const auto line = lines.next()) {
    std::string_view name = line->text;
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    names.emplace_back(name);
  }
  const std::vector<int> columns = named_columns(data, names, path, missing == "skip");
  require(!columns.empty(), path, ": ", data.source, " has none of its ", names.size(), " columns");
  return data.select_columns(columns);
}

struct Request {
  std::string path;
  Options options;
};

/// The keys that serve all data apart from the rest, which the maker of the data takes as it is.
Request builtin_request(const std::string& what) {
  constexpr std::string_view general[] = {
      "annotations=", "labels=", "only=", "drop=", "columns=", "missing="};
  const std::size_t cut = what.find('?');
  std::string own, ours;
  for (std::size_t at = cut; at != what.npos; at = what.find('&', at + 1)) {
    const std::string part = what.substr(at + 1, what.find('&', at + 1) - at - 1);
    const bool serves = std::any_of(std::begin(general), std::end(general),
                                    [&](auto key) { return part.starts_with(key); });
    (serves ? ours : own) += '&' + part;
  }
  if (ours.empty()) return {what, {}};
  const std::string name = what.substr(0, cut);
  return {own.empty() ? name : name + '?' + own.substr(1), Options(name, ours.substr(1))};
}

/// A file's own name may hold a ?, so the first that makes a name of something is the one.
Request request_of(const std::string& what) {
  std::error_code none;
  if (what.starts_with("builtin:")) return builtin_request(what);
  if (fs::exists(what, none)) return {what, {}};
  std::size_t cut = what.find('?');
  for (std::size_t at = cut; at != what.npos; at = what.find('?', at + 1))
    if (fs::exists(what.substr(0, at), none)) {
      cut = at;
      break;
    }
  const std::string path = what.substr(0, cut);
  if (cut == what.npos) return {path, {}};
  return {path, Options(path, std::string_view(what).substr(cut + 1))};
}

}  // namespace

Dataset read_dataset(const std::string& what) {
  auto [path, options] = request_of(what);
  Options general = options.take({"annotations", "only", "columns", "missing"});
  const bool text = !path.starts_with("builtin:") && !fs::is_directory(path) && is_named(csv, path);
  // Of a text table they may name columns that are no numbers, so its reader follows them.
  if (!text) {
    for (Options more = options.take({"labels", "drop"}); const char* key : {"labels", "drop"})
      if (const auto value = more.get(key)) general.set(key, *value);
  }
  Dataset data =
      path.starts_with("builtin:") ? builtin_dataset(path) : read_by_format(path, options);
  if (const auto table = general.get("annotations")) attach_annotations(data, *table);
  if (const auto name = general.get("labels")) data = labelled(std::move(data), *name);
  for (const std::string& level : general.all("only")) data = only(data, level);
  if (const auto names = general.get("drop")) data = dropped(data, *names);
  if (const auto file = general.get("columns")) data = chosen(data, *file, general);
  else require(!general.get("missing"), path, ": missing=skip says how columns=PATH is meant");
  return data;
}

std::string lasting(const std::string& what) {
  const auto absolute = [](const std::string& path) {
    std::error_code none;
    return fs::exists(path, none) ? fs::absolute(path, none).lexically_normal().string() : path;
  };
  auto [path, options] = request_of(what);
  for (const char* key : {"annotations", "columns"})
    if (const auto file = options.get(key)) options.set(key, absolute(*file));
  return absolute(path) + (options.empty() ? "" : '?' + options.text());
}

std::string file_of(const std::string& what) { return request_of(what).path; }

}  // namespace elbo
