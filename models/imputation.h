#pragma once
#include <cstddef>
#include <vector>

#include "models/model.h"

namespace elbo {

/// How missing entries are filled.
struct ImputationOptions {
  int samples = 500;    // S, draws of the posterior a datum
  int imputations = 0;  // M, draws of what is missing
  double interval = 0;  // the probability of the predictive interval, up to 0.99; 0: none
  std::uint64_t seed = 0;
};

/// What a model says of the entries that are missing, in the order of rows and columns.
struct Imputation {
  std::vector<std::size_t> places;        // row · columns + column of each
  std::vector<float> mean;                // E[x_mis | x_obs]
  std::vector<std::vector<float>> drawn;  // M draws of all of them
  std::vector<float> lower, upper;        // of the interval; empty without one
  std::vector<double> effective;          // (Σw)²/Σw², a number for each datum that misses some
};

/// Missing entries (NaN) from what is there, by importance sampling from the posterior of S draws:
///
///     z_s ~ q(z | x_obs)      w_s ∝ p(x_obs | z_s) p(z_s) / q(z_s | x_obs),  Σ w_s = 1
///     E[x_mis | x_obs] = Σ_s w_s E[x_mis | z_s]
///
/// and draws of x_mis: z_s with probability w_s, then x_mis ~ p(x | z_s); the entries of a datum
/// share their z.  The interval lies between two of 999 such draws, with as many beyond one end as
/// beyond the other, so that it covers a further draw with that probability.  Of a categorical,
/// `mean` is the most probable class.  Counts with rates that are relative to a datum's total are
/// relative to the total of what is observed, as in training.  Memory is bounded whatever S is.
///
/// Mattei & Frellsen, MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets
/// (2019), equations 6 and 9; Rubin, The calculation of posterior distributions by data
/// augmentation: sampling-importance-resampling (1987).
/// Errors: the model has no posterior; its weights of a datum are no numbers.
Imputation impute(const Model&, const Dataset&, const ImputationOptions& = {});

/// The data's values [rows, columns] with these numbers at these places.
std::vector<float> completed(const Dataset&, const std::vector<std::size_t>& places,
                             const std::vector<float>& numbers);

}  // namespace elbo
