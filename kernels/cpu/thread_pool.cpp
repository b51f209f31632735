#include "kernels/cpu/thread_pool.h"

#include <omp.h>
#include <sched.h>

#include <cstdlib>

namespace elbo::cpu {

static int threads_to_use() {
  if (const char* wanted = std::getenv("ELBO_THREADS"))
    if (const int n = std::atoi(wanted); n > 0) return n;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  return int(std::thread::hardware_concurrency());
}

ThreadPool& ThreadPool::shared() {
  static ThreadPool pool(threads_to_use());
  return pool;
}

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::take_tasks(std::unique_lock<std::mutex>& lock) {
  while (next_ < count_) {
    const int i = next_++;
    ++running_;
    lock.unlock();
    std::exception_ptr error;
    try {
      (*task_)(i);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !error_) error_ = error;
    if (--running_ == 0 && next_ == count_) done_.notify_one();
  }
}

void ThreadPool::work() {
  omp_set_num_threads(1);  // oneDNN's products are single-threaded: the tasks are the parallelism
  std::unique_lock lock(mutex_);
  while (true) {
    start_.wait(lock, [this] { return stop_ || next_ < count_; });
    if (stop_) return;
    take_tasks(lock);
  }
}

void ThreadPool::run(int count, const std::function<void(int)>& task) {
  const std::lock_guard one_call(calls_);
  const int outer = omp_get_max_threads();
  omp_set_num_threads(1);
  std::unique_lock lock(mutex_);
  task_ = &task, count_ = count, next_ = 0, error_ = nullptr;
  if (count > 1) start_.notify_all();
  take_tasks(lock);
  done_.wait(lock, [this] { return running_ == 0; });
  count_ = next_ = 0;
  omp_set_num_threads(outer);
  if (error_) std::rethrow_exception(error_);
}

}  // namespace elbo::cpu
