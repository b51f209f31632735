#include "bench/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/cpu/instruction_sets.h"
#include "kernels/cpu/thread_pool.h"

namespace elbo {

namespace {

/// The best of several runs: what others on the machine took is not the machine's doing.
double best_seconds(int runs, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  body();
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double cpu_flops(cpu::ThreadPool& pool) {
  const auto arithmetic = cpu::instruction_set().arithmetic;
  constexpr int rounds = 100000;
  const double seconds =
      best_seconds(50, [&] { pool.run(pool.threads(), [&](int) { arithmetic(rounds); }); });
  return pool.threads() * arithmetic(1) * rounds / seconds;
}

double cpu_bandwidth(cpu::ThreadPool& pool) {
  constexpr std::size_t bytes = std::size_t(512) << 20, piece = std::size_t(4) << 20;
  const std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes);
  const double seconds = best_seconds(5, [&] {
    pool.run(int(bytes / piece),
             [&](int i) { std::memcpy(to.data() + i * piece, from.data() + i * piece, piece); });
  });
  return 2.0 * bytes / seconds;
}

}  // namespace

Ceilings ceilings([[maybe_unused]] const Device& device) {
#ifdef ELBO_HAS_CUDA
  if (device.name().starts_with("cuda"))
    return {cuda_flops(device.precision()), cuda_copy_bandwidth(),
            device.precision() == Precision::fp32
                ? "fused multiply-adds on registers; device-to-device copy of 1 GiB"
                : "mma.sync on registers; device-to-device copy of 1 GiB"};
#endif
  cpu::ThreadPool& pool = cpu::ThreadPool::shared();
  return {cpu_flops(pool), cpu_bandwidth(pool), "products in registers; copy of 512 MiB"};
}

}  // namespace elbo
