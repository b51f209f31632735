#include "tests/fuzz/readers.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

#include "app/config_file.h"
#include "data/annotations.h"
#include "data/csv.h"
#include "data/fasta.h"
#include "data/h5ad.h"
#include "data/idx.h"
#include "data/matrix_market.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/pictures.h"
#include "data/ten_x.h"
#include "nn/safetensors.h"
#include "runtime/error.h"
#include "tests/data/temporary_folder.h"

namespace elbo::test {
namespace {

namespace fs = std::filesystem;

void must(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

/// Each number of a data set has its place, and each place a number.
void check(const Dataset& data) {
  const auto rows = std::size_t(data.rows), columns = std::size_t(data.columns);
  must(data.rows > 0 && data.columns > 0, "an empty data set");
  switch (data.type) {
    case Dataset::Type::u8:
      must(data.bytes.size() == rows * columns, "bytes are not rows x columns");
      break;
    case Dataset::Type::f32:
      must(data.floats.size() == rows * columns, "floats are not rows x columns");
      break;
    case Dataset::Type::csr:
      require_lists(data);
      break;
  }
  must(std::none_of(data.floats.begin(), data.floats.end(), [](float x) { return std::isinf(x); }),
       "an infinite number");
  const bool images = data.image_height != 0 || data.image_width != 0;
  must(!images || long(data.image_height) * data.image_width == data.columns,
       "images are not height x width");
  must(data.column_names.empty() || data.column_names.size() == columns, "names of columns");
  must(data.row_names.empty() || data.row_names.size() == rows, "names of rows");
  must(data.labels.empty() || data.labels.size() == rows, "labels");
  for (const Annotation& a : data.annotations) {
    must(a.values.size() == rows, "values of an annotation");
    for (const float value : a.values)
      must(a.levels.empty() || std::isnan(value) ||
               (value >= 0 && value < float(a.levels.size()) && value == std::floor(value)),
           "a level that an annotation does not have");
  }
}

/// The refusal must be one line that names the file.
void answer(const std::string& path, auto&& read) {
  std::string error;
  try {
    read();
    return;
  } catch (const Error& refusal) {
    error = refusal.what();
  }
  must(error.starts_with(path), "an error that does not begin with the file: " + error);
  must(error.find('\n') == error.npos, "an error of several lines: " + error);
}

using Read = Dataset (*)(const std::string& path, const Options&);
using Parse = Dataset (*)(const std::string& source, Bytes, const Options&);

template <Read read>
void read_with(const std::string& path, std::initializer_list<const char*> options) {
  for (const std::string text : options)
    answer(path, [&] { check(read(path, text.empty() ? Options() : Options(path, text))); });
}

template <Parse parse>
void parse_with(const std::string& path, const Bytes& content,
                std::initializer_list<const char*> options) {
  for (const std::string text : options)
    answer(path,
           [&] { check(parse(path, content, text.empty() ? Options() : Options(path, text))); });
}

void csv(const std::string& path, const Bytes& content) {
  parse_with<parse_csv>(path, content, {"", "labels=1&drop=2"});
  answer(path, [&] {
    const AnnotationTable table = read_annotations(path);
    for (const Annotation& a : table.columns)
      must(a.values.size() == table.columns[0].values.size() &&
               (table.row_names.empty() || table.row_names.size() == a.values.size()),
           "a table with columns of several lengths");
  });
}

void fasta(const std::string& path, const Bytes& content) {
  parse_with<parse_fasta>(path, content, {"", "length=5&alphabet=ab"});
}

/// And what gunzips it.
void idx(const std::string& path, const Bytes&) {
  answer(path, [&] { check(read_idx(path)); });
  answer(path, [&] { must(!read_idx_labels(path).empty(), "no labels"); });
}

void matrix_market(const std::string& path, const Bytes& content) {
  parse_with<parse_matrix_market>(path, content, {""});
}

void npy(const std::string& path, const Bytes& content) {
  parse_with<parse_npy>(path, content, {"", "bits=11"});
  answer(path, [&] { parse_npy_labels(path, content); });
}

void npz(const std::string& path, const Bytes& content) {
  parse_with<parse_npz>(path, content, {"", "array=x"});
}

void png(const std::string& path, const Bytes&) {
  answer(fs::path(path).parent_path(),
         [&] { check(read_pictures(fs::path(path).parent_path(), {})); });
}

void h5ad(const std::string& path, const Bytes&) {
  read_with<read_h5ad>(path, {"", "raw=1", "layer=counts"});
}

void ten_x(const std::string& path, const Bytes&) {
  answer(path, [&] {
    if (is_ten_x(path)) check(read_ten_x(path));
  });
}

void safetensors(const std::string& path, const Bytes& content) {
  answer(path, [&] {
    std::size_t numbers = 0;
    for (const auto& [name, array] : read_safetensors(path).arrays) {
      std::size_t count = 1;
      for (const long extent : array.shape) count *= std::size_t(extent);
      must(array.values.size() == count, "numbers are not as many as the shape says");
      numbers += count;
    }
    must(2 * numbers <= content.size(), "more numbers than the file has");
  });
}

void toml(const std::string& path, const Bytes&) {
  answer(path, [&] { read_config(path); });
}

}  // namespace

std::span<const Reader> readers() {
  static const Reader all[] = {
      {"csv", ".csv", csv},
      {"fasta", ".fa", fasta},
      {"h5ad", ".h5ad", h5ad},
      {"idx", ".idx", idx},
      {"matrix_market", ".mtx", matrix_market},
      {"npy", ".npy", npy},
      {"npz", ".npz", npz},
      {"png", ".png", png},
      {"safetensors", ".safetensors", safetensors},
      {"ten_x", ".h5", ten_x},
      {"toml", ".toml", toml},
  };
  return all;
}

const Reader& reader_named(const std::string& name) {
  const auto found = std::find_if(readers().begin(), readers().end(),
                                  [&](const Reader& reader) { return reader.name == name; });
  require(found != readers().end(), "there is no reader ", name);
  return *found;
}

void give(const Reader& reader, const Bytes& content) {
  static const TemporaryFolder folder;
  const std::string path = folder / ("x" + reader.ending);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()), std::streamsize(content.size()));
  reader.read(path, content);
}

}  // namespace elbo::test
