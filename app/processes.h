#pragma once
#include <memory>

#include "runtime/group.h"

namespace elbo {

/// The processes that mpirun or torchrun started together.
struct Processes : Group {
  virtual int place() const = 0;  // rank among those of this machine
  virtual void end() = 0;         // all of them, with an error
  /// Whether process 0 has ended, with a word about it, and this one noticed nothing of that yet.
  virtual bool told() { return false; }
};

/// Those that this process is one of; null if it was started alone.  Before the first thread that
/// is to block signals.
/// Errors: mpirun started it, but this build has no MPI or another one; torchrun's variables are
/// not whole; the others do not come (five minutes).
std::unique_ptr<Processes> started_processes();

/// How many processes the environment of a launcher speaks of, and which; 1 and nothing without.
struct Launch {
  int count = 1;
  const char* variable = "";
};
Launch launch();

std::unique_ptr<Processes> processes_by_mpi(const Launch&);
/// By TCP: what torchrun sets, $RANK of $WORLD_SIZE, meet at $MASTER_ADDR, port $MASTER_PORT, or
/// the one after it where torchrun itself listens there ($TORCHELASTIC_USE_AGENT_STORE).
/// $LOCAL_RANK of $LOCAL_WORLD_SIZE are on this machine, and share its cores ($ELBO_THREADS is set
/// if it is not).  Process 0 adds up, in the order of the ranks.
std::unique_ptr<Processes> processes_by_tcp(const Launch&);

}  // namespace elbo
