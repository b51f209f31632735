#pragma once
#include <vector>

#include "runtime/program.h"

namespace elbo {

// Every operation as a function of tensors; the one place that checks shapes.  Each call appends
// to the program that is recorded (runtime/program.h) and returns tensors that it will fill.
// B batch, I inputs, O outputs, D latent coordinates, C observed scalars, K parameters a scalar.

/// activation(x Wᵀ + b).  x [B,I]  weight [O,I]  bias [1,O]  →  [B,O]
/// Errors: shapes that do not fit.
Tensor dense(const Activation&, const Tensor& x, const Tensor& weight, const Tensor& bias);

struct Sampled {
  Tensor z, kl;
};

/// z = μ + e^{s/2} ε and KL(N(μ, e^s) ‖ N(0, I)) in nats.
///
/// q [B,2D] holds (μ, s) of each unit side by side  →  z [B,D], kl [B,1]
/// Source: Kingma & Welling (2014), section 2.4 and appendix B.
Sampled sample_posterior(const Tensor& q, const Noise&);

/// Σ_c log p(x(b,c) | theta(b,c)) in nats.  x [B,C]  theta [B·S,K·C], the K of a scalar side by
/// side  →  [B·S,1].  A law with K + 1 parameters takes its last from side, [1,C] or [1,1].
/// With S > 1, S consecutive rows of theta belong to one row of x.
Tensor log_prob(const Likelihood&, const Tensor& x, const Tensor& theta, const Tensor& side = {});

/// α a + β b, of one shape.
Tensor add(const Tensor& a, const Tensor& b, Real alpha = 1, Real beta = 1);

/// A term of a loss: weight · mean over rows.
struct Term {
  Tensor rows;  // [B,1]
  Scale weight;
};

/// Σ_i weight_i · mean(term_i), in nats per datum  →  [1,1].  The tensor to call backward() on.
/// totals, when given, is device memory for one double a term and one for the rows: running sums.
/// Errors: no term, more than Objective::most, rows that differ.
Tensor objective(const std::vector<Term>&, double* totals = nullptr);

struct Draws {
  Tensor z, log_ratio;
};

/// S = noise.samples draws a datum: z [B·S,D] and log p(z) - log q(z|x) [B·S,1].  No gradient.
Draws sample_many(const Tensor& q, const Noise&);

struct Aggregate {
  Tensor log_q, log_marginals;
};

/// log 1/N Σ_n q(z | x_n) of all coordinates and of each, in nats.  No gradient.
///
/// z [M,D]  q [N,2D], (μ, s) of each unit side by side  →  log_q [M,1], log_marginals [M,D]
/// Formulas, cost and source: kernels/ops/aggregate.h.
Aggregate aggregate_posterior(const Tensor& z, const Tensor& q);

}  // namespace elbo
