// Finds data races and reads of uninitialised shared memory, and counts global bytes.
//
// Kernel sources are compiled with -fsanitize=thread, but libtsan is not linked: the calls that the
// compiler plants at every load and store end here. What happened before what is known from one
// clock and, per block, the last barrier of its cluster, of the block and of each warp. A word
// keeps its last write and two reads, so some races pass; what is reported is one.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <unordered_map>

#include "kernels/cuda/simt.cuh"

namespace elbo::simt {

namespace {

struct Event {
  uint32_t time = 0;  // 0: never
  uint32_t thread = 0;
  const void* pc = nullptr;
};

struct Cell {  // of a word, or of one byte of a word that was once accessed in part
  Event write, reads[2];
  bool uninitialised = false, atomic = false, in_flight = false;
  uint32_t bytes = 0;  // its four bytes are State::bytes[bytes - 1]
};

struct Page {
  static constexpr std::size_t size = 4096;
  Cell words[size / 4];
};

struct BlockClock {
  uint32_t block = 0, warp[32] = {};  // when they last met
};

// Between blocks: the writer fences after the write, or another thread does after a barrier; the
// reader, or another thread before a barrier, sees it by an atomic and then fences.
struct Order {  // of a thread, of a warp, of a block
  uint32_t released = 0, atomic = 0, acquired = 0;
  uint32_t next_atomic = 0, next_acquired = 0;  // what the next barrier passes on to all
  void meet() {
    atomic = next_atomic;
    acquired = next_acquired;
  }
};

struct State {
  std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;
  std::deque<std::array<Cell, 4>> bytes;
  struct {
    uintptr_t number = ~uintptr_t(0);
    Page* page = nullptr;
  } recent[64];
  std::vector<BlockClock> clocks;                 // by slot
  unsigned cluster = 1;                           // blocks of one
  std::vector<uint32_t> cluster_times;            // when each last met, by slot / cluster
  std::unordered_map<uint32_t, Order> orders[3];  // by thread, by warp, by block
  uint32_t now = 1, grid_time = 1;
  uint64_t random = 88172645463325252u;
  uint64_t read = 0, written = 0;
  Region arguments{}, stacks{}, variables{};

  Cell& word(uintptr_t address) {
    const uintptr_t number = address / Page::size;
    auto& r = recent[number % 64];
    if (r.number != number) {
      auto& page = pages[number];
      if (!page) page = std::make_unique<Page>();
      r = {number, page.get()};
    }
    return r.page->words[address % Page::size / 4];
  }

  std::array<Cell, 4>& split(Cell& word) {
    if (!word.bytes) {
      bytes.push_back({word, word, word, word});
      word.bytes = uint32_t(bytes.size());
    }
    return bytes[word.bytes - 1];
  }

  template <class F>
  void each_cell(const void* p, std::size_t n, F f) {
    for (uintptr_t a = uintptr_t(p), end = a + n; a < end;) {
      Cell& cell = word(a);
      if (a % 4 == 0 && end - a >= 4 && !cell.bytes) {
        f(cell, reinterpret_cast<const void*>(a));
        a += 4;
      } else {
        f(split(cell)[a % 4], reinterpret_cast<const void*>(a));
        ++a;
      }
    }
  }

  Order& order(int level, uint32_t thread) {
    constexpr int shift[] = {0, 5, 10};
    return orders[level][thread >> shift[level]];
  }

  uint32_t latest(uint32_t Order::* what, uint32_t thread) {
    return std::max({order(0, thread).*what, order(1, thread).*what, order(2, thread).*what});
  }

