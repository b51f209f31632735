#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/inspection.h"

namespace elbo {

/// "bytes, times 1/255"
std::string stored_as(const Dataset&);

/// What data are, in words for a table: (shape, 1797 rows x 64 columns), (missing, nothing), …
/// The inspection may be that of the first rows alone, which is then said.
std::vector<std::pair<std::string, std::string>> facts(const Dataset&, const Inspection&);

}  // namespace elbo
