#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace elbo {

/// A grid of grey images as a PNG file in memory: `columns` images side by side, one grey pixel
/// between them; the last row may be shorter.
///
/// Shapes: images [count, height, width].  Units: 0 black, 1 white; clamped to [0, 1].
/// Errors: an empty grid, a pixel that is not a number.
std::vector<std::uint8_t> png_grid(const float* images, long count, int height, int width,
                                   int columns);

/// The same, written to a file, all or nothing (atomic_file.h).
void write_png_grid(const std::string& path, const float* images, long count, int height, int width,
                    int columns);

}  // namespace elbo
