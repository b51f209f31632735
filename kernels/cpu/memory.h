#pragma once
#include <cstddef>

namespace elbo::cpu {

/// Uninitialised memory, aligned to 256 bytes, that std::free releases; null where there is none.
/// Large blocks are in large pages: tiles walk down columns, and every row may be a page of its own.
void* allocate(std::size_t bytes);

}  // namespace elbo::cpu
