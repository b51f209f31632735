// What libFuzzer calls.  --reader=NAME, which it passes over, says whom it is for.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "runtime/error.h"
#include "tests/fuzz/libfuzzer/mutations.h"
#include "tests/fuzz/readers.h"

using namespace elbo;
using namespace elbo::test;

namespace {
const Reader* reader = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  constexpr std::string_view option = "--reader=";
  for (int i = 1; i < *count; ++i)
    if (const std::string_view given = (*arguments)[i]; given.starts_with(option))
      reader = &reader_named(std::string(given.substr(option.size())));
  if (reader == nullptr) std::fputs("expected --reader=NAME\n", stderr), std::exit(2);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  give(*reader, Bytes(data, data + size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  return mutate(reader->name, data, size, most, seed);
}
