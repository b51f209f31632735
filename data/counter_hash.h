#pragma once
#include <cstdint>

namespace elbo {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters 64 bits.
constexpr std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

/// 64 random bits that are a function of a seed, the index of a datum and the number of the draw.
constexpr std::uint64_t counter_hash(std::uint64_t seed, std::uint64_t index, std::uint64_t draw) {
  constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
  return scatter(scatter(scatter(seed + step) ^ (index + 1) * step) + (draw + 1) * step);
}

}  // namespace elbo
