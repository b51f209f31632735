#include <cstdlib>
#include <string>

#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

/// Where the current GPU has programmatic launches; ELBO_OVERLAP=0 does without.
static bool overlaps() {
  int device = 0, major = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  const char* const wanted = std::getenv("ELBO_OVERLAP");
  return major >= 9 && !(wanted && wanted == std::string("0"));
}

std::unique_ptr<Ops> cuda_ops(Precision precision, void* stream,
                              std::shared_ptr<LargeProducts> library) {
  return std::make_unique<OpsOn<Skeletons>>(Skeletons{.stream = static_cast<cudaStream_t>(stream),
                                                      .precision = precision,
                                                      .overlap = overlaps(),
                                                      .library = std::move(library)});
}

}  // namespace elbo
