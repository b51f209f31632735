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

Mlp::Mlp(const Device& device, int inputs, const std::vector<int>& hidden, int units, int heads,
         const Activation& activation, Initialiser& initialiser) {
  for (int width : hidden) {
    layers.emplace_back(device, inputs, width, activation, initialiser);
    inputs = width;
  }
  layers.emplace_back(device, inputs, units * heads, Identity{}, initialiser, heads);
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
