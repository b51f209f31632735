// Compiled once for each instruction set (cmake/InstructionSets.cmake).
#include "kernels/cpu/instruction_sets.h"
#include "kernels/cpu/skeletons.h"
#include "kernels/ops_on.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

namespace {

template <Multiply multiply, Split* split>
std::unique_ptr<Ops> ops() {
  return std::make_unique<OpsOn<Skeletons>>(Skeletons{multiply, split});
}

}  // namespace

InstructionSet here() { return {ELBO_ISA_NAME, ops<multiply, nullptr>, arithmetic}; }

#if defined(__AVX512F__) && !defined(ELBO_DOUBLE)
InstructionSet with_tiles() { return {"amx", ops<multiply_on_tiles, split_on_tiles>, arithmetic}; }
#endif

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
