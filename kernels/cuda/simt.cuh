// The one header that kernel sources include. nvcc compiles them for a GPU; any other C++20
// compiler for the host executor (kernels/simt), which runs each CUDA thread as a fiber and checks
// the rules.
//
// Rules for kernel sources:
//  1. Everything lies in `namespace elbo::inline ELBO_TARGET`: one program may link both targets.
//  2. Shared memory: ELBO_SHARED(tile, float[2][16][33]); and ELBO_DYNAMIC_SHARED(rows, float);
//  3. Launch with launch(kernel, {grid, block, shared_bytes, …}, arguments…), never <<<>>>.
//  4. Inline PTX only in ptx.cuh, as a function with a host twin.
//  5. All threads of a block reach each __syncthreads() from one source line; no early return
//     before it (whole warps may return if only warp operations follow). Masks name the lanes that
//     come.
//  6. Spin only through atomics, ld_acquire or __nanosleep; blocks that wait for each other need a
//     cooperative launch, or are of one cluster and meet in cluster_sync(). Between blocks: write,
//     fence, atomic | atomic, fence, read.
//  7. No same-value races, __constant__ or __device__ variables, textures or library device code.
//
// Host flags: -fno-strict-aliasing -fstack-clash-protection -Wno-unknown-pragmas -Wno-psabi (a cast
// to float4 is fine for nvcc; a big frame must not jump over the guard page), -rdynamic for names.
// Race flavour: also -fsanitize=thread --param tsan-instrument-func-entry-exit=0, on the kernel
// sources alone, with kernels/simt/race.cpp in place of libtsan. Flavour for memory errors:
// -fsanitize=address,undefined -fno-sanitize-recover=undefined everywhere. Seeds and limits:
// kernels/simt/executor.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#define ELBO_TARGET on_cuda
#else
#include "kernels/simt/builtins.h"
#define ELBO_TARGET on_simt
#endif

namespace elbo::inline ELBO_TARGET {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;  // dynamic shared memory of a block
  cudaStream_t stream = nullptr;
  bool cooperative = false;  // all blocks run at once; grid_sync() and spinning work
  bool overlap = false;      // may start while the kernel before it ends (griddepcontrol)
  unsigned cluster = 0;  // blocks (along x) that run at once and meet by cluster_sync(); 0: none
  std::source_location site = std::source_location::current();
};

#ifdef __CUDACC__

#define ELBO_SHARED(name, ...) __shared__ __align__(16) std::type_identity_t<__VA_ARGS__> name
#define ELBO_DYNAMIC_SHARED(name, ...)                                  \
  extern __shared__ __align__(128) unsigned char elbo_dynamic_shared[]; \
  auto* const name = reinterpret_cast<__VA_ARGS__*>(elbo_dynamic_shared)

inline void check(cudaError_t status, std::source_location site = std::source_location::current()) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string(site.file_name()) + ":" + std::to_string(site.line()) +
                           ": CUDA: " + cudaGetErrorString(status));
}

/// What is asked of every GPU with clusters; more, of up to 16 blocks, needs a kernel's consent.
constexpr unsigned portable_cluster = 8, largest_cluster = 16;

inline cudaLaunchAttribute cluster_of(unsigned blocks) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = blocks;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  return attribute;
}

template <class... P, class... A>
void launch(void (*kernel)(P...), const Launch& l, A&&... arguments) {
  if (l.shared_bytes > 48 * 1024)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               int(l.shared_bytes)),
          l.site);
  if (l.cluster > portable_cluster)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), l.site);
  cudaLaunchAttribute attributes[3] = {};
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = l.grid;
  configuration.blockDim = l.block;
  configuration.dynamicSmemBytes = l.shared_bytes;
  configuration.stream = l.stream;
  configuration.attrs = attributes;
  if (l.cooperative) {
    auto& attribute = attributes[configuration.numAttrs++];
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
  }
  if (l.overlap) {
    auto& attribute = attributes[configuration.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (l.cluster) attributes[configuration.numAttrs++] = cluster_of(l.cluster);
  check(cudaLaunchKernelEx(&configuration, kernel, static_cast<P>(arguments)...), l.site);
}

/// Whether a block of a kernel can have so much dynamic shared memory, and its consent to it.
template <class... P>
bool can_have(void (*kernel)(P...), std::size_t shared_bytes) {
  const auto status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
  if (status != cudaErrorInvalidValue) check(status);
  else cudaGetLastError();  // not sticky: forget it
  return status == cudaSuccess;
}

/// How many blocks of a kernel the device holds at once; 0: not one.
template <class... P>
int blocks_at_once(void (*kernel)(P...), int threads, std::size_t shared_bytes) {
  if (!can_have(kernel, shared_bytes)) return 0;
  int device = 0, processors = 0, each = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, threads, shared_bytes));
  return processors * each;
}

/// The blocks of the largest cluster of a kernel that the device holds; 0: none, as before sm_90.
template <class... P>
unsigned largest_cluster_of(void (*kernel)(P...), int threads, std::size_t shared_bytes) {
  int device = 0, clusters = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&clusters, cudaDevAttrClusterLaunch, device));
  if (!clusters || !can_have(kernel, shared_bytes)) return 0;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  for (unsigned blocks = largest_cluster; blocks >= portable_cluster; blocks /= 2) {
    cudaLaunchAttribute attribute = cluster_of(blocks);
    cudaLaunchConfig_t shape = {};
    shape.gridDim = dim3(blocks), shape.blockDim = dim3(unsigned(threads));
    shape.dynamicSmemBytes = shared_bytes, shape.attrs = &attribute, shape.numAttrs = 1;
    int held = 0;
    if (cudaOccupancyMaxActiveClusters(&held, kernel, &shape) != cudaSuccess)
      cudaGetLastError();  // no such cluster; not sticky: forget it
    else if (held > 0) return blocks;
  }
  return 0;
}

__device__ inline void grid_sync() { cooperative_groups::this_grid().sync(); }

#else

#define ELBO_SHARED(name, ...)                                                                \
  static const simt::SharedKey elbo_key_of_##name{#name,                                      \
                                                  sizeof(std::type_identity_t<__VA_ARGS__>)}; \
  auto& name =                                                                                \
      *static_cast<std::type_identity_t<__VA_ARGS__>*>(simt::shared_variable(elbo_key_of_##name))
#define ELBO_DYNAMIC_SHARED(name, ...) \
  auto* const name = static_cast<__VA_ARGS__*>(simt::dynamic_shared())

template <class... P>
int blocks_at_once(void (*)(P...), int, std::size_t) {
  return int(simt::configuration().at_once);
}
template <class... P>
unsigned largest_cluster_of(void (*)(P...), int, std::size_t) {
  return simt::configuration().cluster;
}

template <class... P, class... A>
void launch(void (*kernel)(P...), const Launch& l, A&&... arguments) {
  std::tuple<void (*)(P...), P...> bound(kernel, static_cast<P>(arguments)...);
  const auto call = [](void* all) {
    std::apply([](auto k, auto&... values) { k(values...); }, *static_cast<decltype(bound)*>(all));
  };
  simt::run({reinterpret_cast<const void*>(kernel), call, &bound, sizeof bound}, l);
}

#endif

}  // namespace elbo::inline ELBO_TARGET

#include "kernels/cuda/ptx.cuh"
