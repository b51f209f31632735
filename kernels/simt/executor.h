// The host executor of CUDA kernels: what tests see, then what CUDA's names (builtins.h) stand on.
//
// Each CUDA thread is a fiber on the OS thread that launches. Blocks run one after the other, those
// of a cluster or of a cooperative launch all at once. Any OS thread may launch; a kernel's error
// comes out of launch().
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/simt/vector_types.h"

namespace elbo::inline on_simt {
struct Launch;
}

namespace elbo::simt {

/// What a kernel did wrong, where, and in which block and thread.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Process-wide; change it between launches. The environment sets it at first use:
/// ELBO_SIMT_SEED, ELBO_SIMT_PREEMPT, ELBO_SIMT_RESIDENT, ELBO_SIMT_AT_ONCE, ELBO_SIMT_CLUSTER,
/// ELBO_SIMT_TIMEOUT.
struct Configuration {
  std::uint64_t seed = 2;  // 0: threads in order; 1: in reverse; even: any thread next;
                           // odd: warps of random priority, so that some run far ahead
  unsigned preempt = 0;    // race build: switch threads at one in so many accesses, 0: never
  unsigned resident = 1;   // blocks that take turns; a cooperative launch: all of them
  unsigned at_once = 5;    // blocks of a cooperative launch that takes all there is room for
  unsigned cluster = 8;    // of a cluster that does so; 0: there are none, as before sm_90
  double timeout = 60;     // seconds per launch
  bool dry = false;        // launches are checked and recorded, and not run
};
Configuration& configuration();

/// Bytes are what all threads asked of global memory, a byte read twice counting twice.
struct LaunchRecord {
  std::string kernel;  // its name, if linked with -rdynamic
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  std::uint64_t bytes_read = 0, bytes_written = 0;
};
std::vector<LaunchRecord> launches();  // of the whole process since clear_launches()
void clear_launches();
bool bytes_are_counted();  // in the race build alone

// ---- for builtins.h and the executor's own sources ---------------------------------------------

using Site = std::source_location;

struct Block;
struct Fiber;

struct AsyncCopy {
  char* to;
  const char* from;
  int bytes, valid;
  bool landed;
  unsigned group;
  const void* pc;
};

struct Thread {
  uint3 index;
  unsigned rank;  // in its block
  unsigned id;    // linear block << 10 | rank
  unsigned slot;  // of its block among the resident ones
  Block* block;
  Fiber* fiber;  // null: not started, or done
  Thread* next;  // in a barrier's list
  bool done;
  bool waits;  // has yet to wait for the kernel that its own overlaps
  const char* operation;  // what it waits in; null: it can run
  Site site;
  unsigned mask;                  // of the warp operation it waits in; 0: a barrier
  int votes;                      // result of its last barrier
  void* argument;                 // for the warp operation, on its own stack
  unsigned async_group;           // the cp.async group being filled
  std::vector<AsyncCopy> copies;  // in flight
  unsigned lane() const { return rank % 32; }
};

inline __thread Thread* self = nullptr;  // the CUDA thread now running; null outside kernels

struct Region {
  const char* begin;
  std::size_t bytes;
  bool holds(const void* p) const {
    return std::size_t(static_cast<const char*>(p) - begin) < bytes;
  }
};

struct Job {
  const void* kernel;
  void (*call)(void*);
  void* arguments;
  std::size_t argument_bytes;
};
void run(const Job&, const Launch&);

[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);
[[noreturn, gnu::format(printf, 2, 3)]] void fail_at(Site, const char* format, ...);

void yield();           // lets other threads run
void sync_point();      // sometimes a yield
bool coin(unsigned n);  // true once in n; never under seeds 0 and 1
void fence();
void wait_for_the_kernel_before();

int barrier(const char* operation, int vote, Site);  // the sum of the votes
void grid_barrier(Site);
void cluster_barrier(Site);

// All lanes of `mask` meet; the last to come runs `combine` over every lane's argument; all go on.
void warp_meet(unsigned mask, const char* operation, void* argument,
               void (*combine)(Thread* lane0, unsigned mask), Site);

template <class A>
A& argument_of(Thread* lane0, int lane) {
  return *static_cast<A*>(lane0[lane].argument);
}

enum class Shuffle { index, up, down, exclusive_or };
void shuffle(Shuffle, unsigned mask, const void* in, void* out, std::size_t bytes, unsigned operand,
             unsigned width, Site);
unsigned ballot(const char* operation, unsigned mask, bool vote, Site);
unsigned active_mask();

struct SharedKey {
  const char* name;
  std::size_t bytes;
};
void* shared_variable(const SharedKey&);
void* dynamic_shared();
bool is_shared(const void*, std::size_t bytes);
const char* shared_name(const void*);

void copy_async(void* to, const void* from, int bytes, int valid, Site);
void wait_async(int pending);

// An asynchronous copy is a write twice: when it is issued and when it is waited for.
enum Access : unsigned { Read = 1, Write = 2, Atomic = 4, Issued = 8, Landed = 16 };

struct Hooks {  // race.cpp fills them in
  void (*launch)(unsigned slots, unsigned cluster, Region arguments, Region stacks);
  void (*finish)(LaunchRecord&);
  void (*access)(const void*, std::size_t bytes, unsigned access, const void* pc);
  void (*shared_allocated)(const void*, std::size_t bytes);
  void (*warp_synced)(const Thread&);
  void (*block_synced)(const Thread&);
  void (*grid_synced)();
  void (*cluster_synced)(const Thread&);
  void (*fenced)(const Thread&);
};
inline const Hooks* hooks = nullptr;

inline void touch(const void* p, std::size_t bytes, unsigned access, const void* pc) {
  if (hooks) hooks->access(p, bytes, access, pc);
}

// Out of line and not instrumented: the race build's own record says where it was called.
template <class T, class F>
[[gnu::noinline, gnu::no_sanitize("thread")]] T atomic(T* p, F update) {
  sync_point();
  touch(p, sizeof(T), Atomic | Read | Write, __builtin_return_address(0));
  const T old = *p;
  *p = update(old);
  return old;
}

}  // namespace elbo::simt
