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

/// Draws and their divergence from the prior.
struct Sampled {
  Tensor z, kl;
};

/// z = μ + e^{s/2} ε and KL(N(μ, e^s) ‖ N(0, I)) in nats.
///
/// q [B,2D] holds (μ, s) of each unit side by side  →  z [B,D], kl [B,1]
/// With S = noise.samples > 1: S draws a datum, z [B·S,D], row b·S + s.
/// Source: Kingma & Welling (2014), section 2.4 and appendix B.
Sampled sample_posterior(const Tensor& q, const Noise&);

/// q with a standard deviation that is the same for every unit and datum: (μ, log σ²).
/// Errors: a deviation that is not above 0.
Tensor hold_spread(const Tensor& q, double deviation);

/// The KL alone.
Tensor posterior_kl(const Tensor& q);

/// The KL with `nats` free in each latent unit: a unit whose mean over the batch is at or below
/// them counts as so many, without a gradient.  kl [B,1]  →  [B,1], whose mean is Σ_units max(nats,
/// mean KL of the unit). Errors: kl was not made by a function above, from a tensor with a
/// gradient, in this program. Source: Kingma et al., Improving Variational Inference with Inverse
/// Autoregressive Flow (2016).
Tensor free_bits(const Tensor& kl, Real nats);

/// Σ_c log p(x(b,c) | theta(b,c)) in nats.  x [B,C]  theta [B·S,K·C], the K of a scalar side by
/// side  →  [B·S,1].  A law with K + 1 parameters takes its last from side, [1,C] or [1,1].
/// With S > 1, S consecutive rows of theta belong to one row of x.
Tensor log_prob(const Likelihood&, const Tensor& x, const Tensor& theta, const Tensor& side = {});

/// α a + β b, of one shape.
Tensor add(const Tensor& a, const Tensor& b, Real alpha = 1, Real beta = 1);

/// α a + γ.
Tensor affine(const Tensor& a, Real alpha, Real gamma = 0);

/// a b, entry by entry, of one shape.
Tensor multiply(const Tensor& a, const Tensor& b);

/// f(x), entry by entry (kernels/math/pointwise.h).
Tensor pointwise(const Function& f, const Tensor& x);

/// Σ_c x(b,c)  →  [B,1].
Tensor row_sums(const Tensor& x);

// With these a likelihood of one's own is written as its formula (examples/02_own_likelihood.cpp).
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return add(a, b, 1, -1); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return multiply(a, b); }
inline Tensor operator*(Real alpha, const Tensor& a) { return affine(a, alpha); }
inline Tensor operator+(const Tensor& a, Real gamma) { return affine(a, 1, gamma); }
inline Tensor operator-(const Tensor& a) { return affine(a, -1); }

/// A term of a loss: weight · mean over rows.  One of factor 0 is only added to the totals.
struct Term {
  Tensor rows;  // [B,1], or [B·S,1]
  Scale weight;
};

/// Σ_i weight_i · mean(term_i), in nats per datum  →  [1,1].  The tensor to call backward() on.
/// totals, when given, is device memory for one double a term and one for the rows of the first:
/// running sums.  With a state (Progress) the training halts after a step whose loss is not finite:
/// updates and advance() of that state do nothing any more; and outcomes, when given, get what each
/// step came to (runtime/outcomes.h).
/// Errors: no term, more than Objective::most, rows that do not divide those of the first; outcomes
/// without a state.
Tensor objective(const std::vector<Term>&, double* totals = nullptr, StepState* state = nullptr,
                 Outcome* outcomes = nullptr);

/// What dropout with that probability keeps of a layer: a function of the noise's counters and of
/// `layer`, which sets the layers of a model apart; it depends neither on the batch nor on the
/// device.  Row r is sample r % S of datum r / S, S = noise.samples.
/// Errors: a probability outside [0, 1); a layer outside 0 … 255; more than 2¹⁶ samples.
DropoutMask dropout_mask(double probability, const Noise&, int layer = 0);

/// x with each entry dropped, or kept and scaled by 1 / (1 - p);  x itself if nothing is dropped.
Tensor dropout(const Tensor& x, const DropoutMask&);

/// What a normalisation does besides:  y = m · activation(γ x̂ + β), x̂ = (x - μ) / √(σ² + ε).
struct NormOptions {
  Real epsilon = Real(1e-5);
  Activation activation = Identity{};
  DropoutMask mask = {};
};

/// Batch normalisation, PyTorch's BatchNorm1d.  x [B,C]; the others [1,C]  →  [B,C]
///
/// In training, μ and σ² are those of the batch, and the running estimates move by `momentum`
/// towards μ and σ² B/(B-1), unless a state is given and has halted (objective); else μ and σ² are
/// the running estimates.
/// Errors: shapes that do not fit; training with a single row.  Ioffe & Szegedy (2015).
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_variance, bool training,
                  Real momentum = Real(0.1), const NormOptions& = {},
                  const StepState* state = nullptr);

