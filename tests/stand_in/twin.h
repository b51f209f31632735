// What the stand-in of CUDA's runtime hands to the host executor.
#pragma once
#include <cstddef>
#include <string>

namespace elbo::test {

/// A kernel's arguments: words, or the first bytes of the one structure.  How large that is nobody
/// says; what is copied from behind it is not read.
struct alignas(16) Arguments {
  std::byte bytes[8192];
};

struct TwinLaunch {
  void* kernel = nullptr;  // the executor's
  bool persistent = false;
  unsigned grid[3] = {}, block[3] = {}, cluster = 0;
  std::size_t shared_bytes = 0;
  bool cooperative = false, overlap = false;
};

/// What was wrong with it; empty: nothing.
std::string run_twin(const TwinLaunch&, const Arguments&);

}  // namespace elbo::test
