#pragma once
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"

namespace elbo {

/// Draws initial weights from counters of its own: the same seed, the same weights, anywhere.
class Initialiser {
 public:
  explicit Initialiser(std::uint64_t seed) : seed_(seed) {}
  /// Uniform in [-bound, bound].  Every call takes new numbers.
  Tensor uniform(const Device&, Shape, double bound);
  /// A number of its own for each layer that draws noise.
  int next_layer() { return layers_++; }

 private:
  std::uint64_t seed_;
  std::uint32_t drawn_ = 0;
  int layers_ = 0;
};

/// How a model is run: in training, batch norms see the batch and dropout drops, both by `noise`
/// and counters; else the running estimates serve and nothing is dropped.
struct Pass {
  bool training = false;
  Noise noise = {};
  std::optional<Corruption> corruption = {};  // of what the encoder sees
  Tensor condition = {};                      // [B,G]: what is given of each datum, or nothing
  Real kl_weight = 1;                         // of a bound that the model adds up itself

  /// Of what has one row a datum, however many samples of it are drawn later.
  Pass of_data() const {
    Pass pass = *this;
    pass.noise.samples = 1;
    return pass;
  }
};

/// activation(x Wᵀ + b), W [O,I] and b [1,O] drawn from U(-1/√I, 1/√I) as PyTorch's nn.Linear.
struct Linear {
  Tensor weight, bias;
  Activation activation;
  int interleave = 1;

  Linear() = default;
  Linear(const Device&, int inputs, int outputs, Activation, Initialiser&, int interleave = 1);
  Tensor operator()(const Tensor& x) const { return dense(activation, x, weight, bias); }
  void parts(auto visit) { visit("weight", weight), visit("bias", bias); }
};

/// dropout(activation(γ x̂ + β)) over the batch, γ = 1 and β = 0 at first, as PyTorch's BatchNorm1d;
/// the running estimates are saved with the model, not trained.
struct BatchNorm {
  static constexpr bool flat = true;
  Tensor weight, bias, running_mean, running_variance;
  Real epsilon = Real(1e-5), momentum = Real(0.1);

  BatchNorm(const Device&, int width, double epsilon = 1e-5, double momentum = 0.1);
  Tensor operator()(const Tensor& x, const Pass&, const Activation& = Identity{},
                    const DropoutMask& = {}) const;
  void parts(auto visit) {
    visit("weight", weight), visit("bias", bias);
    visit("running_mean", running_mean), visit("running_var", running_variance);
  }
};

/// dropout(activation(γ x̂ + β)) over each row, as PyTorch's LayerNorm.
struct LayerNorm {
  static constexpr bool flat = true;
  Tensor weight, bias;
  Real epsilon = Real(1e-5);

  LayerNorm(const Device&, int width, double epsilon = 1e-5);
  Tensor operator()(const Tensor& x, const Activation& = Identity{}, const DropoutMask& = {}) const;
  void parts(auto visit) { visit("weight", weight), visit("bias", bias); }
};

/// What stands between a hidden layer's product and the next: norm, activation, dropout.
struct HiddenOptions {
  enum class Norm { none, batch, layer };
  Norm norm = Norm::none;
  double dropout = 0;  // the probability that a unit is dropped
  double epsilon = 1e-5;
  double momentum = 0.1;  // of the batch norm's estimates
};

/// Dense layers of the given widths; each but the last is followed by norm, activation, dropout.
struct Mlp {
  std::vector<Linear> layers;
  std::vector<BatchNorm> batch_norms;
  std::vector<LayerNorm> layer_norms;
  std::vector<int> noise_layers;  // which layers of noise the dropouts are
  Activation activation;
  double dropout = 0;

  Mlp() = default;
  /// `heads` numbers a unit of output, stored side by side.
  /// Errors: a dropout probability outside [0, 1).
  Mlp(const Device&, int inputs, const std::vector<int>& hidden, int units, int heads,
      const Activation&, Initialiser&, const HiddenOptions& = {});
  Tensor operator()(Tensor x, const Pass& = {}) const;
  /// One of the two kinds of norms is there, or none.
  void parts(auto visit) {
    visit("layers", layers), visit("norms", batch_norms), visit("norms", layer_norms);
  }
};

/// The names of the activations, and one by its name.  Errors: an unknown name.
const std::vector<std::string>& activation_names();
Activation activation_named(const std::string&);

}  // namespace elbo
