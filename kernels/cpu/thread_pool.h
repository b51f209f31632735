#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace elbo::cpu {

/// A few threads that share out numbered tasks; who runs which task never changes a result.
///
/// In a task subnormal numbers (below 1.2e-38 in float) are 0.  Adam's m of a weight whose gradient
/// stays 0 would come to them and stay there, as would products with tiny weights, and some
/// processors take a hundred times as long for each.
///
/// A step is some tens of calls of a few microseconds, so the threads take tasks from one atomic
/// number, and look for the next call for a while before they sleep.
class ThreadPool {
 public:
  /// The pool of the process: $ELBO_THREADS threads, else one per core that the process may use.
  static ThreadPool& shared();

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  /// Runs task(0) … task(count - 1), the caller taking part, and returns when all are done.
  /// One thread at a time may call it; a task must not.  Rethrows the first exception of a task.
  void run(int count, const std::function<void(int)>& task);

 private:
  void work();
  bool take_task();
  void perform(int task);

  // The number of the call above, how many of its tasks are still to be taken below: a thread that
  // comes late cannot take one of a call that is over.
  std::atomic<std::uint64_t> tickets_{0};
  std::atomic<int> finished_{0};
  std::atomic<bool> stop_{false};
  // Of the call; written while no ticket is out, read by who holds one.
  const std::function<void(int)>* task_ = nullptr;
  int count_ = 0;

  std::mutex calls_, failure_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

}  // namespace elbo::cpu
