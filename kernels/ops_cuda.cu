#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

std::unique_ptr<Ops> cuda_ops(Precision precision, void* stream,
                              std::shared_ptr<LargeProducts> library) {
  return std::make_unique<OpsOn<Skeletons>>(Skeletons{.stream = static_cast<cudaStream_t>(stream),
                                                      .precision = precision,
                                                      .library = std::move(library)});
}

}  // namespace elbo
