#pragma once
#include <string>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads an array as numpy.save writes it, in C order.
///
/// Shapes: [rows, columns], or images [N, H, W], which become N rows of H * W.
/// Types: <f4 stays; <f8 <i4 <i8 become float32 (rounded); |u1 |b1 become u8.
/// Units: u8 images have scale 1/255, or 1 where no byte exceeds 1; everything else has scale 1.
/// NaN is a missing value.
/// Bits: FILE?bits=1024 takes each byte of an u8 table for 8 numbers 0 or 1, the most significant
/// bit first, as np.packbits makes them; 1024 columns remain of each row, the rest pads its last
/// byte. Errors: another dtype, Fortran order, another number of dimensions, wrong magic, too few
/// or too many bytes, a number that is infinite or too large for float32 (named by its index, from
/// 0); bits that the rows' bytes do not have. Source: NumPy enhancement proposal 1, format versions
/// 1 to 3.
Dataset read_npy(const std::string& path);
Dataset parse_npy(const std::string& source, Bytes content, const Options& = {});

/// What an array is, said by its header.
struct NpyShape {
  std::string type;  // as numpy has it: <f4
  std::vector<long> extents;
};
/// Errors: as above, of the header.
NpyShape npy_shape(const std::string& source, const Bytes& content);

/// The same of an array in memory: its numbers in C order.  Errors: as above, of type, shape and
/// numbers.
Dataset parse_array(const std::string& source, const NpyShape&, const std::uint8_t* numbers);

/// A 1-D array of whole numbers (i1 to i8, u1 to u4, b1).
/// Errors: as above; another type or shape, numbers beyond 32 bits.
std::vector<int> parse_npy_labels(const std::string& source, const Bytes& content);

/// Writes float32 [rows, columns], all or nothing (atomic_file.h).
void write_npy(const std::string& path, long rows, long columns, const float* values);

}  // namespace elbo
