#include "kernels/cpu/instruction_sets.h"

#if defined(ELBO_AVX512) && !defined(ELBO_DOUBLE)
#define ELBO_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace elbo {

namespace cpu {

#ifdef ELBO_BASE
namespace base {
InstructionSet here();
}
#endif
#ifdef ELBO_AVX2
namespace avx2 {
InstructionSet here();
}
#endif
#ifdef ELBO_AVX512
namespace avx512 {
InstructionSet here();
InstructionSet with_tiles();
}  // namespace avx512
#endif

namespace {

#ifdef ELBO_AMX
/// Whether the processor multiplies tiles of bfloat16, and the system lets this process: Linux
/// keeps their registers, 8 KiB a thread, for one that has asked.
bool tiles_here() {
  constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  constexpr long ask = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a, b, c, d;
  return __builtin_cpu_supports("x86-64-v4") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
         (d & amx_bf16) && (d & amx_tile) && syscall(SYS_arch_prctl, ask, tile_data) == 0;
}
#endif

}  // namespace

const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> sets = [] {
    std::vector<InstructionSet> found;
#ifdef ELBO_AMX
    if (tiles_here()) found.push_back(avx512::with_tiles());
#endif
#ifdef ELBO_AVX512
    if (__builtin_cpu_supports("x86-64-v4")) found.push_back(avx512::here());
#endif
#ifdef ELBO_AVX2
    if (__builtin_cpu_supports("x86-64-v3")) found.push_back(avx2::here());
#endif
#ifdef ELBO_BASE
    found.push_back(base::here());
#endif
    if (found.empty())
      throw std::runtime_error("Elbo was compiled for processors of more abilities than this one");
    return found;
  }();
  return sets;
}

const InstructionSet& instruction_set() {
  const char* const wanted = std::getenv("ELBO_CPU");
  if (!wanted || !*wanted) return instruction_sets().front();
  std::string known;
  for (const InstructionSet& set : instruction_sets()) {
    if (set.name == std::string(wanted)) return set;
    known += std::string(known.empty() ? "" : ", ") + set.name;
  }
  throw std::runtime_error("ELBO_CPU is " + std::string(wanted) + "; here there are " + known);
}

}  // namespace cpu

std::unique_ptr<Ops> cpu_ops() { return cpu::instruction_set().ops(); }

}  // namespace elbo
