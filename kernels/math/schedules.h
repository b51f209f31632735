#pragma once
#include <cstdint>
#include <variant>

#include "kernels/math/numerics.h"

namespace elbo {

// A weight or a learning rate as a function of the number of steps taken before this one.  The
// device evaluates it from the step counter in its own memory, so a planned step never changes.

/// The same at every step.
struct Constant {
  Real value = 1;
  HD Real at(std::uint64_t) const { return value; }
};

/// Rises linearly from 0 to `value` over `steps` steps, then stays.
struct WarmUp {
  Real value = 1;
  std::uint64_t steps = 1;
  HD Real at(std::uint64_t step) const {
    return step >= steps ? value : value * (Real(step) / Real(steps));
  }
};

/// In cycles of `period` steps: rises linearly from 0 to `value` over the first `ramp` part of
/// each, then stays.  Fu et al., Cyclical Annealing Schedule (2019), equations 6 to 8.
struct Cyclical {
  Real value = 1;
  std::uint64_t period = 1;
  Real ramp = Real(0.5);
  HD Real at(std::uint64_t step) const {
    const Real part = Real(step % period) / Real(period);
    return part >= ramp ? value : value * (part / ramp);
  }
};

/// ½ value (1 + cos(π step / steps)): from `value` to 0.  Loshchilov & Hutter (2017).
struct Cosine {
  Real value = 1;
  std::uint64_t steps = 1;
  HD Real at(std::uint64_t step) const {
    const Real part = step >= steps ? Real(1) : Real(step) / Real(steps);
    return value * (1 + std::cos(Real(3.14159265358979323846) * part)) / 2;
  }
};

/// value · factor^⌊step / every⌋
struct StepDecay {
  Real value = 1;
  std::uint64_t every = 1;
  Real factor = Real(0.1);
  HD Real at(std::uint64_t step) const { return value * std::pow(factor, Real(step / every)); }
};

using Schedule = std::variant<Constant, WarmUp, Cyclical, Cosine, StepDecay>;

HD Real at(const Schedule& schedule, std::uint64_t step) {
  return open(schedule, [&](const auto& s) { return s.at(step); });
}

/// The same, `factor` times as large.
inline Schedule scaled(Schedule schedule, Real factor) {
  std::visit([&](auto& s) { s.value *= factor; }, schedule);
  return schedule;
}

}  // namespace elbo
