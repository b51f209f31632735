#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace elbo::test {

/// Changes an input in place and gives its new size: bytes at random, and for formats that check
/// sums of them these put right again; HDF5 files also by the library (hdf5_mutation.h).
std::size_t mutate(const std::string& reader, std::uint8_t* data, std::size_t size,
                   std::size_t most, unsigned seed);

}  // namespace elbo::test
