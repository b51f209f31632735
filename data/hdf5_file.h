#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/lists.h"

namespace elbo {

/// An HDF5 file: what its readers need of the C library, with errors of one line.
///
/// Objects are named by their path in the file ("obs/_index"); a field is one of a table that is
/// stored as a compound type, or empty.
/// Nothing is allocated that the stored bytes cannot fill.  The library itself is not safe to use
/// from several threads.
/// Errors, which begin with `file: `: no such file, another format, truncated or corrupt, an object
/// that is not there or of another type, a compression that the library does not have.
class Hdf5File {
 public:
  enum class Access { read, change };
  enum class Kind { number, text, boolean, other };

  explicit Hdf5File(const std::string& path, Access = Access::read);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  const std::string& path() const { return path_; }

  bool has(const std::string& object) const;
  bool is_group(const std::string& object) const;
  /// The names in a group, in alphabetical order.
  std::vector<std::string> members(const std::string& group) const;

  std::vector<long> extents(const std::string& dataset) const;
  /// The names of a compound's fields; empty: it is none.
  std::vector<std::string> fields(const std::string& dataset) const;
  Kind kind(const std::string& dataset, const std::string& field = {}) const;
  /// As numbers of T: float, double or std::int64_t.
  template <class T>
  std::vector<T> numbers(const std::string& dataset, const std::string& field = {}) const;
  std::vector<std::string> texts(const std::string& dataset, const std::string& field = {}) const;

  /// Attributes; nothing where there is none, or one of another type.
  std::vector<std::string> attribute_texts(const std::string& object,
                                           const std::string& name) const;
  std::vector<std::int64_t> attribute_numbers(const std::string& object,
                                              const std::string& name) const;

  void make_group(const std::string& name);
  void remove(const std::string& object);
  /// Float32 [rows, columns], in chunks compressed by gzip.
  void write_floats(const std::string& name, long rows, long columns, const float* values);
  void write_attribute(const std::string& object, const std::string& name, const std::string& text);
  /// To be called after the last change.
  void close();

 private:
  std::string path_;
  std::int64_t file_;
};

/// A compressed sparse matrix: `starts` has major + 1 places of `indices` and `values`.
/// Errors: lists that do not fit together, an index outside [0, minor), numbers beyond float32.
ListedRows read_lists(const Hdf5File&, const std::string& starts, const std::string& indices,
                 const std::string& values, long major, long minor);

/// Errors: an infinite number, or one too large for float32, of the dataset.
void require_finite(const Hdf5File&, const std::string& dataset, const std::vector<float>&);

}  // namespace elbo
