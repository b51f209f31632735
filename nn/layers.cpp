#include "nn/layers.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"

namespace elbo {

Tensor Initialiser::uniform(const Device& device, Shape shape, double bound) {
  const std::size_t count = std::size_t(shape.rows) * shape.columns;
  std::vector<Real> values(count);
  const std::uint32_t stream = std::uint32_t(Stream::initialisation) << 24;
  for (std::size_t i = 0; i < count; ++i) {
    const Philox block = Philox::at(std::uint32_t(i / 4), drawn_, stream, 0, seed_);
    values[i] = Real(bound * (2 * double(block.uniform(int(i % 4))) - 1));
  }
  ++drawn_;
  return Tensor(device, shape, values);
}

Linear::Linear(const Device& device, int inputs, int outputs, Activation activation,
               Initialiser& initialiser, int interleave)
    : weight(initialiser.uniform(device, {outputs, inputs}, 1 / std::sqrt(double(inputs)))),
      bias(initialiser.uniform(device, {1, outputs}, 1 / std::sqrt(double(inputs)))),
      activation(activation),
      interleave(interleave) {
  weight.track(), bias.track();
}

namespace {
Tensor row_of(const Device& device, int width, Real value) {
  return Tensor(device, {1, width}, std::vector<Real>(std::size_t(width), value));
}
}  // namespace

BatchNorm::BatchNorm(const Device& device, int width, double epsilon, double momentum)
    : weight(row_of(device, width, 1)),
      bias(row_of(device, width, 0)),
      running_mean(row_of(device, width, 0)),
      running_variance(row_of(device, width, 1)),
      epsilon(Real(epsilon)),
      momentum(Real(momentum)) {
  weight.track(), bias.track();
}

Tensor BatchNorm::operator()(const Tensor& x, const Pass& pass, const Activation& activation,
                             const DropoutMask& mask) const {
  return batch_norm(x, weight, bias, running_mean, running_variance, pass.training, momentum,
                    {epsilon, activation, mask}, pass.noise.batch.state);
}

LayerNorm::LayerNorm(const Device& device, int width, double epsilon)
    : weight(row_of(device, width, 1)), bias(row_of(device, width, 0)), epsilon(Real(epsilon)) {
  weight.track(), bias.track();
}

Tensor LayerNorm::operator()(const Tensor& x, const Activation& activation,
                             const DropoutMask& mask) const {
  return layer_norm(x, weight, bias, {epsilon, activation, mask});
}

Mlp::Mlp(const Device& device, int inputs, const std::vector<int>& hidden, int units, int heads,
         const Activation& activation, Initialiser& initialiser, const HiddenOptions& options)
    : activation(activation), dropout(options.dropout) {
  using Norm = HiddenOptions::Norm;
  require(dropout >= 0 && dropout < 1, "Mlp: the dropout probability is ", dropout,
          ", expected at least 0 and less than 1");
  for (int width : hidden) {
    layers.emplace_back(device, inputs, width,
                        options.norm == Norm::none ? activation : Activation(Identity{}),
                        initialiser);
    if (options.norm == Norm::batch)
      batch_norms.emplace_back(device, width, options.epsilon, options.momentum);
    if (options.norm == Norm::layer) layer_norms.emplace_back(device, width, options.epsilon);
    if (dropout > 0) noise_layers.push_back(initialiser.next_layer());
    inputs = width;
  }
  layers.emplace_back(device, inputs, units * heads, Identity{}, initialiser, heads);
}

Tensor Mlp::operator()(Tensor x, const Pass& pass) const {
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
    const DropoutMask mask = pass.training && dropout > 0
                                 ? dropout_mask(dropout, pass.noise, noise_layers[i])
                                 : DropoutMask{};
    x = layers[i](x);
    if (!batch_norms.empty()) x = batch_norms[i](x, pass, activation, mask);
    else if (!layer_norms.empty()) x = layer_norms[i](x, activation, mask);
    else x = elbo::dropout(x, mask);
  }
  return layers.back()(x);
}

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names{"identity", "relu",     "leaky_relu", "elu", "tanh",
                                              "sigmoid",  "softplus", "silu",       "gelu"};
  return names;
}

namespace {
template <std::size_t... i>
Activation activation_at(std::size_t at, std::index_sequence<i...>) {
  Activation all[] = {Activation(std::in_place_index<i>)...};
  return all[at];
}
}  // namespace

Activation activation_named(const std::string& name) {
  const auto& names = activation_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string all;
    for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
    fail("unknown activation '", name, "', expected one of ", all);
  }
  return activation_at(std::size_t(found - names.begin()),
                       std::make_index_sequence<std::variant_size_v<Activation>>{});
}

}  // namespace elbo
