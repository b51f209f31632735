// Threads that share out tasks: every task once, whatever comes in between.
#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace elbo::cpu {
namespace {

TEST(ThreadPool, runs_every_task_once_in_many_short_calls) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::vector<int> runs(37);
    for (int call = 0; call < 5000; ++call) {
      const int count = call % int(runs.size() + 1);
      std::fill(runs.begin(), runs.end(), 0);  // seen by all threads, and theirs by this one
      pool.run(count, [&](int i) { ++runs[std::size_t(i)]; });
      for (int i = 0; i < int(runs.size()); ++i) ASSERT_EQ(runs[std::size_t(i)], i < count);
    }
  }
}

TEST(ThreadPool, takes_subnormal_numbers_for_0_in_tasks_and_only_there) {
  volatile float least = std::numeric_limits<float>::min(), half = 0.5f;
  const auto halves_to_0 = [&] { return least * half == 0; };
  ThreadPool pool(2);
  std::atomic<int> zero{0}, inside{0};
  pool.run(2, [&](int) {
    ++inside;
    while (inside < 2) std::this_thread::yield();  // one in each thread
    zero += halves_to_0();
  });
  EXPECT_EQ(zero, 2);
  EXPECT_FALSE(halves_to_0());
}

TEST(ThreadPool, wakes_threads_that_sleep) {
  ThreadPool pool(3);
  for (int call = 0; call < 5; ++call) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> inside{0}, most{0};
    pool.run(3, [&](int) {
      const int now = ++inside;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      // Nobody leaves before all have come: with a thread that sleeps on this would not return.
      while (most < 3) std::this_thread::yield();
    });
    EXPECT_EQ(most, 3);
  }
}

TEST(ThreadPool, passes_an_error_on_when_all_tasks_are_done_and_goes_on) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  EXPECT_THROW(pool.run(20,
                        [&](int i) {
                          if (i % 5 == 3) throw std::runtime_error("task");
                          ++done;
                        }),
               std::runtime_error);
  EXPECT_EQ(done, 16);
  pool.run(4, [&](int) { ++done; });
  EXPECT_EQ(done, 20);
}

}  // namespace
}  // namespace elbo::cpu
