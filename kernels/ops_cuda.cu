#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

std::unique_ptr<Ops> cuda_ops(Precision precision, void* stream) {
  return std::make_unique<OpsOn<Skeletons>>(
      Skeletons{static_cast<cudaStream_t>(stream), precision});
}

}  // namespace elbo
