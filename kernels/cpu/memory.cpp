#include "kernels/cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace elbo::cpu {

void* allocate(std::size_t bytes) {
  constexpr std::size_t page = std::size_t(2) << 20;
  const std::size_t unit = bytes >= page / 4 ? page : 256;
  const std::size_t whole = (std::max<std::size_t>(bytes, 1) + unit - 1) / unit * unit;
  void* const memory = std::aligned_alloc(unit, whole);
  if (memory && unit == page) madvise(memory, whole, MADV_HUGEPAGE);
  return memory;
}

}  // namespace elbo::cpu
