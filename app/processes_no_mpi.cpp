#include "app/processes.h"
#include "runtime/error.h"

namespace elbo {

std::unique_ptr<Processes> processes_by_mpi(const Launch& started) {
  fail("was started as one of ", started.count, " processes ($", started.variable,
       "), but this build has no MPI: build with -DELBO_MPI=ON, or start them by torchrun");
}

}  // namespace elbo
