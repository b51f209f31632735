#include "tests/fuzz/libfuzzer/mutations.h"

#include <zlib.h>

#include <cstring>

#include "tests/fuzz/libfuzzer/hdf5_mutation.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace elbo::test {
namespace {

std::size_t number(const std::uint8_t* at, int bytes) {
  std::size_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
  return value;
}

/// The sum of each chunk.
void repair_png(std::uint8_t* data, std::size_t size) {
  for (std::size_t at = 8; at + 12 <= size;) {
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | data[at + i];
    if (length > size - at - 12) return;
    const auto sum = crc32(0, data + at + 4, unsigned(length + 4));
    for (int i = 0; i < 4; ++i) data[at + 8 + length + i] = std::uint8_t(sum >> (24 - 8 * i));
    at += length + 12;
  }
}

/// The sums of entries that are stored as they are.
void repair_zip(std::uint8_t* data, std::size_t size) {
  constexpr std::size_t central = 46, local = 30;
  for (std::size_t at = 0; at + central <= size; ++at) {
    if (std::memcmp(data + at, "PK\1\2", 4) != 0 || number(data + at + 10, 2) != 0) continue;
    const std::size_t length = number(data + at + 20, 4), place = number(data + at + 42, 4);
    if (place + local > size) continue;
    const std::size_t begin =
        place + local + number(data + place + 26, 2) + number(data + place + 28, 2);
    if (begin > size || length > size - begin) continue;
    const auto sum = std::uint32_t(crc32(0, data + begin, unsigned(length)));
    std::memcpy(data + at + 16, &sum, sizeof sum);
    std::memcpy(data + place + 14, &sum, sizeof sum);
  }
}

}  // namespace

std::size_t mutate(const std::string& reader, std::uint8_t* data, std::size_t size,
                   std::size_t most, unsigned seed) {
  if (reader == "h5ad" || reader == "ten_x") return mutate_hdf5(data, size, most, seed);
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 4 == 0) return size;  // wrong sums too
  if (reader == "png") repair_png(data, size);
  if (reader == "npz") repair_zip(data, size);
  return size;
}

}  // namespace elbo::test
