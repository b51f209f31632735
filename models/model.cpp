#include "models/model.h"

#include <algorithm>
#include <cmath>

#include "models/scalar_law.h"
#include "runtime/error.h"

namespace elbo {

namespace {

template <class M>
void build(M& model, const Device& device, const ModelConfig& config, int latent_heads,
           Initialiser& initialiser) {
  const Observation observed = observation(config);
  const auto input = encoder_input(config);
  const Activation activation = activation_named(config.activation);
  std::vector<int> mirrored(config.hidden.rbegin(), config.hidden.rend());
  HiddenOptions hidden = hidden_options(config);
  const int given = width_of(config.conditions);
  model.encoder = Mlp(device, config.observed * (input ? width_of(*input) : 1) + given,
                      config.hidden, config.latent, latent_heads, activation, initialiser, hidden);
  hidden.dropout = 0;
  model.decoder = Mlp(device, config.latent + given, mirrored, config.observed, observed.heads,
                      activation, initialiser, hidden);
  model.data = {.input = input,
                .likelihood = observed.law,
                .side = {},
                .side_name = observed.names.back(),
                .rates = rates_of(config)};
  // A scale or dispersion that the model learns starts at 1.
  if (observed.side) model.data.side = Tensor(device, {1, observed.side}).track();
}

std::variant<Vae, Autoencoder> make(const Device& device, const ModelConfig& config,
                                    std::uint64_t seed) {
  require(config.observed > 0, "model: ", config.observed,
          " observed columns, expected at least 1");
  require(config.latent > 0, "model: latent is ", config.latent, ", expected at least 1");
  for (int width : config.hidden)
    require(width > 0, "model: a hidden layer of width ", width, ", expected at least 1");
  Initialiser initialiser(seed);
  if (config.model == "vae") return Vae(device, config, initialiser);
  require(config.model == "ae", "unknown model '", config.model, "', expected vae or ae");
  return Autoencoder(device, config, initialiser);
}

}  // namespace

Vae::Vae(const Device& device, const ModelConfig& config, Initialiser& initialiser) {
  build(*this, device, config, 2, initialiser);
  posterior_sigma = config.posterior_sigma;
}

Autoencoder::Autoencoder(const Device& device, const ModelConfig& config,
                         Initialiser& initialiser) {
  build(*this, device, config, 1, initialiser);
}

Model::Model(const Device& device, const ModelConfig& config, std::uint64_t seed)
    : device_(device), config_(config), model_(make(device, config, seed)) {}

Terms Model::operator()(const Tensor& x, const Pass& pass) const {
  return std::visit([&](const auto& m) { return m(x, pass); }, model_);
}
Tensor Model::encode(const Tensor& x, const Pass& pass) const {
  return std::visit([&](const auto& m) { return m.encode(x, pass); }, model_);
}
Tensor Model::decode(const Tensor& z, const Pass& pass) const {
  return std::visit([&](const auto& m) { return m.decode(z, pass); }, model_);
}
Tensor Model::log_likelihood(const Tensor& x, const Tensor& theta) const {
  return std::visit([&](const auto& m) { return m.log_likelihood(x, theta); }, model_);
}
std::vector<Parameter> Model::parameters() const {
  return std::visit(
      [](const auto& m) {
        auto walked = m;  // tensors are handles: the copy shares them
        return elbo::parameters(walked);
      },
      model_);
}

namespace {

/// Calls f(law, parameters of scalar i) for every scalar of theta and collects what it returns.
template <class F>
std::vector<float> each_scalar(const Model& model, const std::vector<Real>& theta, F&& f) {
  const ScalarLaw law(model);
  const auto heads = std::size_t(law.heads()), columns = std::size_t(model.config().observed);
  std::vector<float> out(theta.size() / heads);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = law(&theta[i * heads], int(i % columns), [&](const auto& of, const auto& p) {
      return float(f(of, p, i / columns, i % columns));
    });
  return out;
}

}  // namespace

const DataModel& Model::data() const {
  return std::visit([](const auto& m) -> const DataModel& { return m.data; }, model_);
}

std::vector<Real> Model::parameters_of(std::vector<Real> theta,
                                       const std::vector<Real>& log_totals) const {
  const std::size_t heads = std::size_t(observation(config_).heads);
  const std::size_t width = heads * std::size_t(config_.observed);
  require(theta.size() % width == 0, "model: ", theta.size(),
          " decoder outputs are not whole rows of ", width);
  const std::size_t rows = theta.size() / width;
  require(log_totals.empty() || log_totals.size() == rows, "model: ", log_totals.size(),
          " totals for ", rows, " rows");
  if (data().rates == RateScale::plain) return theta;
  for (std::size_t r = 0; r < rows; ++r) {
    Real* const row = &theta[r * width];
    double shift = log_totals.empty() ? std::log(config_.total) : double(log_totals[r]);
    if (data().rates == RateScale::library) {
      double top = row[0], sum = 0;
      for (std::size_t i = 0; i < width; i += heads) top = std::max(top, double(row[i]));
      for (std::size_t i = 0; i < width; i += heads) sum += std::exp(row[i] - top);
      shift -= top + std::log(sum);
    }
    for (std::size_t i = 0; i < width; i += heads) row[i] = Real(row[i] + shift);
  }
  return theta;
}

std::vector<float> Model::mean(const std::vector<Real>& theta,
                               const std::vector<Real>& log_totals) const {
  std::vector<float> x =
      each_scalar(*this, parameters_of(theta, log_totals),
                  [](const auto& law, const auto& p, auto, auto) { return law.mean(p); });
  config_.preparation.undo(x, config_.observed);
  return x;
}

std::vector<float> Model::draw(const std::vector<Real>& theta, std::uint64_t seed) const {
  std::vector<float> x = each_scalar(
      *this, parameters_of(theta, {}), [&](const auto& law, const auto& p, auto row, auto c) {
        ObservationNoise draw{
            .seed = seed, .datum = std::uint32_t(row), .scalar = std::uint32_t(c)};
        return law.sample(p, draw);
      });
  config_.preparation.undo(x, config_.observed);
  return x;
}

float Model::brightness() const {
  return takes_levels(config_) ? 1 / float(std::max(config_.levels, config_.classes) - 1) : 1;
}

Dataset Model::taken(Dataset data) const {
  data = seen(std::move(data));
  check_data(data);
  return data;
}

Dataset Model::seen(Dataset data) const {
  if (takes_levels(config_)) data.scale = 1;
  config_.preparation.apply(data);
  check_input(data);
  give(data, config_.conditions);
  return data;
}

Dataset Model::in_own_units(Dataset data) const {
  if (!config_.preparation.any()) return data;
  std::vector<float> x = data.values();
  config_.preparation.undo(x, data.columns);
  data.type = Dataset::Type::f32, data.floats = std::move(x), data.scale = 1;
  data.starts.clear(), data.indices.clear();
  return data;
}

std::vector<std::string> Model::parameter_names() const {
  const Observation observed = observation(config_);
  return {observed.names.begin(), observed.names.begin() + observed.heads};
}

void Model::check_input(const Dataset& data) const {
  require(data.columns == config_.observed, data.source, ": has ", data.columns,
          " columns, the model expects ", config_.observed);
  require(data.missing() == 0 || encoder_input(config_), data.source, ": has ", data.missing(),
          " missing entries, but the model's encoder takes its input plain; train with --input "
          "masked");
}

void Model::check_data(const Dataset& data) const {
  check_input(data);
  const auto check = [&](const auto& law) {
    const auto require_valid = [&](long r, int c, float x) {
      require(std::isnan(x) || law.valid(Real(x)), data.source, ": row ", r, ", column ", c, ": ",
              x, " is outside the support of the ", config_.likelihood, " likelihood (", law.data,
              ")");
    };
    const bool listed = data.type != Dataset::Type::csr || law.valid(0);
    for (long r = 0; r < data.rows; ++r)
      if (listed) data.each_listed(r, [&](int c, float x) { require_valid(r, c, x); });
      else
        for (int c = 0; c < data.columns; ++c) require_valid(r, c, data.value(r, c));
  };
  std::visit(check, observation(config_).law);
}

}  // namespace elbo
