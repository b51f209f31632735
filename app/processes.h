#pragma once
#include <chrono>
#include <memory>
#include <optional>

#include "runtime/error.h"
#include "runtime/group.h"

namespace elbo {

/// Where one of several processes stops because another one has failed, which says why.
struct EndedByAnother : Error {
  EndedByAnother() : Error("another process has failed") {}
};

/// The processes that mpirun or torchrun started together.  Before anything that they do together
/// all of them tell whether they have failed: so each knows who has, and one alone says so.
/// Errors: EndedByAnother.
class Processes : public Group {
 public:
  virtual int place() const = 0;  // rank among those of this machine

  void sum(float* numbers, std::size_t count) final { meet(), add(numbers, count); }
  void sum(double* numbers, std::size_t count) final { meet(), add(numbers, count); }
  std::string of_first(const std::string& own) final { return meet(), from_first(own); }
  /// What all do together last.
  void part() { meet(); }

  /// After a failure: whether this process is to say so.  It is where it is the first of those that
  /// failed, and where others do not come to hear of it within a minute, which `end` then ends.
  bool speaks();
  virtual void end() {}

 protected:
  virtual void add(float*, std::size_t) = 0;
  virtual void add(double*, std::size_t) = 0;
  virtual std::string from_first(const std::string&) = 0;
  /// The least of what all give.  Of an impatient one nothing, where they do not come in time.
  virtual std::optional<int> least(int own, bool patient) = 0;
  static constexpr std::chrono::seconds patience{60};

 private:
  void meet() {
    if (least(size(), true) < size()) throw EndedByAnother();
  }
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
