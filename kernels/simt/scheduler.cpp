// Which thread runs next, barriers and warp operations, and how errors leave a kernel.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/simt/state.h"

namespace elbo::simt {

Executor& executor() {
  static thread_local Executor e;
  return e;
}

// ---- errors ------------------------------------------------------------------------------------

namespace {

std::string formatted(const char* format, va_list values) {
  char s[2048];
  std::vsnprintf(s, sizeof s, format, values);
  return s;
}

[[noreturn]] void stop(std::string message) {
  Executor& x = executor();
  if (!self) throw Error("simt: " + message);
  x.error = "simt: " + message + " [block " + text(blockIdx) + " thread " + text(threadIdx) +
            " of " + launched(x) + "]";
  message = {};  // this stack is left as it is
  message.shrink_to_fit();
  self = nullptr;
  x.fibers.switch_to(x.fibers.main());
  std::abort();
}

// Says which CUDA thread it was; then the fault strikes again and goes to whom it went before.
[[maybe_unused]] struct sigaction previous_handler;
[[maybe_unused]] void on_segmentation_fault(int, siginfo_t* fault, void*) {
  if (self) {
    const auto offset =
        std::size_t(static_cast<char*>(fault->si_addr) - executor().fibers.stacks());
    const bool overflow = offset < Fibers::limit * Fibers::stack_bytes &&
                          offset % Fibers::stack_bytes < Fibers::guard_bytes;
    char s[200];
    const int n = std::snprintf(
        s, sizeof s, "simt: %s in block (%u,%u,%u) thread (%u,%u,%u)\n",
        overflow ? "stack overflow (local variables above 256 KiB)" : "segmentation fault",
        blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    if (write(2, s, std::size_t(n)) < 0) std::abort();
  }
  sigaction(SIGSEGV, &previous_handler, nullptr);
}

}  // namespace

Executor::Executor() {
#if !ELBO_ASAN
  static thread_local char handler_stack[64 << 10];
  stack_t stack{};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  sigaltstack(&stack, nullptr);
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_segmentation_fault;
    sigaction(SIGSEGV, &action, &previous_handler);
  });
#endif
}

std::string describe_deadlock(const Executor& x) {
  std::map<std::string, std::pair<int, uint3>> groups;
  for (unsigned i = 0; i < x.resident; ++i)
    for (const Thread& t : x.slots[i]->threads) {
      std::string group = "block " + text(t.block->index);
      char mask[32];
      std::snprintf(mask, sizeof mask, "(mask %08x)", t.mask);
      if (t.done) group += " have ended";
      else if (t.mask)
        group += " warp " + std::to_string(t.rank / 32) + " wait in " + t.operation + mask +
                 " at " + text(t.site);
      else group += std::string(" wait in ") + t.operation + " at " + text(t.site);
      auto& [n, first] = groups[group];
      if (!n++) first = t.index;
    }
  std::string s = "simt: deadlock (divergent barrier or warp operation) in " + launched(x) + ":";
  for (const auto& [group, who] : groups)
    s += "\n  " + std::to_string(who.first) + " threads of " + group + " (first: thread " +
         text(who.second) + ")";
  return s;
}

void fail(const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::string message = formatted(format, values);
  va_end(values);
  stop(std::move(message));
}

void fail_at(Site site, const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::string message = formatted(format, values) + " at " + text(site);
  va_end(values);
  stop(std::move(message));
}

#if ELBO_ASAN
extern "C" void __asan_on_error() {  // ASan knows nothing of CUDA threads
  if (self)
    std::fprintf(stderr, "simt: in block (%u,%u,%u) thread (%u,%u,%u)\n", blockIdx.x, blockIdx.y,
                 blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}
#endif

// ---- scheduler ---------------------------------------------------------------------------------

void make_runnable(Executor& x, Thread* t) {
  t->operation = nullptr;
  x.at(x.count++) = t;
}

static Thread* next_runnable(Executor& x) {
  if (!x.count) return nullptr;
  const std::uint64_t seed = x.configuration.seed;
  if (seed == 1) return x.at(--x.count);
  if (seed > 1) {
    std::size_t best = x.random(std::uint32_t(x.count));
    if (seed % 2) {
      // Warps keep a random priority for 512 dispatches; the best of seven candidates runs.
      const auto priority = [&](std::size_t i) {
        const Thread& t = *x.at(i);
        const auto warp = t.slot * 977 + t.rank / 32 + 1;
        return std::uint32_t((x.dispatches >> 9) * 0x9E3779B1u + warp) * 0x85EBCA6Bu;
      };
      for (int i = 0; i < 6; ++i) {
        const std::size_t candidate = x.random(std::uint32_t(x.count));
        if (priority(candidate) > priority(best)) best = candidate;
      }
    }
    std::swap(x.at(0), x.at(best));
  }
  Thread* t = x.at(0);
  if (++x.head == x.ring.size()) x.head = 0;
  --x.count;
  return t;
}

void dispatch(Executor& x, bool ended) {
  Thread* next = next_runnable(x);
  if (!(++x.dispatches & 0xFFF)) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - x.start;
    if (spent.count() > x.configuration.timeout)
      fail(
          "no end after %g s (livelock, or blocks that wait for each other in a launch that is "
          "not cooperative)",
          x.configuration.timeout);
  }
  if (next && next == self && !ended) return;
  Fiber* to = x.fibers.main();
  if (next) {
    if (!next->fiber) next->fiber = ended ? x.fibers.current() : x.fibers.take();
    if (!next->fiber) fail("more than %zu threads in flight", Fibers::limit);
    to = next->fiber;
    threadIdx = next->index;
    blockIdx = next->block->index;
  }
  self = next;
  if (to == x.fibers.current()) return;
  if (ended) x.fibers.put_back(x.fibers.current());
  x.fibers.switch_to(to);
}

