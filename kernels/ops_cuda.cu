#include <cstdlib>
#include <string>

#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

/// Of the current GPU.
static int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// Where there are programmatic launches; ELBO_OVERLAP=0 does without.
static bool overlaps() {
  const char* const wanted = std::getenv("ELBO_OVERLAP");
  return attribute(cudaDevAttrComputeCapabilityMajor) >= 9 &&
         !(wanted && wanted == std::string("0"));
}
/// Not on sm_86 and sm_89.  1 kB: what a kernel may have of static shared memory.
static bool holds_chains() {
  return int(ChainWork<Fma>::shared_bytes) + 1024 <=
         attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}

std::unique_ptr<Ops> cuda_ops(Precision precision, void* stream,
                              std::shared_ptr<LargeProducts> library) {
  return std::make_unique<OpsOn<Skeletons>>(Skeletons{.stream = static_cast<cudaStream_t>(stream),
                                                      .precision = precision,
                                                      .overlap = overlaps(),
                                                      .chained = holds_chains(),
                                                      .library = std::move(library)});
}

}  // namespace elbo
