#pragma once
#include <string>

#include "models/evaluation.h"

namespace elbo {

/// What a report shows of a model by way of its decoder, as parts of its page: how the expected
/// data go along with each of the units that say most (pictures, or a table of the columns that
/// move most); and of data that are no pictures, a column each, how well it is reconstructed and
/// what draws from the prior make of it. The data are prepared, the batches and the latents theirs.
std::string report_sections(const Model&, const Dataset&, Batches&, const Encoded&,
                            std::uint64_t seed);

}  // namespace elbo
