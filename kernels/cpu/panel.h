#pragma once
#include <algorithm>
#include <cstddef>

#include "kernels/cpu/vector.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// A factor whose entry of a row (or column) i and depth k lies at data[i * line + k * step].
struct Factor {
  const Real* data;
  std::ptrdiff_t line, step;
  const Real* at(std::ptrdiff_t i, std::ptrdiff_t k) const { return data + i * line + k * step; }
};

/// Columns first … first + n of b, depth from … from + depth, as [depth][V * lanes], 0 beyond n.
template <int V>
void pack(const Factor& b, int first, int n, int from, int depth, Real* panel) {
  constexpr int width = V * lanes;
  int k = 0;
  if (b.step == 1)
    for (; k + lanes <= depth; k += lanes)
      for (int v = 0; v < V; ++v) {
        // Of a wide panel more rows than the processor foresees (narrow ones are fetched ahead).
        if (V > 3 && k + 3 * lanes <= depth)
          for (int i = 0; i < lanes; ++i)
            __builtin_prefetch(b.at(first + std::min(v * lanes + i, n - 1), from + k + 2 * lanes));
        Vector square[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i)
          square[i] = v * lanes + i < n ? load(b.at(first + v * lanes + i, from + k)) : Vector{};
        transpose(square);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) store(panel + (k + i) * width + v * lanes, square[i]);
      }
  else if (n == width)
    for (; k < depth; ++k)
      for (int v = 0; v < V; ++v)
        store(panel + k * width + v * lanes, load(b.at(first + v * lanes, from + k)));
  for (; k < depth; ++k)
    for (int i = 0; i < width; ++i)
      panel[k * width + i] = i < n ? *b.at(first + i, from + k) : Real(0);
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
