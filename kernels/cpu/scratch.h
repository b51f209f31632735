#pragma once
#include <cstddef>
#include <new>
#include <utility>

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
    ~Memory() { operator delete[](data, std::align_val_t(64)); }
  };
  thread_local Memory memory;
  if (memory.size < count) {
    operator delete[](std::exchange(memory.data, nullptr), std::align_val_t(64));
    memory.size = 0;
    memory.data = static_cast<T*>(operator new[](count * sizeof(T), std::align_val_t(64)));
    memory.size = count;
  }
  return memory.data;
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
