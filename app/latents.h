#pragma once
#include <string>
#include <vector>

#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

/// ε ~ N(0, I), row-major [count, units]; row i of a seed is the same whatever the count.
std::vector<float> normal_latents(int units, long count, std::uint64_t seed);

/// The x below which N(0, 1) has the probability p, 0 < p < 1.
double normal_quantile(double p);

/// The data that the run was trained on, the first so many (0: all), as its model takes them.
Dataset trained_on(const RunDirectory&, const Model&, long limit = 0);
/// The same of any data.
Dataset first_of(Dataset, long limit);

/// The numbers that --condition "line=A549,batch=3" gives a conditional model [1,G].
/// Errors: a conditional model without the words, or words for another, naming what it is told.
std::vector<float> told_by(const Model&, const std::string& condition);

/// A unit of the latent space, by what data tell it.
struct LatentUnit {
  int unit = 0;
  double kl = 0;        // mean over the data, nats; 0 of an autoencoder
  double centre = 0;    // mean over the data of the posterior's mean, or of the code
  double variance = 0;  // of the same
  bool active = false;  // that variance is above 0.01
};
/// The unit of the largest KL first; of an autoencoder, of the largest variance.
std::vector<LatentUnit> ranked_units(const Encoded&);

/// A latent vector in so many copies [steps,D], whose one unit goes evenly from low to high.
std::vector<float> along(const std::vector<float>& start, int unit, double low, double high,
                         int steps);

/// E[x | z] of latents [rows,D], told `given`, as Model::mean.
std::vector<float> decoded_mean(const Model&, const std::vector<float>& z,
                                const std::vector<float>& given);

/// The most probable classes, of a categorical model's parameters.
std::vector<float> most_probable(const Model&, const std::vector<Real>& theta);
/// The same of latents as somebody gave them, told what --condition says.
/// Errors: other columns than the model has units; NaN.
std::vector<float> decoded_mean(const Model&, const Dataset& latents, const std::string& condition);

/// What --mode makes of the decoder's parameters: mean (expected data), sample (drawn data), params
/// (as they are).  Errors: another word.
std::vector<float> in_mode(const std::string& mode, const Model&, const std::vector<Real>& theta,
                           std::uint64_t seed);

/// The names of the columns, x0, x1, … where they have none.
std::vector<std::string> feature_names(const Dataset&);

/// Pictures of a model's data as a grid, `columns` side by side.
void write_pictures(const std::string& png, const Model&, const StoredModel&, std::vector<float> x,
                    int columns);

}  // namespace elbo
