#include "app/processes.h"

#include <cstdlib>
#include <string_view>

namespace elbo {

Launch launch() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE"})
    if (const char* const count = std::getenv(name)) return {std::atoi(count), name};
  return {};
}

bool Processes::speaks() {
  try {
    return least(rank(), false).value_or(rank()) == rank();
  } catch (const Error&) {
    return true;  // one that is gone says nothing
  }
}

std::unique_ptr<Processes> started_processes() {
  const Launch started = launch();
  if (started.count <= 1) return nullptr;
  return started.variable == std::string_view("WORLD_SIZE") ? processes_by_tcp(started)
                                                            : processes_by_mpi(started);
}

}  // namespace elbo
