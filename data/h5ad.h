#pragma once
#include <string>

#include "data/dataset.h"
#include "data/options.h"

namespace elbo {

/// Reads AnnData (.h5ad), of all its layouts since 0.5.
///
/// Values: X, or layers/NAME of FILE?layer=NAME, or raw/X of FILE?raw=1 (with its own columns);
/// dense, or compressed sparse by rows or by columns.  Stored as matrix_market.h says; NaN is
/// missing. Names: obs_names, var_names.  Annotations: the columns of obs: text and categories are
/// levels, booleans the levels False and True, numbers numbers; other types are left out. Errors:
/// hdf5_file.h; no such layer (naming those that there are), lists that do not fit together.
/// Source: anndata, On-disk format (0.8 and later, and what its reader says of earlier ones).
Dataset read_h5ad(const std::string& path, const Options& = {});

/// Copies an AnnData file and adds obsm/NAME, float32 [rows, columns]; all or nothing
/// (atomic_file.h), so that `out` may be `path` itself.
/// Errors: another number of observations; obsm/NAME is there and not to be replaced; an obsm that
/// is a table, as before 0.7.
void write_obsm(const std::string& path, const std::string& out, const std::string& name, long rows,
                long columns, const float* values, bool replace);

}  // namespace elbo
