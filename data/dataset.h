#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace elbo {

/// Something that is known of each row beside its values: a number, or one of some levels.
struct Annotation {
  std::string name;
  std::vector<std::string> levels;  // empty: numbers
  std::vector<float> values;        // a row each; with levels their index; NaN: unknown
};

/// A data set in host memory, one datum a row, in its own type.
///
/// Shapes: values [rows, columns], row-major without padding; images are rows of height * width.
/// In compressed sparse rows (csr) only some values are listed: row r lists those from starts[r] to
/// before starts[r + 1], in the ascending order of their columns, and what it does not list is 0.
struct Dataset {
  enum class Type { u8, f32, csr };

  std::string source;  // the path, or "builtin:digits"
  Type type = Type::f32;
  long rows = 0;
  int columns = 0;
  std::vector<std::uint8_t> bytes;        // of u8: the values
  std::vector<float> floats;              // of f32: the values; of csr: those that are listed
  std::vector<std::uint64_t> starts;      // of csr: rows + 1
  std::vector<std::uint32_t> indices;     // of csr: the columns of what is listed
  float scale = 1;                        // value = stored * scale
  int image_height = 0, image_width = 0;  // 0: not images
  std::vector<float> given;  // [rows, given_columns]: what a conditional model is told of a row
  int given_columns = 0;
  std::vector<int> labels;  // this and the names: empty when unknown
  std::vector<Annotation> annotations;
  std::vector<std::string> column_names, row_names;
  std::string alphabet;  // of sequences: value c stands for its letter c; else empty

  float value(long row, int column) const;
  /// Calls f(column, value) for what a row lists: all its values, or, of csr, all that are not 0.
  template <class F>
  void each_listed(long row, F&& f) const {
    if (type == Type::csr) {
      for (std::uint64_t i = starts[row]; i < starts[row + 1]; ++i)
        f(int(indices[i]), scale * floats[i]);
      return;
    }
    const std::size_t first = std::size_t(row) * std::size_t(columns);
    for (int c = 0; c < columns; ++c)
      f(c, scale * (type == Type::u8 ? float(bytes[first + c]) : floats[first + c]));
  }
  /// All values, [rows, columns].
  std::vector<float> values() const;
  /// How many values are NaN: not known.
  long missing() const;

  /// 16 hex digits of type, shape, scale and stored values (of csr: of those that are not 0): tells
  /// a resumed run that its data are others.  Not of names and labels, and no defence against
  /// forgery.
  std::string hash() const;

  /// The rows first, first + 1, ... first + count - 1.
  Dataset slice(long first, long count) const;
  /// The given rows in the given order; a row may come twice.
  Dataset select(const std::vector<long>& rows) const;
  /// All rows, with the given columns in the given order; images are no longer such.
  /// Errors: no such column, or twice the same.
  Dataset select_columns(const std::vector<int>& columns) const;
};

/// Errors: of csr, lists that are not as Dataset says, naming the row.
void require_lists(const Dataset&);

/// Errors: a column that is missing in every row, by its number (from 1) and name.
void require_no_empty_column(const Dataset&);

/// The scale of grey images: 1/255, or 1 where no byte exceeds 1 (binarised images).
float image_scale(const std::vector<std::uint8_t>& bytes);

/// The two parts of a data set.
struct Split {
  Dataset train, valid;
};

/// Parts a data set in two; both keep the order of the file.
///
/// The validation part is round(fraction * rows) data, at least 1 and at most rows - 1: those
/// whose hash of (seed, row) is smallest, so a function of seed, fraction and the number of rows.
/// Errors: a fraction outside (0, 1), fewer than two rows.
Split split(const Dataset&, double fraction, std::uint64_t seed);

/// Reads a file, or makes a built-in data set.
///
///     builtin:NAME[?n=2000&seed=3]      builtin.h
///     NAME.csv NAME.tsv NAME.txt        csv.h (FASTA where a .txt begins with >)
///     NAME.npy NAME.npz                 npy.h, npz.h
///     NAME-ubyte, NAME.idx              idx.h
///     NAME.mtx, FOLDER with matrix.mtx  matrix_market.h
///     NAME.h5ad                         h5ad.h
///     NAME.h5                           ten_x.h
///     NAME.fa .fasta .fna .faa          fasta.h
///     FOLDER with PNG                   pictures.h
///
/// Each but .npz and HDF5 may be compressed by gzip.  A file of another name is known by its first
/// bytes.
/// FILE?key=value&key=value says more (options.h); the keys of a format stand in its header, and
/// these, which are followed in this order, serve all files:
///
///     annotations=PATH    a table of what is known of the rows (annotations.h)
///     labels=NAME         an annotation, or else a column, that gives the labels
///     only=NAME:LEVEL     the rows of which annotation NAME is LEVEL; may come several times
///     drop=NAME,NAME      without these columns, by name or number (from 1)
///     columns=PATH        the columns that a file names, one a line, in its order
///     missing=skip        of them, those that are there
///
/// Paths are relative to the working directory.  A file whose own name holds a ? opens as well.
/// Errors: one line, `file: what was found, what was expected`.
Dataset read_dataset(const std::string& what);

/// `what` with absolute paths, so that it holds wherever it is read; what is no file stays.
std::string lasting(const std::string& what);

/// The file that `what` names, without what follows it.
std::string file_of(const std::string& what);

}  // namespace elbo
