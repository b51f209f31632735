#include "tests/stand_in/twin.h"

#include <cstring>
#include <stdexcept>

#include "kernels/cuda/simt.cuh"

namespace elbo::test {

namespace {

struct Call {
  const TwinLaunch& launch;
  const Arguments& arguments;
};

/// A structure by value is passed as one of any other size is.
void call(void* all) {
  const Call& of = *static_cast<const Call*>(all);
  if (!of.launch.persistent)
    return reinterpret_cast<void (*)(Arguments)>(of.launch.kernel)(of.arguments);
  struct {
    void* phases;
    std::uint64_t count, steps;
    unsigned* arrived;
    std::uint64_t before;
  } words;
  std::memcpy(&words, of.arguments.bytes, sizeof words);
  using Kernel = void (*)(void*, int, int, unsigned*, unsigned);
  reinterpret_cast<Kernel>(of.launch.kernel)(words.phases, int(words.count), int(words.steps),
                                             words.arrived, unsigned(words.before));
}

}  // namespace

std::string run_twin(const TwinLaunch& launch, const Arguments& arguments) {
  const auto whole = [](const unsigned(&n)[3]) { return dim3(n[0], n[1], n[2]); };
  Launch shape{whole(launch.grid), whole(launch.block), launch.shared_bytes};
  shape.cooperative = launch.cooperative, shape.overlap = launch.overlap;
  shape.cluster = launch.cluster;
  Call bound{launch, arguments};
  try {
    simt::run({launch.kernel, call, &bound, sizeof bound}, shape);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace elbo::test
