#pragma once
#include <string>

#include "data/dataset.h"
#include "data/options.h"

namespace elbo {

/// Whether an HDF5 file holds counts as 10x Genomics' Cell Ranger writes them.
bool is_ten_x(const std::string& path);

/// Reads them: cells become rows, named by barcodes; columns are named by gene symbols.
///
/// Version 3 has them in the group matrix; version 2 in one group a genome, of which
/// FILE?genome=NAME chooses one if there are several.  Stored as matrix_market.h says.
/// Errors: hdf5_file.h; no such genome, names that are not as many as the shape says.
/// Source: 10x Genomics, Feature-Barcode Matrices, HDF5.
Dataset read_ten_x(const std::string& path, const Options& = {});

}  // namespace elbo
