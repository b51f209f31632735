#pragma once
#include <string>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads arrays as numpy.savez and savez_compressed write them.
///
/// Values: the array NAME of FILE?array=NAME; else the only one of 2 or 3 dimensions, or the only
/// one of these that is named X, arr_0 or images; as npy.h has them, with its key bits. Labels: a
/// 1-D array of whole numbers that is named labels or y, if it has a label for each row. Errors: no
/// zip archive, a truncated or corrupt one, another compression than numpy's, no such array, several
/// arrays and no name; those of npy.h.
Dataset parse_npz(const std::string& source, Bytes content, const Options& = {});

}  // namespace elbo
