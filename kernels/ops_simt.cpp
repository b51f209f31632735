#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

std::unique_ptr<Ops> simt_ops(Precision precision) {
  return std::make_unique<OpsOn<Skeletons>>(Skeletons{nullptr, precision});
}

}  // namespace elbo
