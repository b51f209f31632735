#include "models/model.h"

#include <algorithm>
#include <cmath>

#include "data/domains.h"
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

std::variant<Vae, Autoencoder, TwoDomains> make(const Device& device, const ModelConfig& config,
                                                std::uint64_t seed) {
  require(config.observed > 0, "model: ", config.observed,
          " observed columns, expected at least 1");
  require(config.latent > 0, "model: latent is ", config.latent, ", expected at least 1");
  for (int width : config.hidden)
    require(width > 0, "model: a hidden layer of width ", width, ", expected at least 1");
  Initialiser initialiser(seed);
  if (config.model == "vae" && config.two_domains()) return TwoDomains(device, config, initialiser);
  if (config.model == "vae") return Vae(device, config, initialiser);
  require(config.model == "ae", "unknown model '", config.model, "', expected vae or ae");
  require(!config.two_domains(), "model: an autoencoder has no posterior for two domains to share");
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

TwoDomains::TwoDomains(const Device& device, const ModelConfig& config, Initialiser& initialiser)
    : a(device, first_domain(config), initialiser),
      b(device, second_domain(config), initialiser),
      columns_a(config.observed),
      columns_b(config.with_observed) {
  for (const Vae* domain : {&a, &b})
    require(domain->data.input.has_value(),
            "two domains: an encoder that takes its input plain has no place for a domain that is "
            "missing; --input masked has");
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
Tensor Model::log_likelihood(const Tensor& x, const Tensor& z, const Pass& pass) const {
  return std::visit([&](const auto& m) { return m.log_likelihood(x, z, pass); }, model_);
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

/// Calls f(law, parameters, row, column) for every scalar of theta and collects what it returns.
template <class F>
std::vector<float> each_scalar(const Domain& domain, const std::vector<Real>& theta, F&& f) {
  const ScalarLaw law(domain.config, domain.data);
  const auto heads = std::size_t(law.heads()), columns = std::size_t(domain.config.observed);
  std::vector<float> out(theta.size() / heads);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = law(&theta[i * heads], int(i % columns), [&](const auto& of, const auto& p) {
      return float(f(of, p, i / columns, i % columns));
    });
  return out;
}

/// Calls f(domain, its part of theta, rows) and puts what it returns, [rows, C] each, side by side.
template <class F>
std::vector<float> each_domain(const std::vector<Domain>& domains, const std::vector<Real>& theta,
                               F&& f) {
  if (domains.size() == 1) return f(domains[0], theta, std::size_t(0));
  std::size_t width = 0, columns = 0;
  for (const Domain& d : domains) {
    width += std::size_t(d.heads()) * std::size_t(d.config.observed);
    columns += std::size_t(d.config.observed);
  }
  require(theta.size() % width == 0, "model: ", theta.size(),
          " decoder outputs are not whole rows of ", width);
  const std::size_t rows = theta.size() / width;
  std::vector<float> out(rows * columns);
  std::size_t first = 0;
  for (std::size_t i = 0; i < domains.size(); ++i) {
    const std::size_t c = std::size_t(domains[i].config.observed);
    const std::size_t own = c * std::size_t(domains[i].heads());
    std::vector<Real> part(rows * own);
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(&theta[r * width + first], own, &part[r * own]);
    const std::vector<float> x = f(domains[i], part, i);
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(&x[r * c], c, &out[r * columns + std::size_t(domains[i].first)]);
    first += own;
  }
  return out;
}

}  // namespace

std::vector<Real> Domain::parameters_of(std::vector<Real> theta,
                                        const std::vector<Real>& log_totals) const {
  const std::size_t own = std::size_t(heads()), width = own * std::size_t(config.observed);
  require(theta.size() % width == 0, "model: ", theta.size(),
          " decoder outputs are not whole rows of ", width);
  const std::size_t rows = theta.size() / width;
  require(log_totals.empty() || log_totals.size() == rows, "model: ", log_totals.size(),
          " totals for ", rows, " rows");
  if (data.rates == RateScale::plain) return theta;
  for (std::size_t r = 0; r < rows; ++r) {
    Real* const row = &theta[r * width];
    double shift = log_totals.empty() ? std::log(config.total) : double(log_totals[r]);
    if (data.rates == RateScale::library) {
      double top = row[0], sum = 0;
      for (std::size_t i = 0; i < width; i += own) top = std::max(top, double(row[i]));
      for (std::size_t i = 0; i < width; i += own) sum += std::exp(row[i] - top);
      shift -= top + std::log(sum);
    }
    for (std::size_t i = 0; i < width; i += own) row[i] = Real(row[i] + shift);
  }
  return theta;
}

std::vector<float> Domain::mean(const std::vector<Real>& theta,
                                const std::vector<Real>& log_totals) const {
  std::vector<float> x =
      each_scalar(*this, parameters_of(theta, log_totals),
                  [](const auto& law, const auto& p, auto, auto) { return law.mean(p); });
  config.preparation.undo(x, config.observed);
  return x;
}

std::vector<float> Domain::draw(const std::vector<Real>& theta, std::uint64_t seed,
                                long first_row) const {
  std::vector<float> x = each_scalar(
      *this, parameters_of(theta, {}), [&](const auto& law, const auto& p, auto row, auto c) {
        ObservationNoise draw{.seed = seed,
                              .datum = std::uint32_t(first_row + long(row)),
                              .scalar = std::uint32_t(first + long(c))};
        return law.sample(p, draw);
      });
  config.preparation.undo(x, config.observed);
  return x;
}

float Domain::brightness() const {
  return takes_levels(config) ? 1 / float(std::max(config.levels, config.classes) - 1) : 1;
}

const DataModel& Model::data() const {
  return std::visit(
      []<class M>(const M& m) -> const DataModel& {
        if constexpr (requires { m.data; }) return m.data;
        fail("model: two domains have no law in common");
      },
      model_);
}

std::vector<Domain> Model::domains() const {
  if (!config_.two_domains()) return {{config_, data()}};
  const TwoDomains& both = two_domains();
  return {{first_domain(config_), both.a.data},
          {second_domain(config_), both.b.data, config_.observed}};
}

const TwoDomains& Model::two_domains() const {
  const auto* both = std::get_if<TwoDomains>(&model_);
  require(both, "the model has one domain; elbo train A --with B makes one of two");
  return *both;
}

std::vector<float> Model::mean(const std::vector<Real>& theta,
                               const std::vector<Real>& log_totals) const {
  const std::vector<Domain> all = domains();
  return each_domain(all, theta, [&](const Domain& d, const auto& part, std::size_t which) {
    std::vector<Real> own;
    for (std::size_t i = which; i < log_totals.size(); i += all.size())
      own.push_back(log_totals[i]);
    return d.mean(part, own);
  });
}

std::vector<float> Model::draw(const std::vector<Real>& theta, std::uint64_t seed) const {
  return each_domain(domains(), theta, [&](const Domain& d, const auto& part, std::size_t) {
    return d.draw(part, seed);
  });
}

float Model::brightness() const { return domains()[0].brightness(); }

Dataset Model::taken(Dataset data) const {
  data = seen(std::move(data));
  check_data(data);
  return data;
}

Dataset Model::seen(Dataset data) const {
  if (takes_levels(config_)) data.scale = 1;
  if (config_.two_domains() && data.columns == config_.observed)
    data = widened(data, 0, config_.with_observed);
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
  require(!config_.two_domains(), "two domains have parameters of their own each");
  const Observation observed = observation(config_);
  return {observed.names.begin(), observed.names.begin() + observed.heads};
}

void Model::check_input(const Dataset& data) const {
  require(data.columns == config_.columns(), data.source, ": has ", data.columns,
          " columns, the model expects ", config_.columns());
  for (const Domain& domain : domains())
    require(data.missing() == 0 || domain.data.input, data.source, ": has ", data.missing(),
            " missing entries, but the model's encoder takes its input plain; train with --input "
            "masked");
}

void Model::check_data(const Dataset& data) const {
  check_input(data);
  for (const Domain& domain : domains()) {
    const int first = domain.first, end = first + domain.config.observed;
    const auto check = [&](const auto& law) {
      const auto require_valid = [&](long r, int c, float x) {
        require(std::isnan(x) || law.valid(Real(x)), data.source, ": row ", r, ", column ", c, ": ",
                x, " is outside the support of the ", domain.config.likelihood, " likelihood (",
                law.data, ")");
      };
      const bool listed = data.type != Dataset::Type::csr || law.valid(0);
      for (long r = 0; r < data.rows; ++r)
        if (listed)
          data.each_listed(r, [&](int c, float x) {
            if (c >= first && c < end) require_valid(r, c, x);
          });
        else
          for (int c = first; c < end; ++c) require_valid(r, c, data.value(r, c));
    };
    std::visit(check, observation(domain.config).law);
  }
}

}  // namespace elbo
