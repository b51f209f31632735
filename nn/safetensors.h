#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nn/module.h"

namespace elbo {

/// Named arrays and a little text in one file: the safetensors format of Hugging Face, an 8-byte
/// length, a JSON header and the numbers (little-endian).
struct SafeTensors {
  /// Numbers and their shape.
  struct Array {
    std::vector<long> shape;
    std::vector<Real> values;  // row-major
  };
  std::map<std::string, Array> arrays;
  std::map<std::string, std::string> metadata;
};

/// Writes floating-point numbers of Real's size, under a temporary name first.
void write_safetensors(const std::filesystem::path&, const SafeTensors&);

/// Reads arrays of F16, BF16, F32 and F64.
/// Errors: a file that is missing, cut off, or not of the format; another type of number; arrays
/// that share numbers.
SafeTensors read_safetensors(const std::filesystem::path&);

/// A parameter as files hold it: heads in blocks, as PyTorch's chunk(K, dim=-1) takes them; a
/// single row that is not named a weight (a bias, a log-variance), or is said to be flat, with one
/// dimension.
SafeTensors::Array to_file(const Parameter&);
/// Fills a parameter from that layout.  `where` is for the message.
/// Errors: no array of its name; another shape.
void from_file(const SafeTensors&, const Parameter&, const std::string& where);

}  // namespace elbo
