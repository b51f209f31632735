#pragma once
#include <cstdint>

#include "data/dataset.h"

namespace elbo {

/// Counts of 34 genes in cycling cells whose phase is known: an answer to hold a model against.
///
///     x_g ~ NB(mean L w_g(t) / Σ w, inverse dispersion 8),  t ~ U[0, 1),  log L ~ N(log 600, 0.5²)
///     log w_g(t) = b_g + a_g exp(-((t - p_g) / 0.2)² / 2)
/// t runs from the start of G1 over S to the end of mitosis, and does not close: a line, not a
/// circle.  Genes bear the names of real ones that peak near p_g: 5 late in G1, 12 in S, 12 in G2
/// and M; 5 do not cycle (a = 0).  b and a are made up.
/// Shapes: [count, 34], f32; column_names the genes; annotations `phase` (t) and `library` (L);
/// labels 0, 1, 2: the thirds of t, by name in the annotation `stage` (G1, S, G2M).  Cell i depends
/// on (seed, i) only.
/// Errors: count outside [1, 10^7].
Dataset simulate_cell_cycle(long count, std::uint64_t seed);

}  // namespace elbo
