#pragma once
#include <cstdint>

#include "kernels/matrix.h"

// How the CUDA kernels cut their work: plain numbers, so that host code (traffic.h, tests) can ask
// for them too.  They depend on shapes alone, never on the machine: the same shape gives the same
// bits everywhere.
namespace elbo::tiling {

constexpr int divide_up(int a, int b) { return (a + b - 1) / b; }

/// A block's part of a product: rows x columns numbers, the depth taken in pieces of `depth_`.
///
/// Warps of 32x32 numbers each: side by side, or (`slices` = 4) one above the other, each summing
/// a quarter of every piece's depth.
template <int rows_, int columns_, int depth_, int slices_, int stages_>
struct Tile {
  static constexpr int rows = rows_, columns = columns_, depth = depth_;
  static constexpr int slices = slices_, stages = stages_;
  static constexpr int threads = rows / 32 * (columns / 32) * slices * 32;
  // Blocks a multiprocessor can hold: ≤ 168 registers a thread.
  static constexpr int resident = threads > 128 ? 1 : 3;
};

/// Buffers of the operands in flight: more hide more latency, but a double takes twice the room.
constexpr bool wide = sizeof(Real) == 8;
using Large = Tile<64, 64, 32, 1, wide ? 2 : 3>;
using Small = Tile<32, 32, 64, 4, wide ? 2 : 4>;
using Wide = Tile<32, 256, 32, 1, wide ? 2 : 3>;  // of a chain: whole rows

/// The multiprocessors of an H100: with fewer blocks than that, the large tile would leave some
/// idle.
constexpr int processors = 132;

/// The columns of a tile that are used: whole groups of `width` only.
constexpr int usable(int columns, int width) { return columns / width * width; }

template <class T>
constexpr int tiles_across(int columns, int width) {
  return divide_up(columns, usable(T::columns, width));
}
template <class T>
constexpr std::int64_t tiles(int rows, int columns, int width) {
  return std::int64_t(divide_up(rows, T::rows)) * tiles_across<T>(columns, width);
}

/// The rule: the large tile when it still gives every multiprocessor a block.
constexpr bool takes_large(std::int64_t large_tiles) { return large_tiles >= processors; }

/// The rule: a library's product where it is worth a launch beside the epilogue's.
constexpr bool takes_library(int m, int n, int k) {
  constexpr int shortest = 512, side = 2048;
  return m >= shortest && n >= shortest && k >= shortest &&
         double(m) * n * k >= double(side) * side * side;
}

/// The layers whose gradients share a launch, and the parameters whose updates do: tables in the
/// kernel's arguments, so that a recorded launch needs no memory of its own.
constexpr int layers_per_launch = 16, updates_per_launch = 16;

}  // namespace elbo::tiling