  bool ordered(const Event& e, const Thread& t) {
    if (!e.time || e.thread == t.id || e.time < grid_time) return true;
    if ((e.thread >> 10) / cluster == (t.id >> 10) / cluster &&
        e.time < cluster_times[t.slot / cluster])
      return true;
    if (e.thread >> 10 != t.id >> 10)
      return e.time < latest(&Order::released, e.thread) && e.time < latest(&Order::acquired, t.id);
    const BlockClock& clock = clocks[t.slot];
    const unsigned warp = t.rank / 32;
    return e.time < clock.block || ((e.thread & 1023) / 32 == warp && e.time < clock.warp[warp]);
  }
};

thread_local std::unique_ptr<State> owner;
__thread State* state;

// file:line, the innermost inlined frame first.
std::string source_of(const void* pc) {
  Dl_info there{}, here{};
  if (!dladdr(pc, &there) || !dladdr(reinterpret_cast<const void*>(&source_of), &here)) return "?";
  char program[512] = "", command[1024], line[512];
  if (there.dli_fbase != here.dli_fbase)
    std::snprintf(program, sizeof program, "%s", there.dli_fname);
  else if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) return "?";
  const auto offset = static_cast<const char*>(pc) - static_cast<const char*>(there.dli_fbase) - 1;
  std::snprintf(command, sizeof command, "addr2line -s -i -e '%s' %#zx", program,
                std::size_t(offset));
  std::string s;
  if (FILE* pipe = popen(command, "r")) {
    while (std::fgets(line, sizeof line, pipe)) {
      line[std::strcspn(line, " \n")] = 0;
      s += (s.empty() ? "" : " < ") + std::string(line);
    }
    pclose(pipe);
  }
  return s;
}

[[noreturn]] void report(const char* what, const void* p, const void* pc, const char* before,
                         const Event& e) {
  const char* name = is_shared(p, 1) ? shared_name(p) : nullptr;
  fail("data race on %s%s at %p: %s at %s; unsynchronised %s by block %u thread %u at %s",
       name ? "shared " : "global memory", name ? name : "", p, what, source_of(pc).c_str(), before,
       e.thread >> 10, e.thread & 1023, source_of(e.pc).c_str());
}

void access(const void* p, std::size_t n, unsigned kind, const void* pc) {
  const Thread* t = self;
  if (!t) return;
  State& s = *state;
  if (s.stacks.holds(p) || s.arguments.holds(p) || s.variables.holds(p)) return;
  if (const unsigned every = configuration().preempt; every && !(kind & Atomic)) {
    s.random ^= s.random << 13, s.random ^= s.random >> 7, s.random ^= s.random << 17;
    if ((s.random >> 33) % every == 0) yield();
  }
  if (!is_shared(p, 1)) {
    if (t->waits)
      fail("%s of global memory at %s, before griddepcontrol_wait()", kind & Write ? "write" : "read",
           source_of(pc).c_str());
    if (kind & Read) s.read += n;
    if (kind & Write) s.written += n;
  }
  if (kind & Atomic) {
    s.order(0, t->id).atomic = ++s.now;
    s.order(1, t->id).next_atomic = s.order(2, t->id).next_atomic = s.now;
  }
  const Event event{s.now, t->id, pc};
  s.each_cell(p, n, [&](Cell& c, const void* at) {
    if (c.in_flight && !(kind & Landed))
      report(kind & Write ? "write" : "read", at, pc, "cp.async, not waited for,", c.write);
    if (c.uninitialised && kind & Read)
      fail("read of uninitialised shared memory %s at %s", shared_name(at) ? shared_name(at) : "",
           source_of(pc).c_str());
    c.uninitialised = false;
    if (!(kind & Atomic && c.atomic) && !s.ordered(c.write, *t))
      report(kind & Write ? "write" : "read", at, pc, "write", c.write);
    if (kind & Write) {
      for (const Event& read : c.reads)
        if (!s.ordered(read, *t)) report("write", at, pc, "read", read);
      c.write = event;
      c.atomic = kind & Atomic;
      c.in_flight = kind & Issued;
    } else if (!(kind & Atomic)) {
      // The last reader, and the last one unlike it.
      if (c.reads[0].thread != t->id) c.reads[1] = c.reads[0];
      c.reads[0] = event;
    }
  });
}

void launch(unsigned slots, unsigned cluster, Region arguments, Region stacks) {
  // Nothing from before a launch can race with it: what is known of memory may go.
  if (!owner || owner->pages.size() > 1024 || owner->now > 1u << 31)
    owner = std::make_unique<State>();
  state = owner.get();
  State& s = *state;
  s.clocks.assign(slots, {});
  s.cluster = cluster;
  s.cluster_times.assign(slots / cluster, 0);
  for (auto& orders : s.orders) orders.clear();
  s.grid_time = ++s.now;
  s.read = s.written = 0;
  s.arguments = arguments;
  s.stacks = stacks;
  const char* variables[] = {
      reinterpret_cast<const char*>(&threadIdx), reinterpret_cast<const char*>(&blockIdx),
      reinterpret_cast<const char*>(&blockDim), reinterpret_cast<const char*>(&gridDim)};
  const auto [first, last] = std::minmax_element(std::begin(variables), std::end(variables));
  s.variables = {*first, std::size_t(*last - *first) + sizeof gridDim};
}

void finish(LaunchRecord& record) {
  record.bytes_read = state->read;
  record.bytes_written = state->written;
}

void shared_allocated(const void* p, std::size_t n) {
  state->each_cell(p, n, [](Cell& c, const void*) {
    c = {};
    c.uninitialised = true;
  });
}

void warp_synced(const Thread& t) {
  state->clocks[t.slot].warp[t.rank / 32] = ++state->now;
  if (!state->orders[1].empty()) state->order(1, t.id).meet();
}

void block_synced(const Thread& t) {
  state->clocks[t.slot].block = ++state->now;
  if (!state->orders[2].empty()) state->order(2, t.id).meet();
}

void grid_synced() { state->grid_time = ++state->now; }

void cluster_synced(const Thread& t) {
  state->cluster_times[t.slot / state->cluster] = ++state->now;
}

void fenced(const Thread& t) {
  State& s = *state;
  const uint32_t atomic = s.latest(&Order::atomic, t.id);
  s.order(0, t.id).released = ++s.now;
  s.order(0, t.id).acquired = atomic;
  s.order(1, t.id).released = s.clocks[t.slot].warp[t.rank / 32];
  s.order(2, t.id).released = s.clocks[t.slot].block;
  for (int level : {1, 2}) {
    uint32_t& acquired = s.order(level, t.id).next_acquired;
    acquired = std::max(acquired, atomic);
  }
}

const Hooks table{launch,      finish,         access, shared_allocated, warp_synced, block_synced,
                  grid_synced, cluster_synced, fenced};
[[maybe_unused]] const bool installed = (hooks = &table, true);

[[gnu::always_inline]] inline void read(const void* p, std::size_t n) {
  access(p, n, Read, __builtin_return_address(0));
}
[[gnu::always_inline]] inline void write(const void* p, std::size_t n) {
  access(p, n, Write, __builtin_return_address(0));
}

}  // namespace

}  // namespace elbo::simt

// What g++ calls under -fsanitize=thread.
extern "C" {
using elbo::simt::read, elbo::simt::write;
void __tsan_read1(void* p) { read(p, 1); }
void __tsan_read2(void* p) { read(p, 2); }
void __tsan_read4(void* p) { read(p, 4); }
void __tsan_read8(void* p) { read(p, 8); }
void __tsan_read16(void* p) { read(p, 16); }
void __tsan_write1(void* p) { write(p, 1); }
void __tsan_write2(void* p) { write(p, 2); }
void __tsan_write4(void* p) { write(p, 4); }
void __tsan_write8(void* p) { write(p, 8); }
void __tsan_write16(void* p) { write(p, 16); }
void __tsan_read_range(void* p, unsigned long n) { read(p, n); }
void __tsan_write_range(void* p, unsigned long n) { write(p, n); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
// Host code of a kernel source: initialisation of local statics, shared_ptr.
unsigned char __tsan_atomic8_load(const volatile unsigned char* p, int) {
  return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}
unsigned __tsan_atomic32_fetch_add(volatile unsigned* p, unsigned v, int) {
  return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
}
