#pragma once
#include <algorithm>

#include "kernels/cuda/tiling.h"
#include "kernels/operations.h"

namespace elbo {

/// What the CUDA kernels of one operation ask of global memory, in bytes (a byte that two blocks
/// read counts twice, whether or not a cache has it), and their multiplications and additions.
/// Functions (exp, log) are not counted as flops.
struct Traffic {
  double flops = 0, read = 0, written = 0;

  friend Traffic operator+(Traffic a, Traffic b) {
    return {a.flops + b.flops, a.read + b.read, a.written + b.written};
  }
  friend Traffic operator*(double n, Traffic t) { return {n * t.flops, n * t.read, n * t.written}; }
};

namespace tiling {

constexpr double number = sizeof(Real);

inline Traffic of_noise(const Noise& noise) {
  if (noise.given.present()) return {0, number};
  return {0, (noise.batch.order ? 4.0 : 0) + (noise.batch.state ? 8.0 : 0)};
}
inline Traffic of_scale(const Matrix& upstream, const Scale& scale) {
  return {1, upstream.present() ? number : scale.state ? 8.0 : 0};
}
/// What each thread of a row does first, whatever units it has.
inline Traffic of_a_row(const SampleLatent& e) { return of_noise(e.noise); }
inline Traffic of_a_row(const LatentGradient& e) {
  return of_scale(e.upstream, e.scale) + of_noise(e.noise);
}
template <class E>
Traffic of_a_row(const E&) {
  return {};
}

/// What an epilogue does for one unit of a row.
inline Traffic per_unit(const Store& e) {
  return {double(e.accumulate), e.accumulate ? number : 0, number};
}
inline Traffic per_unit(const BiasActivate& e) {
  return {1, number, number * (1 + e.pre.present())};
}
inline Traffic per_unit(const ActivationGradient& e) {
  return {1.0 + 2 * e.plus.present(), number * (1 + e.pre.present() + e.plus.present()),
          number * (1 + e.stored.present())};
}
inline Traffic per_unit(const SampleLatent& e) {
  return {8, 2 * number * e.bias.present(),
          2 * number * e.stored.present() + number * e.z.present()};
}
inline Traffic per_unit(const LatentGradient& e) {
  return {8, number * (2 + e.means.present()), 2 * number};
}
inline Traffic per_unit(const Observe& e, int width) {
  const bool side = e.side.present(), score = e.score.present();
  Traffic t{8.0 * width, number * (1 + width * e.bias.present() + side),
            number * width * (e.stored.present() + score)};
  if (score && side && e.side_score.present()) t.written += number;
  return score ? t + of_scale(e.upstream, e.scale) : t;
}

/// The numbers of a unit.
inline int width_of(const Observe& e) {
  const int all = parameters_of(e.law);
  return all - int(e.side.present() && all > 1);
}
inline int width_of(const SampleLatent&) { return 2; }
template <class E>
int width_of(const E&) {
  return 1;
}

/// A product of that size, cut into tiles `columns` wide.
template <class T>
Traffic of_product(double m, double n, double k, int columns) {
  const double across = divide_up(int(n), columns), down = divide_up(int(m), T::rows);
  return {2 * m * n * k, number * k * (m * across + n * down)};
}

/// Bytes of a gathered row: whole 16-byte pieces, and where it lies, which each thread of it reads.
inline double of_row(const Gather& op, int depth) {
  const double where = 4.0 * (op.batch.order != nullptr) + 4.0 * (op.batch.state != nullptr) +
                       4.0 * (op.source.blocks != nullptr);
  return double(Source::dense_stride(op.source.type, op.out.columns)) + where * depth / 16;
}

}  // namespace tiling

template <class Tile>
Traffic traffic_in(const Product& op) {
  using namespace tiling;
  return std::visit(
      [&](const auto& e) {
        const int width = width_of(e), m = op.rows(), n = op.columns(), k = op.depth();
        const int across = tiles_across<Tile>(n, width);
        Traffic t = of_product<Tile>(m, n, k, usable(Tile::columns, width));
        const double units = double(m) * (n / width);
        if constexpr (requires { e.law; }) t = t + units * per_unit(e, width);
        else t = t + units * per_unit(e);
        const double threads = std::min(n / width, 32 * across);  // of a row
        t = t + m * threads * of_a_row(e);
        if (op.gathers()) {
          t.read += double(m) * across * (of_row(op.gather, Tile::depth) - number * k);
          t.written += number * m * k;
        }
        if constexpr (requires { e.terms; })
          if (e.terms.present()) t.written += number * m * across;
        return t;
      },
      op.epilogue);
}
inline Traffic traffic(const Product& op) {
  using namespace tiling;
  const int width = std::visit([](const auto& e) { return width_of(e); }, op.epilogue);
  return takes_large(tiles<Large>(op.rows(), op.columns(), width)) ? traffic_in<Large>(op)
                                                                   : traffic_in<Small>(op);
}
inline Traffic traffic(const Chain& op) {
  Traffic all;
  for (const Product& link : op.links) all = all + traffic_in<tiling::Wide>(link);
  return all;
}

inline Traffic traffic(const Sink& sink, double count) {
  using tiling::number;
  Traffic t;
  if (sink.gradient.present())
    t = t + Traffic{double(sink.accumulate), number * sink.accumulate, number};
  if (sink.updates) {
    const double kept = 1 + sink.update.m.present() + sink.update.v.present();
    t = t + Traffic{12, number * kept, number * kept};
  }
  return count * t;
}

inline Traffic traffic(const WeightGradients& op) {
  using namespace tiling;
  Traffic all;
  for (std::size_t first = 0; first < op.layers.size(); first += layers_per_launch) {
    const std::size_t end = std::min(op.layers.size(), first + layers_per_launch);
    std::int64_t large = 0;
    for (std::size_t i = first; i < end; ++i)
      large += tiles<Large>(op.layers[i].dy.columns, op.layers[i].x.columns, 1);
    for (std::size_t i = first; i < end; ++i) {
      const WeightGradient& layer = op.layers[i];
      const double o = layer.dy.columns, n = layer.x.columns, b = layer.dy.rows;
      if (n == 0) all = all + Traffic{b * o, number * b * o};
      else
        all = all + (takes_large(large) ? of_product<Large>(o, n, b, Large::columns)
                                        : of_product<Small>(o, n, b, Small::columns));
      all = all + traffic(layer.weight, o * n) + traffic(layer.bias, o);
    }
  }
  for (int i = 0; i < op.tail.objective.count; ++i) {
    const double terms =
        double(op.tail.objective.terms[i].rows) * op.tail.objective.terms[i].columns;
    all = all + Traffic{terms, number * terms};
  }
  return all;
}

}  // namespace elbo
