#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kernels/math/likelihoods.h"
#include "kernels/math/transforms.h"
#include "models/condition.h"
#include "models/preparation.h"
#include "nn/layers.h"

namespace elbo {

/// What a model is made of, in the words of the command line.
struct ModelConfig {
  std::string model = "vae";          // vae | ae
  int observed = 0;                   // columns of the data, or of their first domain
  int with_observed = 0;              // of their second; 0: they have one (models/two_domains.h)
  double total = 1;                   // of a datum's counts, where it is not known: for new ones
  double with_total = 1;              // of those of the second domain
  double low = 0, high = 1;           // of the data, where salt is strewn over them
  std::vector<Condition> conditions;  // what `condition` names, as the training data have it
  std::vector<int> hidden{400};       // outermost first; the decoder mirrors it; may be empty
  int latent = 20;
  std::string activation = "relu";  // nn/layers.h
  std::string norm = "none";        // of hidden layers: none | batch | layer
  double norm_epsilon = 1e-5, norm_momentum = 0.1;
  double dropout = 0;                    // of the encoder's hidden layers
  std::string input = "auto";            // what the encoder sees: auto | plain | masked |
                                         // indicated | log1p | one_hot | levels
  std::string likelihood = "bernoulli";  // likelihood_names()
  std::string sigma = "auto";            // gaussian: fixed:NUMBER; and, as laplace, student_t and
                                         // discretised_logistic: shared | feature | datum
  double degrees = 4;                    // student_t: of freedom
  std::string dispersion = "feature";    // negative_binomial, zinb: shared | feature | datum
  std::string rates = "plain";           // counts: plain | size | library
  double posterior_sigma = 0;            // of a vae: above 0, held at that instead of learnt
  std::string condition = "none";        // annotations that encoder and decoder are told
  int levels = 256, components = 5;      // discretised_logistic, its mixture
  int classes = 0;                       // categorical
  Preparation preparation;               // of gaussian, laplace, student_t: of the data
  // Of the second domain.  none, 0: as the first's, where the likelihoods are the same.
  std::string with_likelihood = "none", with_input = "none", with_sigma = "none";
  std::string with_dispersion = "none", with_rates = "none";
  double with_degrees = 0;
  int with_levels = 0, with_components = 0, with_classes = 0;

  bool operator==(const ModelConfig&) const = default;

  bool two_domains() const { return with_observed > 0; }
  int columns() const { return observed + with_observed; }

  /// visit(name, value) for every field but the first ones, which the data decide.
  static void fields(auto& config, auto&& visit) {
    visit("model", config.model), visit("hidden", config.hidden), visit("latent", config.latent);
    visit("activation", config.activation), visit("norm", config.norm);
    visit("norm-epsilon", config.norm_epsilon), visit("norm-momentum", config.norm_momentum);
    visit("dropout", config.dropout), visit("input", config.input);
    visit("likelihood", config.likelihood), visit("sigma", config.sigma);
    visit("degrees", config.degrees), visit("dispersion", config.dispersion);
    visit("rates", config.rates), visit("levels", config.levels);
    visit("components", config.components), visit("classes", config.classes);
    visit("posterior-sigma", config.posterior_sigma), visit("condition", config.condition);
    visit("log1p", config.preparation.log1p), visit("centre", config.preparation.centre);
    visit("standardise", config.preparation.standardise);
    visit("with-likelihood", config.with_likelihood), visit("with-input", config.with_input);
    visit("with-sigma", config.with_sigma), visit("with-dispersion", config.with_dispersion);
    visit("with-rates", config.with_rates), visit("with-degrees", config.with_degrees);
    visit("with-levels", config.with_levels), visit("with-components", config.with_components);
    visit("with-classes", config.with_classes);
  }
};

/// What the words say of each domain, as the config of a model of that domain alone.  A domain may
/// be missing, so that `input` is at least masked.
ModelConfig first_domain(const ModelConfig&);
ModelConfig second_domain(const ModelConfig&);
/// Of the data's one domain, or of both.
std::vector<ModelConfig> domains(const ModelConfig&);

/// The names of the likelihoods, in the order of the variant's alternatives that they stand for.
const std::vector<std::string>& likelihood_names();

/// The law that the words name, how many of its parameters the decoder gives, the shape of the
/// parameter that the model keeps beside it ([1,side], 0: none), and what the raw numbers mean.
struct Observation {
  Likelihood law;
  int heads;
  int side;
  std::vector<std::string> names;  // of all parameters; the model's own is the last
};

/// Errors: a word that is none of the above, naming those that are.
Observation observation(const ModelConfig&);

/// What the encoder makes of its input, if anything.  auto: log1p for counts, one_hot for a
/// categorical, levels (to about -1 … 1) for a discretised logistic, else plain; masked only puts
/// 0 for what is missing, as all but plain do.
std::optional<InputTransform> encoder_input(const ModelConfig&);

/// Of counts: e^a, the datum's total · e^a, the total · softmax(a).
enum class RateScale { plain, size, library };
RateScale rates_of(const ModelConfig&);
HiddenOptions hidden_options(const ModelConfig&);

/// Whether data are the whole numbers that index levels or classes; grey images then are 0..255.
bool takes_levels(const ModelConfig&);

/// The config as JSON with the field names above, and back.  Errors: what is missing or unknown.
std::string to_json(const ModelConfig&);
ModelConfig config_from_json(const std::string& text, const std::string& where);

}  // namespace elbo
