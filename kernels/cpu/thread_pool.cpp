#include "kernels/cpu/thread_pool.h"

#include <sched.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include <cstdlib>

namespace elbo::cpu {

namespace {

constexpr std::uint64_t one_call = std::uint64_t(1) << 32;

/// How often a thread looks for work, with a pause of some tens of cycles, before it lets others
/// run: some 50 microseconds, longer than anything between two operations of a step.
constexpr int looks = 2000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// While it lives, this thread takes subnormal numbers for 0 and makes none.
class NoSubnormals {
 public:
  NoSubnormals() : before_(get()) { set(before_ | flush); }
  ~NoSubnormals() { set(before_); }
  NoSubnormals(const NoSubnormals&) = delete;

 private:
#if defined(__SSE__)
  using Register = unsigned;
  static constexpr Register flush = 0x8040;  // FTZ, DAZ
  static Register get() { return _mm_getcsr(); }
  static void set(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Register = std::uint64_t;
  static constexpr Register flush = Register(1) << 24;  // FZ
  static Register get() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(Register value) { asm volatile("msr fpcr, %0" ::"r"(value)); }
#else
  using Register = int;
  static constexpr Register flush = 0;
  static Register get() { return 0; }
  static void set(Register) {}
#endif
  Register before_;
};

int threads_to_use() {
  if (const char* wanted = std::getenv("ELBO_THREADS"))
    if (const int n = std::atoi(wanted); n > 0) return n;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  return int(std::thread::hardware_concurrency());
}

}  // namespace

ThreadPool& ThreadPool::shared() {
  static ThreadPool pool(threads_to_use());
  return pool;
}

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  tickets_.fetch_add(one_call);
  tickets_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::perform(int task) {
  try {
    (*task_)(task);
  } catch (...) {
    const std::lock_guard lock(failure_);
    if (!error_) error_ = std::current_exception();
  }
  finished_.fetch_add(1, std::memory_order_release);
}

bool ThreadPool::take_task() {
  std::uint64_t here = tickets_.load(std::memory_order_acquire);
  while (std::uint32_t left = std::uint32_t(here))
    if (tickets_.compare_exchange_weak(here, here - 1, std::memory_order_acq_rel)) {
      perform(count_ - int(left));
      return true;
    }
  return false;
}

void ThreadPool::work() {
  const NoSubnormals flushed;
  while (true) {
    const std::uint64_t seen = tickets_.load(std::memory_order_acquire);
    if (take_task()) continue;
    if (stop_.load()) return;
    int look = 0;
    while (look < looks && tickets_.load(std::memory_order_relaxed) == seen) pause(), ++look;
    if (look == looks) tickets_.wait(seen);
  }
}

void ThreadPool::run(int count, const std::function<void(int)>& task) {
  if (count <= 0) return;
  const std::lock_guard one_caller(calls_);
  const NoSubnormals flushed;
  task_ = &task, count_ = count, error_ = nullptr;
  finished_.store(0, std::memory_order_relaxed);
  tickets_.store(
      ((tickets_.load(std::memory_order_relaxed) >> 32) + 1) << 32 | std::uint32_t(count),
      std::memory_order_release);
  if (count > 1) tickets_.notify_all();
  while (take_task()) {
  }
  for (int look = 0; finished_.load(std::memory_order_acquire) < count; ++look)
    look < looks ? pause() : std::this_thread::yield();
  if (error_) std::rethrow_exception(error_);
}

}  // namespace elbo::cpu
