#pragma once
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/vector.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// Uninitialised memory of the calling thread, for one purpose, kept from call to call.
enum class Purpose {
  tile, noise, side, places, sums, own, theta, lines, columns, tiles, more_tiles, lists, data
};
template <Purpose = Purpose::tile, class T = Real>
inline T* scratch(std::size_t count) {
  struct Memory {
    T* data = nullptr;
    std::size_t size = 0;
    ~Memory() { std::free(data); }
  };
  thread_local Memory memory;
  if (memory.size < count) {
    std::free(std::exchange(memory.data, nullptr));
    memory.size = 0;
    memory.data = static_cast<T*>(allocate(count * sizeof(T)));
    if (!memory.data) throw std::bad_alloc();
    memory.size = count;
  }
  return memory.data;
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
