// runtime/order_cuda.h on the host, whose memory the stand-in's GPU shares.
#include "runtime/order_cuda.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace elbo {

void count_up(void* stream, std::uint32_t* numbers, std::uint32_t first, std::uint32_t count) {
  cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
  std::iota(numbers, numbers + count, first);
}

void shuffle(void* stream, std::uint32_t* numbers, std::uint32_t count, const ShuffleKey& key,
             const std::function<void*(std::size_t)>&) {
  cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
  std::vector<std::pair<std::uint32_t, std::uint32_t>> keyed;
  for (std::uint32_t i = 0; i < count; ++i) keyed.push_back({key(numbers[i]), numbers[i]});
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::uint32_t i = 0; i < count; ++i) numbers[i] = keyed[i].second;
}

}  // namespace elbo
