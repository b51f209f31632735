#pragma once
#include <cstdint>

#include "kernels/matrix.h"

namespace elbo {

/// Four 32-bit words from a counter and a key: Philox4x32-10, the bits of cuRAND's generator.
///
/// Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
struct Philox {
  static constexpr std::uint32_t factor_0 = 0xD2511F53u, factor_1 = 0xCD9E8D57u;
  static constexpr std::uint32_t step_0 = 0x9E3779B9u, step_1 = 0xBB67AE85u;  // of the key
  std::uint32_t word[4];

  HD static Philox at(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3,
                      std::uint64_t key) {
    std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t(factor_0) * c0;
      const std::uint64_t p1 = std::uint64_t(factor_1) * c2;
      c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0;
      c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1;
      c1 = std::uint32_t(p1);
      c3 = std::uint32_t(p0);
      k0 += step_0;
      k1 += step_1;
    }
    return {{c0, c1, c2, c3}};
  }

  /// In (0, 1]: (w + ½) 2⁻³², rounded; in float the last 128 words give 1.
  HD static Real uniform_of(std::uint32_t w) { return Real(w) * Real(0x1p-32) + Real(0x1p-33); }
  HD Real uniform(int i) const { return uniform_of(word[i]); }

  /// Two standard normals from two words, by Box and Muller (1958).
  struct Normals {
    Real cosine, sine;
  };
  HD static Normals normals(std::uint32_t first, std::uint32_t second) {
    const Real radius = std::sqrt(-2 * elbo::log(uniform_of(first)));
    const Turn<Real> angle = turn(uniform_of(second));
    return {radius * angle.cosine, radius * angle.sine};
  }
  /// Normal i of four, from words 2⌊i/2⌋ and the next.
  HD Real normal(int i) const {
    // By selection and not by an index: a loop over draws is vectorised.
    const Normals two = normals(i & 2 ? word[2] : word[0], i & 2 ? word[3] : word[1]);
    return i & 1 ? two.sine : two.cosine;
  }
};

/// What a random number is drawn for; each has counters of its own.
enum class Stream : std::uint32_t {
  initialisation,
  shuffle,
  split,
  latent,
  evaluation,
  observation,
  prior,
  dropout,
  corruption,
  resampling,
  first_free,
};

/// By these keys an epoch's data are put in order.  `level` 0: of data; 1: of their blocks.
struct ShuffleKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0, level = 0;
  HD std::uint32_t operator()(std::uint32_t index) const {
    const std::uint32_t stream = std::uint32_t(Stream::shuffle) << 24;
    const Philox block = Philox::at(index / 4, level, stream, epoch, seed);
    return block.word[index % 4];
  }
};

}  // namespace elbo
