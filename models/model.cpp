#include "models/model.h"

#include <cmath>

#include "runtime/error.h"

namespace elbo {

namespace {

/// The raw log σ² of a model that learns it starts at 0: σ = 1.
Tensor side_parameter(const Device& device, const Observation& observed) {
  return observed.side ? Tensor(device, {1, observed.side}).track() : Tensor();
}

template <class M>
void build(M& model, const Device& device, const ModelConfig& config, int latent_heads,
           Initialiser& initialiser) {
  const Observation observed = observation(config);
  const Activation activation = activation_named(config.activation);
  std::vector<int> mirrored(config.hidden.rbegin(), config.hidden.rend());
  model.encoder = Mlp(device, config.observed, config.hidden, config.latent, latent_heads,
                      activation, initialiser);
  model.decoder = Mlp(device, config.latent, mirrored, config.observed, observed.heads, activation,
                      initialiser);
  model.likelihood = observed.law;
  model.log_variance = side_parameter(device, observed);
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

/// The uniform and normal numbers that a likelihood draws from, by Philox counters of their own.
struct Draw {
  std::uint64_t seed;
  std::uint32_t datum, scalar, drawn = 0;
  Philox next() {
    return Philox::at(scalar, datum, std::uint32_t(Stream::observation) << 24, drawn++, seed);
  }
  Real uniform() { return next().uniform(0); }
  Real normal() { return next().normal(0); }
};

}  // namespace

Vae::Vae(const Device& device, const ModelConfig& config, Initialiser& initialiser) {
  build(*this, device, config, 2, initialiser);
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
std::vector<float> each_scalar(const ModelConfig& config, const Tensor& log_variance,
                               const std::vector<Real>& theta, F&& f) {
  const Observation observed = observation(config);
  const int heads = observed.heads;
  require(theta.size() % (std::size_t(heads) * config.observed) == 0, "model: ", theta.size(),
          " decoder outputs are not whole rows of ", heads * config.observed);
  const std::vector<Real> side = log_variance ? log_variance.read() : std::vector<Real>();
  std::vector<float> out(theta.size() / heads);
  std::visit(
      [&]<class Law>(const Law& law) {
        for (std::size_t i = 0; i < out.size(); ++i) {
          const std::size_t c = i % config.observed;
          const Real* const given = &theta[i * heads];
          if constexpr (Narrow<Law>) {
            Vec<Law::parameters> p;
            for (int k = 0; k < heads; ++k) p[k] = given[k];
            if (heads < Law::parameters) p[Law::parameters - 1] = side[side.size() == 1 ? 0 : c];
            out[i] = float(f(law, p, i / config.observed, c));
          } else {
            out[i] = float(f(law, given, i / config.observed, c));
          }
        }
      },
      observed.law);
  return out;
}

}  // namespace

std::vector<float> Model::mean(const std::vector<Real>& theta) const {
  const Tensor side = std::visit([](const auto& m) { return m.log_variance; }, model_);
  return each_scalar(config_, side, theta,
                     [](const auto& law, const auto& p, auto, auto) { return law.mean(p); });
}

std::vector<float> Model::draw(const std::vector<Real>& theta, std::uint64_t seed) const {
  const Tensor side = std::visit([](const auto& m) { return m.log_variance; }, model_);
  return each_scalar(config_, side, theta, [&](const auto& law, const auto& p, auto row, auto c) {
    Draw draw{seed, std::uint32_t(row), std::uint32_t(c)};
    return law.sample(p, draw);
  });
}

std::vector<std::string> Model::parameter_names() const {
  const Observation observed = observation(config_);
  return {observed.names.begin(), observed.names.begin() + observed.heads};
}

void Model::check_data(const Dataset& data) const {
  require(data.columns == config_.observed, data.source, ": has ", data.columns,
          " columns, the model expects ", config_.observed);
  const auto check = [&](const auto& law) {
    for (long r = 0; r < data.rows; ++r)
      for (int c = 0; c < data.columns; ++c)
        require(std::isnan(data.value(r, c)) || law.valid(Real(data.value(r, c))), data.source,
                ": row ", r, ", column ", c, ": ", data.value(r, c),
                " is outside the support of the ", config_.likelihood, " likelihood (", law.data,
                ")");
  };
  std::visit(check, observation(config_).law);
}

}  // namespace elbo
