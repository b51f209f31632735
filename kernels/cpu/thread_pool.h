#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace elbo::cpu {

/// A few threads that share out numbered tasks; who runs which task never changes a result.
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
  void take_tasks(std::unique_lock<std::mutex>& lock);

  std::mutex calls_, mutex_;
  std::condition_variable start_, done_;
  const std::function<void(int)>* task_ = nullptr;
  int count_ = 0, next_ = 0, running_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace elbo::cpu
