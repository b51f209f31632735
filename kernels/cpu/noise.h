#pragma once
#include <cstring>

#include "kernels/cpu/vector.h"
#include "kernels/ops/dropout.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// Philox::at of adjacent counters, side by side: the words of a block lie in the low halves of
/// wider numbers, and what is above them does not matter.
struct PhiloxBlocks {
  static constexpr int count = vector_bytes / 8;
  Words word[4];

  [[gnu::always_inline]] static PhiloxBlocks at(std::uint32_t first, const Noise::Row& row) {
    Words c0 = counting() + first, c1 = Words{} + row.datum;
    Words c2 = Words{} + row.sample, c3 = Words{} + row.epoch;
    std::uint32_t k0 = std::uint32_t(row.seed), k1 = std::uint32_t(row.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const Words p0 = product_of_words(c0, Words{} + Philox::factor_0);
      const Words p1 = product_of_words(c2, Words{} + Philox::factor_1);
      c0 = p1 >> 32 ^ c1 ^ (Words{} + k0);
      c2 = p0 >> 32 ^ c3 ^ (Words{} + k1);
      c1 = p1, c3 = p0;
      k0 += Philox::step_0, k1 += Philox::step_1;
    }
    return {c0, c1, c2, c3};
  }

  [[gnu::always_inline]] static Words counting() {
    constexpr std::uint64_t from_0[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    Words w;
    std::memcpy(&w, from_0, sizeof w);
    return w;
  }

  /// Words 0 and 2 (`second` = 0), or 1 and 3, of each block in turn.
  [[gnu::always_inline]] Words pairs(int second) const {
    return (word[second] & 0xFFFFFFFFu) | word[2 + second] << 32;
  }
};

/// out[u] = row.normal(u) to an ulp, for `n` units from `unit` on.  It fills whole blocks:
/// there must be room for normals_beyond more.
constexpr int normals_beyond = 4 * (PhiloxBlocks::count + 1);
[[gnu::always_inline]] inline void draw_normals(const Noise::Row& row, int unit, int n, Real* out) {
  constexpr int pairs = 2 * PhiloxBlocks::count;
  const int first = unit / 4, blocks = (unit + n + 3) / 4 - first;
  for (int b = 0; b < blocks; b += PhiloxBlocks::count) {
    const PhiloxBlocks drawn = PhiloxBlocks::at(std::uint32_t(first + b), row);
    std::uint32_t words[2][pairs];
    for (int i = 0; i < 2; ++i) {
      const auto some = drawn.pairs(i);
      std::memcpy(words[i], &some, sizeof some);
    }
    Real* const here = out + 4 * (first + b);
    for (int i = 0; i < pairs; ++i) {
      const auto [cosine, sine] = Philox::normals(words[0][i], words[1][i]);
      here[2 * i] = cosine, here[2 * i + 1] = sine;
    }
  }
}

/// out[i] = row.factor(unit + i) for i < n, unit a multiple of 4.  It fills whole registers of
/// words: there must be room for the next multiple of factors_together.
constexpr int factors_together = 4 * PhiloxBlocks::count;
[[gnu::always_inline]] inline void draw_factors(const DropoutMask::Row& row, int unit, int n,
                                                Real* out) {
  constexpr int pairs = factors_together / 2;
  for (int first = 0; first < n; first += 2 * pairs) {
    const PhiloxBlocks drawn = PhiloxBlocks::at(std::uint32_t((unit + first) / 4), row.noise);
    using Some [[gnu::vector_size(vector_bytes)]] = std::uint32_t;
    const Some even = Some(drawn.pairs(0)), odd = Some(drawn.pairs(1));
#ifdef ELBO_DOUBLE
    for (int k = 0; k < 2 * pairs; ++k)
      out[first + k] = (k % 2 ? odd : even)[k / 2] >= row.dropped ? row.scale : Real(0);
#else
    static_assert(pairs == lanes);
    const Vector scale = Vector{} + row.scale;
    interleave(even >= row.dropped ? scale : Vector{}, odd >= row.dropped ? scale : Vector{},
               out + first, std::make_integer_sequence<int, lanes>{});
#endif
  }
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
