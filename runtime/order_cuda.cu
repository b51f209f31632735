#include "runtime/order_cuda.h"

#include <thrust/execution_policy.h>
#include <thrust/sequence.h>
#include <thrust/transform.h>

#include <cub/device/device_radix_sort.cuh>

#include "kernels/cuda/simt.cuh"

namespace elbo {

void count_up(void* stream, std::uint32_t* numbers, std::uint32_t first, std::uint32_t count) {
  thrust::sequence(thrust::cuda::par_nosync.on(static_cast<cudaStream_t>(stream)), numbers,
                   numbers + count, first);
}

void shuffle(void* on, std::uint32_t* numbers, std::uint32_t count, const ShuffleKey& key,
             const std::function<void*(std::size_t)>& scratch) {
  const auto stream = static_cast<cudaStream_t>(on);
  const std::size_t each = (count * sizeof(std::uint32_t) + 255) / 256 * 256;
  const auto sort = [&](void* temporary, std::size_t& bytes, char* memory) {
    const auto part = [&](int i) { return reinterpret_cast<std::uint32_t*>(memory + i * each); };
    check(cub::DeviceRadixSort::SortPairs(temporary, bytes, part(0), part(1), numbers, part(2),
                                          int(count), 0, 32, stream));
  };
  std::size_t bytes = 0;
  sort(nullptr, bytes, nullptr);
  char* const memory = static_cast<char*>(scratch(3 * each + bytes));
  auto* const keys = reinterpret_cast<std::uint32_t*>(memory);
  thrust::transform(thrust::cuda::par_nosync.on(stream), numbers, numbers + count, keys, key);
  sort(memory + 3 * each, bytes, memory);
  check(cudaMemcpyAsync(numbers, memory + 2 * each, count * sizeof(std::uint32_t),
                        cudaMemcpyDeviceToDevice, stream));
}

}  // namespace elbo