void run_threads() {
  Executor& x = executor();
  for (;;) {
    x.job->call(x.job->arguments);
    if (self->waits) fail("the thread ends without griddepcontrol_wait()");
    if (!self->copies.empty()) fail("the thread ends with cp.async copies it never waited for");
    self->done = true;
    self->fiber = nullptr;
    --x.live;
    dispatch(x, true);
  }
}

static void wait(Executor& x, const char* operation, Site site, unsigned mask) {
  self->operation = operation;
  self->site = site;
  self->mask = mask;
  dispatch(x, false);
}

void yield() {
  Executor& x = executor();
  if (!self) return;
  make_runnable(x, self);
  if (x.configuration.seed == 1) {  // the last one would come first: behind all others instead
    x.head = (x.head ? x.head : x.ring.size()) - 1;
    x.at(0) = self;
  }
  dispatch(x, false);
}

bool coin(unsigned n) {
  Executor& x = executor();
  return x.configuration.seed > 1 && x.random(n) == 0;
}

void sync_point() {
  static thread_local unsigned n;  // a loop that spins must let others run under any seed
  if (!(++n & 63) || coin(4)) yield();
}

void fence() {
  if (hooks && self) hooks->fenced(*self);
  sync_point();
}

void wait_for_the_kernel_before() {
  if (self) self->waits = false;
}

// ---- barriers and warp operations --------------------------------------------------------------

static int arrive(Executor& x, Barrier& b, const char* operation, unsigned expected, int vote,
                  Site site) {
  if (b.arrived &&
      (b.site.line() != site.line() || std::strcmp(b.site.file_name(), site.file_name())))
    fail_at(site, "divergent barrier: %u threads wait at %s:%u, but this one comes to %s",
            b.arrived, b.site.file_name(), b.site.line(), operation);
  Thread* t = self;
  b.site = site;
  b.votes += vote;
  t->next = std::exchange(b.waiting, t);
  if (++b.arrived < expected) {
    wait(x, operation, site, 0);
    return t->votes;
  }
  if (hooks) {
    if (&b == &x.grid_barrier) hooks->grid_synced();
    else if (&b == &t->block->barrier) hooks->block_synced(*t);
    else hooks->cluster_synced(*t);
  }
  const Barrier full = std::exchange(b, {});
  for (Thread *w = full.waiting, *next; w; w = next) {
    next = w->next;
    w->votes = full.votes;
    if (w != t) make_runnable(x, w);
  }
  if (coin(4)) yield();
  return full.votes;
}

int barrier(const char* operation, int vote, Site site) {
  Block& b = *self->block;
  return arrive(executor(), b.barrier, operation, unsigned(b.threads.size()), vote, site);
}

void grid_barrier(Site site) {
  Executor& x = executor();
  if (!x.launch->cooperative) fail_at(site, "grid_sync in a launch that is not cooperative");
  const auto threads = unsigned(self->block->threads.size());
  arrive(x, x.grid_barrier, "grid_sync", x.resident * threads, 0, site);
}

void cluster_barrier(Site site) {
  Executor& x = executor();
  const unsigned blocks = x.launch->cluster;
  if (!blocks) fail_at(site, "cluster_sync in a launch without clusters");
  const auto threads = unsigned(self->block->threads.size());
  arrive(x, x.cluster_barriers[self->slot / blocks], "cluster_sync", blocks * threads, 0, site);
}

void warp_meet(unsigned mask, const char* operation, void* argument,
               void (*combine)(Thread*, unsigned), Site site) {
  Executor& x = executor();
  Thread* t = self;
  Warp& w = t->block->warps[t->rank / 32];
  const unsigned lane = 1u << t->lane();
  if (!(mask & lane))
    fail_at(site, "%s: mask %08x leaves out the calling lane %u", operation, mask, t->lane());
  mask &= w.lanes;  // the last warp of a block may be partial
  Gate* g = std::find_if(w.gates, w.gates + w.open, [=](Gate& g) { return g.mask == mask; });
  if (g == w.gates + w.open) {
    if (w.open == 32) fail_at(site, "%s: more masks than lanes in one warp", operation);
    *g = {mask, 0, operation};
    ++w.open;
  }
  if (g->operation != operation && std::strcmp(g->operation, operation))
    fail_at(site, "lanes of one warp meet in different operations: others in %s, this one in %s",
            g->operation, operation);
  t->argument = argument;
  if ((g->arrived |= lane) != mask) return wait(x, operation, site, mask);
  *g = w.gates[--w.open];
  Thread* lane0 = t - t->lane();
  if (combine) combine(lane0, mask);
  if (hooks && !combine) hooks->warp_synced(*t);  // only __syncwarp orders memory
  for (unsigned rest = mask & ~lane; rest; rest &= rest - 1)
    make_runnable(x, lane0 + __builtin_ctz(rest));
  if (coin(4)) yield();
}

}  // namespace elbo::simt
