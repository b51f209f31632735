#pragma once
#include <cstddef>
#include <cstdint>

namespace elbo::test {

/// Changes an HDF5 file as a program that writes one might: other numbers, shapes, types, filters
/// and attributes, objects that are gone, moved or there twice.  The result is whole, so that what
/// is tried is Elbo rather than how libhdf5 takes broken bytes.  What is no HDF5 file, or would
/// become larger than `most`, stays as it is.
std::size_t mutate_hdf5(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);

}  // namespace elbo::test
