#include "kernels/simt/executor.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/simt/state.h"

namespace elbo::simt {

namespace {

std::mutex log_mutex;
std::vector<std::pair<const void*, LaunchRecord>> launch_log;

std::string kernel_name(const void* kernel) {
  Dl_info info{};
  if (!dladdr(kernel, &info) || !info.dli_sname || info.dli_saddr != kernel) {
    char address[40];
    std::snprintf(address, sizeof address, "kernel at %p", kernel);
    return address;
  }
  int status;
  char* demangled = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = demangled ? demangled : info.dli_sname;
  std::free(demangled);
  if (name.ends_with(')')) {
    std::size_t end = name.size(), depth = 0;
    do depth += name[--end] == ')' ? 1 : name[end] == '(' ? -1 : 0;
    while (end && depth);
    name.resize(end);
  }
  if (name.starts_with("void ")) name.erase(0, 5);
  for (const char* space : {"elbo::on_simt::", "elbo::"})
    for (std::size_t i; (i = name.find(space)) != name.npos;) name.erase(i, std::strlen(space));
  return name;
}

}  // namespace

std::string text(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}

std::string text(Site site) {
  return std::string(site.file_name()) + ":" + std::to_string(site.line());
}

std::string launched(const Executor& x) {
  return kernel_name(x.job->kernel) + " launched at " + text(x.launch->site);
}

Configuration& configuration() {
  static Configuration c = [] {
    Configuration c;
    const auto read = [](const char* name, auto& value) {
      if (const char* s = std::getenv(name)) value = std::decay_t<decltype(value)>(std::atof(s));
    };
    read("ELBO_SIMT_SEED", c.seed);
    read("ELBO_SIMT_PREEMPT", c.preempt);
    read("ELBO_SIMT_RESIDENT", c.resident);
    read("ELBO_SIMT_AT_ONCE", c.at_once);
    read("ELBO_SIMT_CLUSTER", c.cluster);
    read("ELBO_SIMT_TIMEOUT", c.timeout);
    return c;
  }();
  return c;
}

std::vector<LaunchRecord> launches() {
  std::lock_guard lock(log_mutex);
  std::vector<LaunchRecord> records;
  std::map<const void*, std::string> names;
  for (auto& [kernel, record] : launch_log) {
    auto [name, is_new] = names.try_emplace(kernel);
    if (is_new) name->second = kernel_name(kernel);
    records.push_back(record);
    records.back().kernel = name->second;
  }
  return records;
}

void clear_launches() {
  std::lock_guard lock(log_mutex);
  launch_log.clear();
}

bool bytes_are_counted() { return hooks != nullptr; }

// ---- shared memory -----------------------------------------------------------------------------

namespace {

constexpr std::size_t arena_bytes = 512 << 10, redzone = 64;
constexpr std::size_t most_shared = 227 << 10, most_static = 48 << 10;
constexpr int poison = 0xFF;  // NaN as bf16, float and double; -1 as int
constexpr int canary = 0xA5;

}  // namespace

Block::~Block() {
  if (!arena) return;
  ASAN_UNPOISON_MEMORY_REGION(arena, arena_bytes);
  munmap(arena, arena_bytes);
}

namespace {

void* allocate_shared(Block& b, const SharedKey* key, std::size_t bytes, std::size_t alignment) {
  char* p = b.arena + (b.used + redzone + alignment - 1) / alignment * alignment;
  std::size_t total = bytes;
  for (const Variable& v : b.variables) total += v.bytes;
  if (total > most_shared)
    fail("a block needs %zu bytes of shared memory, the limit is %zu", total, most_shared);
  b.used = std::size_t(p - b.arena) + bytes;
  b.variables.push_back({key, p, bytes});
  ASAN_UNPOISON_MEMORY_REGION(p, bytes);
  std::memset(p, poison, bytes);
  if (!ELBO_ASAN) std::memset(p + bytes, canary, redzone);
  if (hooks) hooks->shared_allocated(p, bytes);
  return p;
}

void clear_shared(Block& b) {
  if (!b.arena) {
    void* p =
        mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("no memory for a block's shared memory");
    b.arena = static_cast<char*>(p);
    b.used = arena_bytes;
  }
  ASAN_POISON_MEMORY_REGION(b.arena, b.used);
  b.used = 0;
  b.variables.clear();
}

void check_canaries(const Executor& x, const Block& b) {
  for (const Variable& v : b.variables)
    for (std::size_t i = v.bytes; i < v.bytes + redzone; ++i)
      if (static_cast<unsigned char>(v.data[i]) != canary)
        throw Error("simt: write past the end of shared variable '" +
                    std::string(v.key ? v.key->name : "dynamic") + "' (" + std::to_string(v.bytes) +
                    " bytes, at byte " + std::to_string(i) + ") in block " + text(b.index) +
                    " of " + launched(x));
}

}  // namespace

void* shared_variable(const SharedKey& key) {
  Block& b = *self->block;
  std::size_t bytes = key.bytes;
  for (const Variable& v : b.variables) {
    if (v.key == &key) return v.data;
    if (v.key) bytes += v.bytes;
  }
  if (bytes > most_static)
    fail("static shared memory exceeds 48 KiB ('%s'): use ELBO_DYNAMIC_SHARED", key.name);
  return allocate_shared(b, &key, key.bytes, 16);
}

void* dynamic_shared() {
  Block& b = *self->block;
  if (b.variables.empty() || b.variables[0].key)
    fail("dynamic shared memory in a launch without shared_bytes");
  return b.variables[0].data;
}

bool is_shared(const void* p, std::size_t bytes) {
  const Block& b = *self->block;
  const auto offset = std::size_t(static_cast<const char*>(p) - b.arena);
  return offset < b.used && offset + bytes <= b.used;
}

const char* shared_name(const void* p) {
  for (const Variable& v : self->block->variables)
    if (Region{v.data, v.bytes}.holds(p)) return v.key ? v.key->name : "dynamic";
  return nullptr;
}

// ---- launch ------------------------------------------------------------------------------------

namespace {

void prepare(Executor& x, unsigned slot, unsigned linear) {
  const Launch& l = *x.launch;
  Block& b = *x.slots[slot];
  const unsigned threads = l.block.x * l.block.y * l.block.z;
  b.index = {linear % l.grid.x, linear / l.grid.x % l.grid.y, linear / l.grid.x / l.grid.y};
  b.barrier = {};
  b.warps.resize((threads + 31) / 32);
  for (unsigned w = 0; w < b.warps.size(); ++w) {
    const unsigned lanes = std::min(32u, threads - 32 * w);
    b.warps[w].lanes = lanes == 32 ? ~0u : (1u << lanes) - 1;
    b.warps[w].open = 0;
  }
  clear_shared(b);
  if (l.shared_bytes) allocate_shared(b, nullptr, l.shared_bytes, 128);
  b.threads.resize(threads);
  for (unsigned r = 0; r < threads; ++r) {
    Thread& t = b.threads[r];
    t.index = {r % l.block.x, r / l.block.x % l.block.y, r / l.block.x / l.block.y};
    t.rank = r;
    t.id = linear << 10 | r;
    t.slot = slot;
    t.block = &b;
    t.fiber = nullptr;
    t.done = false;
    t.waits = l.overlap;
    t.mask = 0;
    t.async_group = 0;
    t.copies.clear();
    make_runnable(x, &t);
  }
}

void run_blocks(Executor& x, const unsigned* linear, unsigned n) {
  const Launch& l = *x.launch;
  x.resident = n;
  x.live = n * l.block.x * l.block.y * l.block.z;
  x.head = x.count = 0;
  x.grid_barrier = {};
  x.cluster_barriers.assign(l.cluster ? n / l.cluster : 0, {});
  while (x.slots.size() < n) x.slots.push_back(std::make_unique<Block>());
  if (x.ring.size() < x.live) x.ring.resize(x.live);
  for (unsigned i = 0; i < n; ++i) prepare(x, i, linear[i]);
  dispatch(x, false);
  if (x.error.empty() && x.live) x.error = describe_deadlock(x);
  if (!x.error.empty()) {
    x.fibers.abandon();
    throw Error(std::exchange(x.error, {}));
  }
  if (!ELBO_ASAN)
    for (unsigned i = 0; i < n; ++i) check_canaries(x, *x.slots[i]);
}

}  // namespace

void run(const Job& job, const Launch& l) {
  if (self) fail_at(l.site, "launch inside a kernel");
  Executor& x = executor();
  const auto volume = [](dim3 d) { return std::uint64_t(d.x) * d.y * d.z; };
  const std::uint64_t blocks = volume(l.grid), threads = volume(l.block);
  if (!blocks || blocks >> 22 || l.grid.y > 65535 || l.grid.z > 65535 || !threads ||
      threads > 1024 || l.block.z > 64)
    fail_at(l.site, "bad launch: grid (%u,%u,%u), block (%u,%u,%u)", l.grid.x, l.grid.y, l.grid.z,
            l.block.x, l.block.y, l.block.z);
  if (l.shared_bytes > most_shared)
    fail_at(l.site, "bad launch: %zu bytes of dynamic shared memory, the limit is %zu",
            l.shared_bytes, most_shared);
  if (l.cooperative && blocks * threads > Fibers::limit)
    fail_at(l.site, "a cooperative launch of more than %zu threads", Fibers::limit);
  if (l.cluster > 16 || (l.cluster && (l.grid.x % l.cluster || blocks != l.grid.x)))
    fail_at(l.site, "bad launch: grid (%u,%u,%u) in clusters of %u blocks, 16 at most", l.grid.x,
            l.grid.y, l.grid.z, l.cluster);

  LaunchRecord record{{}, l.grid, l.block, l.shared_bytes};
  if (configuration().dry) {
    std::lock_guard lock(log_mutex);
    launch_log.push_back({job.kernel, record});
    return;
  }
  x.configuration = configuration();
  x.job = &job;
  x.launch = &l;
  x.start = std::chrono::steady_clock::now();
  x.random_state = x.configuration.seed * 0x9E3779B97F4A7C15u | 1;
  gridDim = l.grid;
  blockDim = l.block;
  const unsigned each = std::max(l.cluster, 1u);  // blocks that come and go together
  const auto fit = std::max<std::uint64_t>(1, Fibers::limit / (threads * each));
  const auto taking_turns = std::clamp<std::uint64_t>(x.configuration.resident, 1, fit) * each;
  const auto step = unsigned(l.cooperative ? blocks : std::min(blocks, taking_turns));
  if (hooks)
    hooks->launch(step, each, {static_cast<char*>(job.arguments), job.argument_bytes},
                  {x.fibers.stacks(), Fibers::limit * Fibers::stack_bytes});

  const unsigned groups = unsigned(blocks) / each;
  std::vector<unsigned> turn(groups), order(blocks);
  for (unsigned i = 0; i < groups; ++i) turn[i] = x.configuration.seed == 1 ? groups - 1 - i : i;
  if (x.configuration.seed > 1)
    for (unsigned i = groups; i > 1; --i) std::swap(turn[i - 1], turn[x.random(i)]);
  for (unsigned i = 0; i < blocks; ++i) order[i] = turn[i / each] * each + i % each;
  for (unsigned i = 0; i < blocks; i += step)
    run_blocks(x, &order[i], std::min(step, unsigned(blocks) - i));

  if (hooks) hooks->finish(record);
  std::lock_guard lock(log_mutex);
  launch_log.push_back({job.kernel, record});
}

}  // namespace elbo::simt
