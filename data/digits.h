#pragma once
#include <cstdint>

#include "data/dataset.h"

namespace elbo {

/// Handwritten-looking digits, 28 x 28 grey, drawn by Elbo itself: data that are always at hand.
///
/// Each is a few pen strokes, bent at random: how the digit is written, slant, proportions, turn,
/// place, curvature, width of the pen and its pressure, unsteadiness, a little noise of the ink.
/// Datum i depends on (seed, i) only; its label is i mod 10.
/// Shapes: [count, 784], u8, scale 1/255; the background is exactly 0.
/// Errors: count outside [1, 10^7].
Dataset draw_digits(long count, std::uint64_t seed);

}  // namespace elbo
