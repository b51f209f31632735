#include "bench/cases.h"

#include "runtime/error.h"

namespace elbo {

namespace {

ModelConfig images(std::vector<int> hidden, int latent, const std::string& activation) {
  return {.observed = 784, .hidden = std::move(hidden), .latent = latent, .activation = activation};
}

/// The preset scvi of `elbo train`, with a likelihood of its own.
ModelConfig cells(int genes, const std::string& likelihood) {
  return {.observed = genes,
          .hidden = {128},
          .latent = 10,
          .norm = "batch",
          .norm_epsilon = 0.001,
          .norm_momentum = 0.01,
          .dropout = 0.1,
          .input = "log1p",
          .likelihood = likelihood,
          .rates = "library"};
}

}  // namespace

TrainingOptions Case::options() const {
  return {.batch = batch, .bound = samples > 1 ? Bound::iwae : Bound::elbo, .samples = samples};
}

const std::vector<Case>& training_cases() {
  const ModelConfig digits = images({400}, 20, "relu"), deep = images({200, 200}, 50, "tanh");
  const ModelConfig wide{.model = "ae",
                         .observed = 4096,
                         .hidden = {4096, 4096},
                         .latent = 256,
                         .likelihood = "gaussian"};
  const std::string negative_binomial = "negative_binomial";
  // Of each whole batches, so that no step is smaller than another.
  static const std::vector<Case> all{
      {1, "MNIST VAE 784-400-20", digits, 128, 61440},
      {2, "MNIST VAE 784-400-20", digits, 4096, 61440},
      {3, "VAE 784-200-200-50, tanh", deep, 20, 61440},
      {4, "IWAE 784-200-200-50, tanh, 50 draws", deep, 20, 61440, Precision::tf32, 50},
      {5, "scVI, NB, 2000 genes", cells(2000, negative_binomial), 128, 40960},
      {6, "scVI, ZINB, 2000 genes", cells(2000, "zinb"), 4096, 40960},
      {7, "scVI, NB, 20000 genes", cells(20000, negative_binomial), 128, 8192},
      {8, "AE 4096-4096-4096-256", wide, 8192, 32768, Precision::bf16},
      {9, "scVI, NB, 2000 genes, an epoch", cells(2000, negative_binomial), 128, 1000000,
       Precision::tf32, 1, true}};
  return all;
}

const Case& training_case(int number) {
  const std::vector<Case>& all = training_cases();
  require(number >= 1 && number <= int(all.size()), "there is no case ", number,
          "; there are 1 to ", all.size());
  return all[std::size_t(number - 1)];
}

}  // namespace elbo
