#pragma once
#include <memory>

#include "models/group.h"

namespace elbo {

/// The processes that mpirun started together.
struct Processes : Group {
  virtual int place() const = 0;  // rank among those of this machine
  virtual void end() = 0;         // all of them, with an error
};

/// Those that this process is one of; null if it was started alone.  Before the first thread that
/// is to block signals.
/// Errors: started as one of several, but this build has no MPI, or another launcher did it.
std::unique_ptr<Processes> started_processes();

/// How many processes the environment of a launcher speaks of, and which; 1 and nothing without.
struct Launch {
  int count = 1;
  const char* variable = "";
};
Launch launch();

}  // namespace elbo
