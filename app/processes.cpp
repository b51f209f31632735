#include "app/processes.h"

#include <cstdlib>
#include <string_view>

namespace elbo {

Launch launch() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE"})
    if (const char* const count = std::getenv(name)) return {std::atoi(count), name};
  return {};
}

std::unique_ptr<Processes> started_processes() {
  const Launch started = launch();
  if (started.count <= 1) return nullptr;
  return started.variable == std::string_view("WORLD_SIZE") ? processes_by_tcp(started)
                                                            : processes_by_mpi(started);
}

}  // namespace elbo
