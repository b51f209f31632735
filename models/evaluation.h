#pragma once
#include <vector>

#include "models/model.h"
#include "models/trainer.h"

namespace elbo {

/// The bound over data in their order, one noise draw a datum (stream `evaluation`).
/// limit: the first so many data; 0: all.
Means evaluate(const Model&, Batches&, std::uint64_t seed, long limit = 0, int batch = 512);

/// A negative log-likelihood and how surely it is known.
struct Nll {
  double mean = 0;            // -1/N Σ log 1/S Σ p(x,z)/q(z|x), in nats per datum
  double standard_error = 0;  // of the mean over data
  int samples = 0;
  long count = 0;
};

/// The negative log-likelihood by importance sampling from the posterior, in chunks of bounded
/// memory whatever S is.  Burda et al. (2016), equation 8.  Errors: the model has no posterior.
Nll importance_nll(const Model&, Batches&, int samples, std::uint64_t seed, long limit = 0);

/// Row-major results over all data, in their order.
struct Encoded {
  std::vector<float> mean, log_variance, sample;  // [N,D]; the last two empty without a posterior
  int units = 0;
};
Encoded encode(const Model&, Batches&, std::uint64_t seed);
/// KL(q(z_u|x) ‖ p(z_u)) of each unit, averaged over data, in nats.
std::vector<double> kl_per_unit(const Encoded&);

/// The decoder's raw parameters for latents z [rows, latent]  →  [rows, K·C].
/// given [rows, G], or [1, G] for all: what a conditional model is told (models/condition.h).
/// Errors: not whole rows; nothing given to a conditional model.
std::vector<Real> decode(const Model&, const std::vector<float>& z,
                         const std::vector<float>& given = {});
/// E[x] of the decoder at the posterior's mean, or over `samples` draws of the posterior  →  [N,C].
/// Errors: samples of a model that has no posterior.
std::vector<float> reconstruct(const Model&, Batches&, long limit = 0, int samples = 0,
                               std::uint64_t seed = 0);

/// The data as corrupt() spoils them, by counters that no training reaches; as floats, NaN where
/// something is missing.
Dataset corrupted(const Dataset&, const Corruption&, std::uint64_t seed);

/// The mean over data of Σ (x - x̂)² over what is there in x; a NaN in x̂ counts as 0.
double squared_error(const Dataset& x, const std::vector<float>& other);

/// What the other domain would be, of data in which one may be missing (models/two_domains.h).
struct Translation {
  bool to_second = true;
  bool draw = false;  // of x ~ p(x | z), z ~ q(z | x'), instead of the mean
  int samples = 64;   // draws of z for that mean; 0: at the posterior's mean
  std::uint64_t seed = 0;
};
/// E[x | x'] = E_q(z|x')[E[x | z]] of the domain's columns  →  [N,C].  Of a Gaussian law with a
/// linear decoder the mean at the posterior's mean is exact.  Counts are those of a usual total.
/// Errors: the model has one domain; samples below 0.
std::vector<float> translate(const Model&, Batches&, const Translation& = {});

}  // namespace elbo
