#include "app/processes.h"
#include "runtime/error.h"

namespace elbo {

std::unique_ptr<Processes> started_processes() {
  const Launch started = launch();
  require(started.count <= 1, "was started as one of ", started.count, " processes ($",
          started.variable, "), but this build has no MPI: build with -DELBO_MPI=ON");
  return nullptr;
}

}  // namespace elbo
