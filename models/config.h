#pragma once
#include <string>
#include <vector>

#include "kernels/math/likelihoods.h"

namespace elbo {

/// What a model is made of, in the words of the command line.
struct ModelConfig {
  std::string model = "vae";     // vae | ae
  int observed = 0;              // columns of the data
  std::vector<int> hidden{400};  // outermost first; the decoder mirrors it; may be empty
  int latent = 20;
  std::string activation = "relu";       // nn/layers.h
  std::string likelihood = "bernoulli";  // bernoulli | gaussian
  std::string sigma = "fixed:1";         // gaussian: fixed:NUMBER | shared | feature | datum

  bool operator==(const ModelConfig&) const = default;
};

/// The law that the words name, how many of its parameters the decoder gives, and the shape of
/// the parameter that the model keeps beside it ([1,side], 0: none).
struct Observation {
  Likelihood law;
  int heads;
  int side;
};

/// Errors: a word that is none of the above, naming those that are.
Observation observation(const ModelConfig&);

/// The config as JSON with the field names above, and back.  Errors: what is missing or unknown.
std::string to_json(const ModelConfig&);
ModelConfig config_from_json(const std::string& text, const std::string& where);

}  // namespace elbo
