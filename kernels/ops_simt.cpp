#include "kernels/cuda/skeletons.cuh"
#include "kernels/ops_on.h"

namespace elbo {

std::unique_ptr<Ops> simt_ops(Precision precision, std::shared_ptr<LargeProducts> library) {
  return std::make_unique<OpsOn<Skeletons>>(
      Skeletons{.precision = precision, .overlap = true, .library = std::move(library)});
}

}  // namespace elbo
