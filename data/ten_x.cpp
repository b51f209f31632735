#include "data/ten_x.h"

#include <algorithm>
#include <limits>

#include "data/hdf5_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

bool holds_counts(const Hdf5File& file, const std::string& group) {
  return file.has(group + "/barcodes") && file.has(group + "/indptr");
}

std::vector<std::string> groups_of(const Hdf5File& file) {
  std::vector<std::string> groups = file.members("/");
  std::erase_if(groups, [&](const std::string& name) { return !holds_counts(file, name); });
  return groups;
}

}  // namespace

bool is_ten_x(const std::string& path) { return !groups_of(Hdf5File(path)).empty(); }

Dataset read_ten_x(const std::string& path, const Options& options) {
  options.require_known({"genome"});
  const Hdf5File file(path);
  const std::vector<std::string> groups = groups_of(file);
  std::string known;
  for (const std::string& group : groups) known += (known.empty() ? "" : ", ") + group;
  const auto genome = options.get("genome");
  require(genome || groups.size() == 1, path, ": holds the genomes ", known,
          ", expected ?genome=NAME");
  const std::string group = genome.value_or(groups[0]);
  require(std::find(groups.begin(), groups.end(), group) != groups.end(), path, ": has no genome '",
          group, "'; it has ", known);

  Dataset data;
  data.source = path;
  data.row_names = file.texts(group + "/barcodes");
  const bool third = file.has(group + "/features");
  data.column_names = file.texts(group + (third ? "/features/name" : "/gene_names"));
  const auto shape = file.numbers<std::int64_t>(group + "/shape");
  require(shape.size() == 2 && shape[0] == long(data.column_names.size()) &&
              shape[1] == long(data.row_names.size()) && shape[0] > 0 && shape[1] > 0 &&
              shape[0] <= std::numeric_limits<int>::max(),
          path, ": '", group, "/shape' does not fit ", data.column_names.size(), " features and ",
          data.row_names.size(), " barcodes");
  data.rows = shape[1];
  data.columns = int(shape[0]);
  // Features x barcodes by columns is barcodes x features by rows.
  store(data, read_lists(file, group + "/indptr", group + "/indices", group + "/data", data.rows,
                         data.columns));
  return data;
}

}  // namespace elbo
