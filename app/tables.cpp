#include "app/tables.h"

#include "app/command_line.h"
#include "data/csv.h"
#include "data/npy.h"

namespace elbo {

bool ends_in_table(const std::string& path) {
  return path.ends_with(".csv") || path.ends_with(".tsv") || path.ends_with(".npy");
}

bool ends_in_fasta(const std::string& path) {
  return path.ends_with(".fasta") || path.ends_with(".fa");
}

void require_table(const std::string& path) {
  if (!ends_in_table(path))
    throw UsageError("--out: '" + path + "' ends in none of .csv, .tsv and .npy");
}

void write_table(const std::string& path, const Dataset& like, const std::vector<float>& values) {
  require(values.size() == std::size_t(like.rows) * std::size_t(like.columns), path, ": ",
          values.size(), " values for ", like.rows, " rows of ", like.columns, " columns");
  if (path.ends_with(".npy")) write_npy(path, like.rows, like.columns, values.data());
  else write_csv(path, like.column_names, like.row_names, like.rows, like.columns, values.data());
}

std::string beside(const std::string& path, const std::string& word) {
  const std::size_t dot = path.rfind('.');
  return path.substr(0, dot) + '-' + word + path.substr(dot);
}

}  // namespace elbo
