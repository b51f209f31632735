// Compiled once for each instruction set (cmake/InstructionSets.cmake).
#include "kernels/cpu/instruction_sets.h"
#include "kernels/cpu/skeletons.h"
#include "kernels/ops_on.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

InstructionSet here() {
  const auto ops = []() -> std::unique_ptr<Ops> {
    return std::make_unique<OpsOn<Skeletons>>(Skeletons{});
  };
  return {ELBO_ISA_NAME, ops, arithmetic};
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
