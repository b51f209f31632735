#pragma once
#include <memory>
#include <variant>

#include "data/dataset.h"
#include "models/autoencoder.h"
#include "models/two_domains.h"
#include "models/vae.h"

namespace elbo {

/// The columns of a datum that obey one law, and what the decoder's raw numbers for them mean, on
/// the host.  theta: row-major [rows, K·C], as the law takes them.
struct Domain {
  ModelConfig config;  // of this domain alone
  DataModel data;
  int first = 0;  // of its columns

  int heads() const { return observation(config).heads; }
  /// Rates of counts relative to the data's log totals [rows], or to ModelConfig::total where these
  /// are not given.
  std::vector<Real> parameters_of(std::vector<Real> theta,
                                  const std::vector<Real>& log_totals = {}) const;
  /// E[x] of each scalar, or a draw of it, as that of row first_row + …  →  [rows, C].
  std::vector<float> mean(const std::vector<Real>& theta,
                          const std::vector<Real>& log_totals = {}) const;
  std::vector<float> draw(const std::vector<Real>& theta, std::uint64_t seed,
                          long first_row = 0) const;
  /// What takes a mean to 0 (black) … 1 (white): 1, or of levels 1/(levels - 1).
  float brightness() const;
};

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
  Tensor log_likelihood(const Tensor& x, const Tensor& z, const Pass& = {}) const;
  std::vector<Parameter> parameters() const;

  /// The law of the data.  Errors: the model has two domains.
  const DataModel& data() const;
  /// One, or two.
  std::vector<Domain> domains() const;
  /// Errors: the model has one domain.
  const TwoDomains& two_domains() const;
  /// Domain's, of all domains side by side, in the units of the data: where these are prepared,
  /// E[x'] taken back (of a logarithm a geometric mean).  log_totals: one a row and domain.
  std::vector<float> mean(const std::vector<Real>& theta,
                          const std::vector<Real>& log_totals = {}) const;
  std::vector<float> draw(const std::vector<Real>& theta, std::uint64_t seed) const;
  float brightness() const;
  /// The names of a scalar's parameters as `--mode params` writes them: logit; mean; mean,
  /// log_variance; …  Errors: the model has two domains.
  std::vector<std::string> parameter_names() const;
  /// The data as the likelihood takes them: prepared; of grey images the levels, where it is one of
  /// levels; of two domains, the second is missing where the data have the first's columns alone.
  /// Errors: those of Preparation::apply and of check_data.
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
  std::variant<Vae, Autoencoder, TwoDomains> model_;
};

}  // namespace elbo
