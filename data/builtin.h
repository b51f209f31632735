#pragma once
#include <string>

#include "data/dataset.h"

namespace elbo {

/// A data set that Elbo makes itself:
///     builtin:digits[?n=10000&seed=0]      digits.h
///     builtin:cell-cycle[?n=2000&seed=0]   cell_cycle.h
/// Errors: another name, an unknown key, a value that is no count.
Dataset builtin_dataset(const std::string& what);

}  // namespace elbo
