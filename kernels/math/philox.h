#pragma once
#include <cstdint>

#include "kernels/matrix.h"

namespace elbo {

/// Four 32-bit words from a counter and a key: Philox4x32-10, the bits of cuRAND's generator.
///
/// Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
struct Philox {
  std::uint32_t word[4];

  HD static Philox at(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3,
                      std::uint64_t key) {
    std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t(0xD2511F53u) * c0;
      const std::uint64_t p1 = std::uint64_t(0xCD9E8D57u) * c2;
      c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0;
      c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1;
      c1 = std::uint32_t(p1);
      c3 = std::uint32_t(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
  }

  /// In (0, 1]: (w + ½) 2⁻³², rounded; in float the last 128 words give 1.
  HD static Real uniform_of(std::uint32_t w) { return Real(w) * Real(0x1p-32) + Real(0x1p-33); }
  HD Real uniform(int i) const { return uniform_of(word[i]); }

  /// Standard normal i of four, by Box and Muller (1958) from words 2⌊i/2⌋ and the next.
  HD Real normal(int i) const {
    // By selection and not by an index: a loop over draws is vectorised.
    const Real first = uniform_of(i & 2 ? word[2] : word[0]);
    const Turn<Real> angle = turn(uniform_of(i & 2 ? word[3] : word[1]));
    return std::sqrt(-2 * elbo::log(first)) * (i & 1 ? angle.sine : angle.cosine);
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
