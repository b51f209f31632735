#pragma once
#include <memory>
#include <vector>

#include "kernels/ops.h"

namespace elbo::cpu {

/// The code of kernels/cpu, compiled for one instruction set, in an inline namespace of its name.
/// amx is avx512's with products on the matrix units that some of its processors have.
struct InstructionSet {
  const char* name;  // amx, avx512, avx2; base: what every processor of the architecture has
  std::unique_ptr<Ops> (*ops)();

  /// Products in registers alone, as fast as the processor goes: returns their FLOP.
  double (*arithmetic)(int rounds);
};

/// Those that are compiled in and that this processor runs, the widest first.
const std::vector<InstructionSet>& instruction_sets();

/// The widest, or the one that $ELBO_CPU names.  Throws where that cannot be run.
const InstructionSet& instruction_set();

}  // namespace elbo::cpu
