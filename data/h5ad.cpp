#include "data/h5ad.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "data/annotations.h"
#include "data/atomic_file.h"
#include "data/hdf5_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

using Kind = Hdf5File::Kind;
using Names = std::vector<std::string>;

constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

std::string shortest(double number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

/// obs or var: a group of columns, or, before 0.7, a table in one dataset.
class Frame {
 public:
  Frame(const Hdf5File& file, std::string location) : file_(file), at_(std::move(location)) {
    require(file_.has(at_), file_.path(), ": has no '", at_, "', expected AnnData");
    group_ = file_.is_group(at_);
    if (group_) {
      const Names index = file_.attribute_texts(at_, "_index");
      index_ = index.empty() ? "_index" : index[0];
    } else {
      const Names fields = file_.fields(at_);
      require(!fields.empty(), file_.path(), ": '", at_, "' is no table");
      const bool plain = std::find(fields.begin(), fields.end(), "index") != fields.end();
      index_ = plain ? "index" : fields[0];
    }
  }

  Names names() const { return texts(index_); }

  std::vector<Annotation> annotations(long rows) const {
    std::vector<Annotation> all;
    for (const std::string& name : columns()) {
      if (name == index_ || name == "__categories") continue;
      Annotation a = column(name);
      if (a.values.empty()) continue;
      require(long(a.values.size()) == rows, file_.path(), ": '", at_, "/", name, "' has ",
              a.values.size(), " elements, expected ", rows);
      all.push_back(std::move(a));
    }
    return all;
  }

 private:
  Names columns() const {
    if (!group_) return file_.fields(at_);
    const Names ordered = file_.attribute_texts(at_, "column-order");
    return ordered.empty() ? file_.members(at_) : ordered;
  }

  std::string place(const std::string& column) const { return group_ ? at_ + '/' + column : at_; }
  std::string field(const std::string& column) const { return group_ ? "" : column; }

  Names texts(const std::string& column) const { return texts(place(column), field(column)); }

  /// Text of any array: what is numbers is written out, what is masked is empty.
  Names texts(const std::string& dataset, const std::string& field) const {
    if (file_.is_group(dataset)) {
      require(!file_.is_group(dataset + "/values"), file_.path(), ": '", dataset,
              "/values' is a group, expected an array");
      Names all = texts(dataset + "/values", "");
      const auto masked = file_.numbers<std::int64_t>(dataset + "/mask");
      for (std::size_t i = 0; i < std::min(all.size(), masked.size()); ++i)
        if (masked[i] != 0) all[i].clear();
      return all;
    }
    if (file_.kind(dataset, field) == Kind::text) return file_.texts(dataset, field);
    Names all;
    for (const double number : file_.numbers<double>(dataset, field))
      all.push_back(shortest(number));
    return all;
  }

  Annotation column(const std::string& name) const {
    if (!file_.has(place(name))) return {};
    if (group_ && file_.is_group(place(name))) return encoded_column(name);
    // Codes whose levels stand elsewhere: before 0.8, before 0.7.
    const std::string levels =
        group_ ? at_ + "/__categories/" + name : "uns/" + name + "_categories";
    if (file_.has(levels) && file_.kind(place(name), field(name)) == Kind::number)
      return with_levels(name, texts(levels, ""), file_.numbers<float>(place(name), field(name)));
    return plain_column(name, place(name), field(name));
  }

  /// A group: categories and codes, or values and a mask of those that are unknown.
  Annotation encoded_column(const std::string& name) const {
    const std::string at = place(name);
    if (file_.has(at + "/codes") && file_.has(at + "/categories"))
      return with_levels(name, texts(at + "/categories", ""), file_.numbers<float>(at + "/codes"));
    if (!file_.has(at + "/values") || !file_.has(at + "/mask")) return {};
    Annotation a = plain_column(name, at + "/values", "");
    const auto masked = file_.numbers<std::int64_t>(at + "/mask");
    for (std::size_t i = 0; i < std::min(a.values.size(), masked.size()); ++i)
      if (masked[i] != 0) a.values[i] = unknown;
    return a;
  }

  Annotation plain_column(const std::string& name, const std::string& dataset,
                          const std::string& field) const {
    switch (file_.kind(dataset, field)) {
      case Kind::text:
        return levels_of(name, file_.texts(dataset, field));
      case Kind::number:
        return {name, {}, file_.numbers<float>(dataset, field)};
      case Kind::boolean:
        return with_levels(name, {"False", "True"}, file_.numbers<float>(dataset, field));
      case Kind::other:
        break;
    }
    return {};
  }

  Annotation with_levels(const std::string& name, Names levels, std::vector<float> codes) const {
    for (float& code : codes) {
      require(code >= -1 && code < float(levels.size()) && code == std::floor(code), file_.path(),
              ": '", at_, "/", name, "' has code ", code, " of ", levels.size(), " categories");
      if (code < 0) code = unknown;
    }
    return {name, std::move(levels), std::move(codes)};
  }

  const Hdf5File& file_;
  std::string at_, index_;
  bool group_ = false;
};

std::string listed(const Names& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "none" : all;
}

/// Where the values stand, and their columns' table.
std::pair<std::string, std::string> locations(const Hdf5File& file, const Options& options) {
  const auto layer = options.get("layer");
  const Names layers = file.is_group("layers") ? file.members("layers") : Names{};
  if (options.yes("raw")) {
    require(!layer, file.path(), ": layer and raw exclude each other");
    for (const std::string raw : {"raw/", "raw."})
      if (file.has(raw + "X")) return {raw + "X", raw + "var"};
    fail(file.path(), ": has no raw/X");
  }
  if (layer) {
    require(std::find(layers.begin(), layers.end(), *layer) != layers.end(), file.path(),
            ": has no layer '", *layer, "'; it has ", listed(layers));
    return {"layers/" + *layer, "var"};
  }
  const Names encoding = file.has("X") ? file.attribute_texts("X", "encoding-type") : Names{"null"};
  require(encoding != Names{"null"}, file.path(), ": has no X; its layers are ", listed(layers),
          " (?layer=NAME)");
  return {"X", "var"};
}

void read_values(const Hdf5File& file, const std::string& at, Dataset& data) {
  std::vector<std::int64_t> extents;
  std::string format;
  if (file.is_group(at)) {
    for (const char* name : {"shape", "h5sparse_shape"})
      if (extents.empty()) extents = file.attribute_numbers(at, name);
    for (const char* name : {"encoding-type", "h5sparse_format"})
      if (const Names found = file.attribute_texts(at, name); format.empty() && !found.empty())
        format = found[0].substr(0, 3);
    require((format == "csr" || format == "csc") && extents.size() == 2, file.path(), ": '", at,
            "' is a group without encoding-type csr_matrix or csc_matrix and a shape");
  } else {
    const std::vector<long> found = file.extents(at);
    extents.assign(found.begin(), found.end());
    require(extents.size() == 2, file.path(), ": '", at, "' is ", extents.size(),
            "-D, expected a matrix");
  }
  require(extents[0] == data.rows && extents[1] == data.columns, file.path(), ": '", at, "' is ",
          extents[0], " x ", extents[1], ", but there are ", data.rows, " obs names and ",
          data.columns, " var names");
  if (format.empty()) {
    std::vector<float> values = file.numbers<float>(at);
    require_finite(file, at, values);
    return store(data, std::move(values));
  }
  const bool by_rows = format == "csr";
  ListedRows lists = read_lists(file, at + "/indptr", at + "/indices", at + "/data",
                           by_rows ? data.rows : data.columns, by_rows ? data.columns : data.rows);
  store(data, by_rows ? std::move(lists) : turned(lists, data.rows));
}

}  // namespace

