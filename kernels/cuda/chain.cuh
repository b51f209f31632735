#pragma once
#include <variant>

#include "kernels/cuda/gemm.cuh"
#include "kernels/operations.h"

namespace elbo::inline ELBO_TARGET {

/// What may follow a product within a chain: those with a bias after x Wᵀ, the others after dy W.
using LinkBody = std::variant<BiasActivateBody<AnyActivation>, SampleLatentBody,
                              ActivationGradientBody<AnyActivation>, LatentGradientBody, StoreBody>;
struct Link {
  Operand a, b;
  int depth;
  LinkBody body;
};

/// Narrow products one after the other: a block goes through all of them with its 32 rows, so that
/// no launch and no other block stands between.  What a link leaves in memory, for itself and for
/// others, its block reads back after a barrier.
///
/// Flops and bytes: those of its products, each weight being read once a block: sizeof(Real) N K
/// from the L2 cache, at which rate (about 64 bytes a clock) a link takes its time.
template <class Mainloop>
struct ChainWork {
  using Tile = tiling::Wide;
  static constexpr int threads = Tile::threads, resident = Tile::resident;
  template <bool forward>
  using ProductOf = BlockProduct<Tile, Mainloop, true, forward>;
  static constexpr std::size_t shared_bytes =
      std::max(ProductOf<true>::shared_bytes, ProductOf<false>::shared_bytes);
  static_assert(Tile::columns == Chain::widest);

  int rows, count;
  Link links[Chain::most];

  HD int blocks() const { return tiling::divide_up(rows, Tile::rows); }
  __device__ void block(int index) const {
    ELBO_DYNAMIC_SHARED(shared, Real);
    const int first_row = index * Tile::rows;
    for (int i = 0; i < count; ++i) {
      const Link& link = links[i];
      open(link.body, [&]<class Body>(const Body& body) {
        constexpr bool forward = requires(Body b) { b.op.bias; };
        using Product = ProductOf<forward>;
        Product::multiply(
            shared, Copied<typename Product::A>{link.a, first_row}, link.b, 0, link.depth, [] {},
            [](const Real*) {});
        finish_tile<Product, Tile>(shared, body, first_row, rows, 0, link.b.extent / Body::width);
      });
      __syncthreads();  // the rows are there for the next link
    }
  }
};

}  // namespace elbo::inline ELBO_TARGET
