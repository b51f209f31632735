#include "runtime/backend.h"
#include "runtime/error.h"

namespace elbo {

std::unique_ptr<Backend> cuda_backend(int, Precision) {
  fail("--device cuda: this build of Elbo has no CUDA; use cpu, or build with -DELBO_CUDA=ON");
}

int cuda_devices() { return 0; }

}  // namespace elbo
