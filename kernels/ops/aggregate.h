#pragma once
#include "kernels/math/normal.h"
#include "kernels/matrix.h"

namespace elbo {

/// The density of the aggregate posterior, the even mixture of N diagonal normals, at each z, and
/// that of each of its coordinates, in nats:
///
///     log_q(m)            = log 1/N Σ_n Π_d N(z_md; μ_nd, e^{s_nd})
///     log_marginals(m,d)  = log 1/N Σ_n     N(z_md; μ_nd, e^{s_nd})
///
/// z [M,D]   q [N,2D], (μ, s) of each unit side by side  →  log_q [M,1], log_marginals [M,D]
/// Each logarithm is summed relative to its largest term, however far z lies: within 1e-5 of 1, or
/// of Σ_d (½ |s + log 2π| + ½ (z - μ)²/σ²) of the posteriors that matter at z.
/// Work: 5 M N D multiplications and additions, M N (D + 1) exponentials; the least to move is
/// 2 N D + 2 M D + M numbers.  Domain of s: kernels/math/normal.h.
/// Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), section 4, with all
/// data in place of a mini-batch.
struct AggregatePosterior {
  Matrix z, q, log_q, log_marginals;
  void views(auto&& visit) {
    visit(z, Access::read), visit(q, Access::read);
    visit(log_q, Access::write), visit(log_marginals, Access::write);
  }
};

}  // namespace elbo
