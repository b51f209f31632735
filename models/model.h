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

  const DataModel& data() const;
  /// The decoder's raw numbers, row-major [rows, K·C], as the law takes them: rates of counts
  /// relative to the data's log totals [rows], or to ModelConfig::total where these are not given.
  std::vector<Real> parameters_of(std::vector<Real> theta,
                                  const std::vector<Real>& log_totals = {}) const;
  /// What they mean, on the host: E[x] of each scalar, or a draw of it  →  [rows, C], in the units
  /// of the data: where these are prepared, E[x'] taken back (of a logarithm a geometric mean).
  std::vector<float> mean(const std::vector<Real>& theta,
                          const std::vector<Real>& log_totals = {}) const;
  std::vector<float> draw(const std::vector<Real>& theta, std::uint64_t seed) const;
  /// What takes a mean to 0 (black) … 1 (white): 1, or of levels 1/(levels - 1).
  float brightness() const;
  /// The names of a scalar's parameters as `--mode params` writes them: logit; mean; mean,
  /// log_variance; …
  std::vector<std::string> parameter_names() const;
  /// The data as the likelihood takes them: prepared; of grey images the levels, where it is one of
  /// levels.  Errors: those of Preparation::apply and of check_data.
  Dataset taken(Dataset) const;
  /// The same for the encoder alone, which reads any numbers.  Errors: those of check_input.
  Dataset seen(Dataset) const;
  /// Prepared data as they were before, but for the means of centred rows.
  Dataset in_own_units(Dataset) const;
  /// Errors: those of check_input; a value outside the likelihood's support, naming row and column.
  void check_data(const Dataset&) const;
  /// Errors: another number of columns; missing entries that the encoder has no place for.
  void check_input(const Dataset&) const;

 private:
  Device device_;
  ModelConfig config_;
  std::variant<Vae, Autoencoder> model_;
};

}  // namespace elbo
