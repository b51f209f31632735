#pragma once
#include <string>
#include <vector>

#include "models/model.h"

namespace elbo {

/// z ~ N(0, I), row-major [count, latent]; datum i of a seed is the same whatever the count.
/// Errors: the model has no prior.
std::vector<float> prior_latents(const Model&, long count, std::uint64_t seed);

/// The decoder's parameters at so many draws from the prior, told what is given of the first rows
/// in turn.
std::vector<Real> decoded_draws(const Model&, long count, std::uint64_t seed,
                                const std::vector<float>& given);

/// A grid of E[x] at such draws; data above their reconstructions [N,C]; rows of pictures of any
/// number of sorts [N,C], those of a datum below each other, NaN as black.
void write_samples(const std::string& png, const Model&, int height, int width, std::uint64_t seed,
                   const std::vector<float>& given);
void write_reconstructions(const std::string& png, const Model&, const Dataset&,
                           const std::vector<float>& reconstructed);
void write_comparison(const std::string& png, const Model&, int height, int width,
                      const std::vector<std::vector<float>>& sorts);

bool ends_in_png(const std::string& path);
/// Errors: neither .npy nor .png; .png although the data are no images.
void require_output(const std::string& path, bool images);

}  // namespace elbo
