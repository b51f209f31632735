#pragma once
#include <memory>
#include <variant>

#include "data/dataset.h"
#include "models/autoencoder.h"
#include "models/vae.h"

namespace elbo {

/// Any model of the family, made from its config.
class Model {
 public:
  Model(const Device&, const ModelConfig&, std::uint64_t seed);

  const ModelConfig& config() const { return config_; }
  const Device& device() const { return device_; }
  bool variational() const { return config_.model == "vae"; }

  Terms operator()(const Tensor& x, const Pass&) const;
  Tensor encode(const Tensor& x, const Pass& = {}) const;
  Tensor decode(const Tensor& z, const Pass& = {}) const;
  Tensor log_likelihood(const Tensor& x, const Tensor& theta) const;
  std::vector<Parameter> parameters() const;

  /// What the decoder's raw numbers mean, on the host: E[x] of each scalar, or a draw of it.
  /// theta is row-major [rows, K·C]  →  [rows, C].
  std::vector<float> mean(const std::vector<Real>& theta) const;
  std::vector<float> draw(const std::vector<Real>& theta, std::uint64_t seed) const;
  /// The names of a scalar's parameters as `--mode params` writes them: logit; mean; mean,
  /// log_variance.
  std::vector<std::string> parameter_names() const;
  /// Errors: a value outside the likelihood's support, naming row and column.
  void check_data(const Dataset&) const;

 private:
  Device device_;
  ModelConfig config_;
  std::variant<Vae, Autoencoder> model_;
};

}  // namespace elbo