/// Normalisation of each row, PyTorch's LayerNorm.  x [B,C]  gamma, beta [1,C]  →  [B,C]
/// Errors: shapes that do not fit.  Ba, Kiros & Hinton (2016).
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const NormOptions& = {});

/// log Σ_c x(b,c)  →  [B,1]; a missing entry (NaN) is left out, and the logarithm of a total of 0
/// is 0.  No gradient.  Errors: x is tracked.
Tensor log_totals(const Tensor& x);

/// theta [B,K·C], the K raw numbers of a scalar side by side, with the first of each replaced by
/// a_c - log Σ_c' e^{a_c'} + log_library(b): the log-rate of scVI, library · softmax.
/// log_library [B,1], or [B/S,1] for S rows of theta each, without a gradient.  Lopez et al., Deep
/// generative modeling for single-cell transcriptomics (2018).  Errors: shapes that do not fit;
/// log_library is tracked.
Tensor library_rates(const Tensor& theta, int parameters, const Tensor& log_library);

/// The same without softmax: a_c + log_size(b).
Tensor size_factor_rates(const Tensor& theta, int parameters, const Tensor& log_size);

/// The numbers that a network reads of data (kernels/math/transforms.h): x [B,C] → [B,C·width],
/// those of an entry side by side; zeros for a missing entry (NaN).  Errors: x is tracked.
Tensor transform(const Tensor& x, const InputTransform&);

/// x as the encoder of a denoising model sees it (kernels/ops/corrupt.h): x [B,C]  →  [B,C].
/// Row r is corrupted as datum r of the noise's batch, in each epoch anew.  Errors: x is tracked;
/// an amount below 0, or a probability above 1.
Tensor corrupt(const Tensor& x, const Corruption&, const Noise&);

/// a [R,A] beside b [R/S,C], each row of which serves S rows of a  →  [R,A+C].  With S > 1 b is
/// given: it has no gradient.  Errors: shapes that do not fit; b is tracked where S > 1.
Tensor join(const Tensor& a, const Tensor& b);

/// The columns first … first + count - 1 of x, which is not tracked.
/// Errors: there are not as many; x is tracked.
Tensor columns(const Tensor& x, int first, int count);

/// How many entries of each row are there, not NaN: x [B,C]  →  [B,1].  No gradient.
/// Errors: x is tracked.
Tensor count_present(const Tensor& x);

/// The posterior that two encoders agree on: the product of the prior and of both experts, of which
/// one that saw nothing (count 0) is left out (kernels/ops/experts.h).
/// a, b [B,2D] of (μ, s)  there_a, there_b [B,1]  →  [B,2D].  Errors: shapes that differ.
Tensor product_of_experts(const Tensor& a, const Tensor& b, const Tensor& there_a,
                          const Tensor& there_b);

/// Several draws a datum.
struct Draws {
  Tensor z, log_ratio;
};

/// How the bound's gradient reaches the posterior: through draw and density, or doubly
/// reparameterised (DReG), of less variance: Tucker et al. (2019).  The decoder's is the same.
enum class Gradient { standard, dreg };

/// S = noise.samples draws a datum: q [B,2D]  →  z [B·S,D] and log p(z) - log q(z|x) [B·S,1] in
/// nats, row b·S + s.  With Gradient::dreg both must reach the loss through importance_bound alone.
/// Errors: shapes that do not fit; more than 2²⁴ samples a datum; rows that no int counts.
Draws sample_many(const Tensor& q, const Noise&, Gradient = Gradient::standard);

/// log 1/S Σ_s exp(log_p + log_ratio) in nats: both [B·S,1], the S draws of a datum in consecutive
/// rows  →  [B,1].  With S = 1 the ELBO's estimate by one draw.
/// Errors: shapes that differ, rows that are not a multiple of S.
/// Source: Burda et al., Importance Weighted Autoencoders (2016), equation 8.
Tensor importance_bound(const Tensor& log_p, const Tensor& log_ratio, int samples);

/// Densities of the aggregate posterior.
struct Aggregate {
  Tensor log_q, log_marginals;
};

/// log 1/N Σ_n q(z | x_n) of all coordinates and of each, in nats.  No gradient.
///
/// z [M,D]  q [N,2D], (μ, s) of each unit side by side  →  log_q [M,1], log_marginals [M,D]
/// Formulas, cost and source: kernels/ops/aggregate.h.
Aggregate aggregate_posterior(const Tensor& z, const Tensor& q);

}  // namespace elbo