Dataset read_h5ad(const std::string& path, const Options& options) {
  options.require_known({"layer", "raw"});
  const Hdf5File file(path);
  const auto [values, var] = locations(file, options);
  const Frame rows(file, "obs");
  Dataset data;
  data.source = path;
  data.row_names = rows.names();
  data.column_names = Frame(file, var).names();
  require(!data.row_names.empty() && !data.column_names.empty() &&
              data.column_names.size() <= std::size_t(std::numeric_limits<int>::max()),
          path, ": is ", data.row_names.size(), " x ", data.column_names.size(), ", expected data");
  data.rows = long(data.row_names.size());
  data.columns = int(data.column_names.size());
  read_values(file, values, data);
  data.annotations = rows.annotations(data.rows);
  return data;
}

void write_obsm(const std::string& path, const std::string& out, const std::string& name, long rows,
                long columns, const float* values, bool replace) {
  const std::string object = "obsm/" + name;
  {
    const Hdf5File file(path);
    const auto found = long(Frame(file, "obs").names().size());
    require(found == rows, path, ": has ", found, " observations, ", object, " would have ", rows,
            " rows");
    require(!file.has("obsm") || file.is_group("obsm"), path,
            ": its obsm is a table, as before anndata 0.7; rewrite it with anndata");
    require(replace || !file.has(object), path, ": has ", object, " already; --force replaces it");
  }
  AtomicFile target(out);
  {
    // Not a copy of the file's mode: what may only be read can be copied too.
    std::ofstream copy(target.temporary(), std::ios::binary);
    copy << std::ifstream(path, std::ios::binary).rdbuf();
    copy.close();
    require(copy.good(), out, ": cannot be written: ", std::strerror(errno));
  }
  Hdf5File file(target.temporary(), Hdf5File::Access::change);
  if (!file.has("obsm")) {
    file.make_group("obsm");
    file.write_attribute("obsm", "encoding-type", "dict");
    file.write_attribute("obsm", "encoding-version", "0.1.0");
  }
  if (file.has(object)) file.remove(object);
  file.write_floats(object, rows, columns, values);
  file.write_attribute(object, "encoding-type", "array");
  file.write_attribute(object, "encoding-version", "0.2.0");
  file.close();
  target.commit();
}

}  // namespace elbo
