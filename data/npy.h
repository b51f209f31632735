#pragma once
#include <string>

#include "data/dataset.h"
#include "data/input_file.h"

namespace elbo {

/// Reads an array as numpy.save writes it, in C order.
///
/// Shapes: [rows, columns], or images [N, H, W], which become N rows of H * W.
/// Types: <f4 stays; <f8 <i4 <i8 become float32 (rounded); |u1 |b1 become u8.
/// Units: u8 images have scale 1/255, or 1 where no byte exceeds 1; everything else has scale 1.
/// NaN is a missing value.
/// Errors: another dtype, Fortran order, another number of dimensions, wrong magic, too few or too
/// many bytes, a number that is infinite or too large for float32 (named by its index, from 0).
/// Source: NumPy enhancement proposal 1, format versions 1 to 3.
Dataset read_npy(const std::string& path);
Dataset parse_npy(const std::string& source, Bytes content);

/// Writes float32 [rows, columns], all or nothing (atomic_file.h).
void write_npy(const std::string& path, long rows, long columns, const float* values);

}  // namespace elbo
