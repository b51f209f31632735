#pragma once
#include "bench/cases.h"
#include "data/counter_hash.h"

namespace elbo {

// Data for measurements: functions of the place alone, in whole numbers, so that compare_pytorch.py
// makes the same.  Entry (r, c) of [rows, columns] has the 24 random bits
//
//     w = scatter(r · columns + c + 1) / 2⁴⁰
//
// and columns differ, so that there is something to learn.

/// Grey levels, the brighter the further right:  ⌊w (c + 1) / columns / 2¹⁶⌋.
struct SyntheticImages {
  int pixels;
  std::uint8_t operator()(long image, int pixel) const;
};

/// Counts of genes, 10 % of them not 0:  how many of ⌊l / 2ᵏ⌋, k = 0 … 15, exceed w, where
/// l = ⌊⅕ 2²⁴ (c + ½) / columns⌋.  Halves of those that are not 0 are 1, quarters 2, …
struct SyntheticCells {
  int genes;
  std::uint8_t operator()(long cell, int gene) const;
};

/// The data of a case, so many rows of them: bytes, or of whole epochs lists (Dataset's csr).
Dataset synthetic_data(const Case&, long rows);
inline Dataset synthetic_data(const Case& which) { return synthetic_data(which, which.rows); }

}  // namespace elbo
