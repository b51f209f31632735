#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/inspection.h"

namespace elbo {

/// "bytes, times 1/255"
std::string stored_as(const Dataset&);

/// A likelihood that applies to data, and why.
struct Choice {
  std::string likelihood, reason;
};

/// What suits data.
struct Advice {
  std::vector<Choice> choices;  // the recommended one first
  std::string flags;            // " --rates library": what else `elbo train` is to be told
  std::vector<std::string> warnings;
  bool real = false;  // the numbers of a Gaussian, not counts or classes
  long rows = 0;      // that were looked at
};
Advice advise(const Dataset&, const Inspection&);

/// What data are, in words for a table: (shape, 1797 rows x 64 columns), (missing, nothing), …
/// The inspection may be that of the first rows alone, which is then said.
std::vector<std::pair<std::string, std::string>> facts(const Dataset&, const Inspection&);

}  // namespace elbo
