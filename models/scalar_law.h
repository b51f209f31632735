#pragma once
#include <variant>
#include <vector>

#include "models/model.h"

namespace elbo {

/// The uniform and normal numbers that a likelihood draws from, by Philox counters of their own:
/// a function of seed, datum, scalar and sample, of which there are at most 2²⁴.
struct ObservationNoise {
  std::uint64_t seed = 0;
  std::uint32_t datum = 0, scalar = 0, sample = 0, drawn = 0;

  Philox next() {
    const std::uint32_t stream = std::uint32_t(Stream::observation) << 24;
    return Philox::at(scalar, datum, stream | sample, drawn++, seed);
  }
  Real uniform() { return next().uniform(0); }
  Real normal() { return next().normal(0); }
};

/// A model's law of the data, for one scalar after the other on the host.
class ScalarLaw {
 public:
  ScalarLaw(const ModelConfig& config, const DataModel& data)
      : observed_(observation(config)), side_(data.side ? data.side.read() : std::vector<Real>()) {}
  /// Errors: the model has two domains.
  explicit ScalarLaw(const Model& model) : ScalarLaw(model.config(), model.data()) {}

  /// How many numbers of a scalar the decoder gives.
  int heads() const { return observed_.heads; }
  const Likelihood& likelihood() const { return observed_.law; }

  /// f(law, p) with the parameters p of scalar c, of which `given` are the decoder's, as
  /// Domain::parameters_of returns them.
  template <class F>
  auto operator()(const Real* given, int c, F&& f) const {
    return std::visit(
        [&]<class Law>(const Law& law) {
          if constexpr (Narrow<Law>) {
            Vec<Law::parameters> p;
            for (int k = 0; k < observed_.heads; ++k) p[k] = given[k];
            if (observed_.heads < Law::parameters)
              p[Law::parameters - 1] = side_[side_.size() == 1 ? 0 : std::size_t(c)];
            return f(law, p);
          } else {
            return f(law, given);
          }
        },
        observed_.law);
  }

 private:
  Observation observed_;
  std::vector<Real> side_;
};

}  // namespace elbo
