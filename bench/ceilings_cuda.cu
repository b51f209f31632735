#include <algorithm>

#include "bench/ceilings.h"
#include "kernels/cuda/simt.cuh"

namespace elbo::inline ELBO_TARGET {

namespace {

constexpr int rounds = 4096, chains = 8;  // independent sums, so that no result is waited for

/// Every warp repeats one matrix instruction on registers.  `never` keeps the compiler from
/// seeing that nobody wants the sums.
template <Precision precision>
__global__ void multiply_on_registers(float* out, bool never) {
  float sums[chains][4] = {};
  std::uint32_t a[4], b[2];
  for (auto& x : a) x = threadIdx.x * 77 + 1;
  for (auto& x : b) x = threadIdx.x * 33 + 1;
  for (int i = 0; i < rounds; ++i)
    for (auto& sum : sums) {
      if constexpr (precision == Precision::bf16) mma_m16n8k16_bf16(sum, a, b);
      else mma_m16n8k8_tf32(sum, a, b);
    }
  float all = 0;
  for (auto& sum : sums)
    for (float x : sum) all += x;
  if (never) out[threadIdx.x] = all;
}

__global__ void add_on_registers(float* out, float factor, bool never) {
  float sums[chains * 2];
  for (int i = 0; i < chains * 2; ++i) sums[i] = threadIdx.x + i;
  for (int i = 0; i < rounds; ++i)
    for (float& sum : sums) sum = fmaf(sum, factor, factor);
  float all = 0;
  for (float x : sums) all += x;
  if (never) out[threadIdx.x] = all;
}

template <class Body>
double best_seconds(int runs, Body&& body) {
  cudaEvent_t start, end;
  check(cudaEventCreate(&start));
  check(cudaEventCreate(&end));
  float best = 1e30f;
  for (int i = 0; i <= runs; ++i) {
    check(cudaEventRecord(start));
    body();
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end));
    if (i > 0) best = std::min(best, milliseconds);  // the first one warms up
  }
  check(cudaEventDestroy(start));
  check(cudaEventDestroy(end));
  return best / 1e3;
}

}  // namespace

}  // namespace elbo::inline ELBO_TARGET

namespace elbo {

double cuda_flops(Precision precision) {
  constexpr unsigned threads = 256, blocks_each = 4;
  int device = 0, processors = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  const Launch shape{unsigned(processors) * blocks_each, threads};
  const double warps = double(processors) * blocks_each * threads / 32;
  float* const nothing = nullptr;
  const auto seconds = [&](auto&& body) { return best_seconds(10, body); };
  if (precision == Precision::fp32)
    return warps * 32 * rounds * chains * 2 * 2 /
           seconds([&] { launch(add_on_registers, shape, nothing, 0.5f, false); });
  if (precision == Precision::bf16)
    return warps * rounds * chains * (2.0 * 16 * 8 * 16) /
           seconds([&] { launch(multiply_on_registers<Precision::bf16>, shape, nothing, false); });
  return warps * rounds * chains * (2.0 * 16 * 8 * 8) /
         seconds([&] { launch(multiply_on_registers<Precision::tf32>, shape, nothing, false); });
}

double cuda_copy_bandwidth() {
  constexpr std::size_t bytes = std::size_t(1) << 30;
  void *from = nullptr, *to = nullptr;
  check(cudaMalloc(&from, bytes));
  check(cudaMalloc(&to, bytes));
  check(cudaMemset(from, 1, bytes));
  const double seconds =
      best_seconds(10, [&] { check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice)); });
  check(cudaFree(from));
  check(cudaFree(to));
  return 2.0 * double(bytes) / seconds;
}

}  // namespace elbo
