#pragma once
#include <span>
#include <string>

#include "data/input_file.h"

namespace elbo::test {

/// One of Elbo's readers, as a fuzzer drives it.
struct Reader {
  std::string name;                                             // as in tests/fuzz/corpus
  std::string ending;                                           // of a file's name
  void (*read)(const std::string& path, const Bytes& content);  // that are in the file
};

std::span<const Reader> readers();
/// Errors: no such reader.
const Reader& reader_named(const std::string& name);

/// Has the reader read these bytes, in every way it has; Errors are what it may answer.
/// Throws std::logic_error if what it made of them contradicts itself, or an Error does not begin
/// with the file's name or is longer than a line.
void give(const Reader&, const Bytes& content);

}  // namespace elbo::test
