#include "kernels/cpu/skeletons.h"
#include "kernels/ops_on.h"

namespace elbo {

std::unique_ptr<Ops> cpu_ops() { return std::make_unique<OpsOn<cpu::Skeletons>>(cpu::Skeletons{}); }

}  // namespace elbo
