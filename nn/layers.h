#pragma once
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

 private:
  std::uint64_t seed_;
  std::uint32_t drawn_ = 0;
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

/// Dense layers of the given widths with an activation between them and none at the end.
struct Mlp {
  std::vector<Linear> layers;

  Mlp() = default;
  /// `heads` numbers a unit of output, stored side by side.
  Mlp(const Device&, int inputs, const std::vector<int>& hidden, int units, int heads,
      const Activation&, Initialiser&);
  Tensor operator()(Tensor x) const {
    for (const Linear& layer : layers) x = layer(x);
    return x;
  }
  void parts(auto visit) { visit("layers", layers); }
};

/// The names of the activations, and one by its name.  Errors: an unknown name.
const std::vector<std::string>& activation_names();
Activation activation_named(const std::string&);

}  // namespace elbo
