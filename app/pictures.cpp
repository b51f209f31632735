#include "app/pictures.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/command_line.h"
#include "app/latents.h"
#include "data/png.h"
#include "models/evaluation.h"

namespace elbo {

std::vector<float> prior_latents(const Model& model, long count, std::uint64_t seed) {
  require(model.variational(), "an autoencoder has no prior to sample from; train --model vae");
  return normal_latents(model.config().latent, count, seed);
}

std::vector<Real> decoded_draws(const Model& model, long count, std::uint64_t seed,
                                const std::vector<float>& given) {
  std::vector<float> told(std::size_t(count) * width_of(model.config().conditions));
  for (std::size_t i = 0; i < told.size(); ++i) told[i] = given[i % given.size()];
  return decode(model, prior_latents(model, count, seed), told);
}

void write_samples(const std::string& png, const Model& model, int height, int width,
                   std::uint64_t seed, const std::vector<float>& given) {
  constexpr int count = 64, columns = 16;
  std::vector<float> x = model.mean(decoded_draws(model, count, seed, given));
  for (float& v : x) v *= model.brightness();
  write_png_grid(png, x.data(), count, height, width, columns);
}

void write_reconstructions(const std::string& png, const Model& model, const Dataset& data,
                           const std::vector<float>& reconstructed) {
  const long shown = long(reconstructed.size()) / data.columns;
  write_comparison(png, model, data.image_height, data.image_width,
                   {model.in_own_units(data.slice(0, shown)).values(), reconstructed});
}

void write_comparison(const std::string& png, const Model& model, int height, int width,
                      const std::vector<std::vector<float>>& sorts) {
  constexpr long columns = 16;
  const long pixels = long(height) * width, shown = long(sorts.at(0).size()) / pixels;
  const float black = 0;
  std::vector<float> grid;
  for (long first = 0; first < shown; first += columns) {
    const long n = std::min(columns, shown - first);
    for (const std::vector<float>& sort : sorts) {
      const auto begin = sort.begin() + first * pixels;
      grid.insert(grid.end(), begin, begin + n * pixels);
      // A short last row is filled up, so that the row below starts at the left.
      if (shown > columns) grid.insert(grid.end(), std::size_t((columns - n) * pixels), black);
    }
  }
  for (float& value : grid) value = std::isnan(value) ? black : value * model.brightness();
  write_png_grid(png, grid.data(), long(grid.size()) / pixels, height, width,
                 int(std::min(columns, shown)));
}

bool ends_in_png(const std::string& path) { return path.ends_with(".png"); }

void require_output(const std::string& path, bool images) {
  if (!path.ends_with(".npy") && !ends_in_png(path))
    throw UsageError("--out: '" + path + "' ends in neither .npy nor .png");
  require(!ends_in_png(path) || images, path, ": the data are no images; write a .npy file");
}

}  // namespace elbo
