#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace elbo {

/// A data set in host memory, one datum a row, in its own type.
///
/// Shapes: values [rows, columns], row-major without padding; images are rows of height * width.
struct Dataset {
  enum class Type { u8, f32 };

  std::string source;  // the path, or "builtin:digits"
  Type type = Type::f32;
  long rows = 0;
  int columns = 0;
  std::vector<std::uint8_t> bytes;  // `type` says which of the two holds the values
  std::vector<float> floats;
  float scale = 1;                        // value = stored * scale
  int image_height = 0, image_width = 0;  // 0: not images
  std::vector<int> labels;                // this and the names: empty when unknown
  std::vector<std::string> column_names, row_names;

  float value(long row, int column) const;
  /// All values, [rows, columns].
  std::vector<float> values() const;
  /// How many values are NaN: not known.
  long missing() const;

  /// 16 hex digits of type, shape, scale and stored values: tells a resumed run that its data are
  /// others.  Not of names and labels, and no defence against forgery.
  std::string hash() const;

  /// The rows first, first + 1, ... first + count - 1.
  Dataset slice(long first, long count) const;
  /// The given rows in the given order; a row may come twice.
  Dataset select(const std::vector<long>& rows) const;
};

/// Errors: a column that is missing in every row, by its number (from 1) and name.
void require_no_empty_column(const Dataset&);

/// The scale of grey images: 1/255, or 1 where no byte exceeds 1 (binarised images).
float image_scale(const std::vector<std::uint8_t>& bytes);

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
///     builtin:digits[?n=2000&seed=3]    digits.h
///     NAME.csv NAME.tsv NAME.txt        csv.h
///     NAME.npy                          npy.h
///     NAME-ubyte, NAME.idx              idx.h
///     NAME.mtx, FOLDER with matrix.mtx  matrix_market.h
///
/// Each may be compressed by gzip.  A file of another name is known by its first bytes.
/// Errors: one line, `file: what was found, what was expected`.
Dataset read_dataset(const std::string& what);

}  // namespace elbo
