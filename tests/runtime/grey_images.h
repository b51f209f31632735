#pragma once
#include "data/dataset.h"
#include "kernels/math/philox.h"

namespace elbo {

/// Bytes at random, as images are stored.
inline Dataset grey_images(long rows, int columns) {
  Dataset data;
  data.source = "made for a test";
  data.type = Dataset::Type::u8;
  data.rows = rows, data.columns = columns, data.scale = 1 / 255.f;
  for (long i = 0; i < rows * columns; ++i)
    data.bytes.push_back(std::uint8_t(Philox::at(std::uint32_t(i), 0, 0, 0, 9).word[0] >> 24));
  return data;
}

}  // namespace elbo
