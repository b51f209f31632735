#pragma once
#include <cstdint>

#include "kernels/math/philox.h"
#include "kernels/math/schedules.h"

namespace elbo {

/// What changes between two steps.  It lies in device memory and the step itself moves it on, so
/// that a recorded step can be replayed without the host.
struct StepState {
  std::uint64_t step = 0;      // steps taken since the start of training
  std::uint32_t epoch = 0;     // passes over the data begun before this one
  std::uint32_t position = 0;  // data of this epoch already used
  std::uint32_t blocks = 0;    // of the step's last kernel that have ended (0 between two steps)
  std::uint32_t failed = 0;    // whether the objective of the step at hand was not finite
  std::uint64_t halted = 0;    // the step, from 1, of which that is so; 0: none
};

/// Whether a step before this one had an objective that was not finite.  Weights, moments, running
/// estimates, sums and counters stay what they were after it, however many steps are enqueued.
HD bool halted(const StepState* state) { return state && state->halted > 0; }

/// What a step's objective came to, left where the host reads it while later steps run
/// (runtime/outcomes.h): in a ring of `kept`, that of step s, from 1, at (s - 1) % kept.
struct alignas(64) Outcome {
  static constexpr int kept = 1024, most = 4;
  double terms[most] = {};       // sums over the batch, unweighted
  double loss = 0;               // per datum, weighted
  double totals[most + 1] = {};  // the objective's running sums after the step
  std::uint64_t step = 0;        // written last; 0: another is being written
};

/// Which data the rows of a mini-batch are: row r is datum order[position + r / samples].
struct Batch {
  const std::uint32_t* order = nullptr;  // in device memory; null: row r is datum r
  const StepState* state = nullptr;      // in device memory; null: position and epoch are 0

  HD std::uint32_t datum(int row) const {
    const std::uint32_t at = std::uint32_t(row) + (state ? state->position : 0u);
    return order ? order[at] : at;
  }
  HD std::uint32_t epoch() const { return state ? state->epoch : 0u; }
};

/// Standard normal noise, a pure function of (seed, stream, datum, sample, epoch, unit): it does
/// not depend on batch size, threads, device or order, and the backward pass draws it again.
///
/// Philox counters: unit / 4 | datum | stream : 8, sample : 24 | epoch.
struct Noise {
  std::uint64_t seed = 0;
  std::uint32_t stream = std::uint32_t(Stream::latent);
  Batch batch;
  int samples = 1;  // rows per datum: row r is sample first_sample + r % samples
  int first_sample = 0;
  Matrix given;  // present: row r, unit c is given(r, c) instead (for parity tests)

  /// The counters of one row, all but the unit's.
  struct Row {
    std::uint32_t datum = 0, sample = 0, epoch = 0;
    std::uint64_t seed = 0;
    HD Philox block(int unit) const {
      return Philox::at(std::uint32_t(unit) / 4, datum, sample, epoch, seed);
    }
    HD Real normal(int unit) const { return block(unit).normal(unit % 4); }
    /// A unit's word, by selection and not by an index: a loop over units is vectorised.
    HD std::uint32_t word(int unit) const {
      const Philox b = block(unit);
      const std::uint32_t low = unit & 1 ? b.word[1] : b.word[0];
      const std::uint32_t high = unit & 1 ? b.word[3] : b.word[2];
      return unit & 2 ? high : low;
    }
  };
  HD Row row(int r) const {
    const std::uint32_t sample = std::uint32_t(first_sample + r % samples);
    return {batch.datum(r / samples), stream << 24 | sample, batch.epoch(), seed};
  }
  HD Philox block(int r, int unit) const { return row(r).block(unit); }
  HD Real normal(int r, int unit) const {
    return given.present() ? given(r, unit) : block(r, unit).normal(unit % 4);
  }
};

/// A weight that training itself finds (Ascent).  It lies in device memory.
struct Multiplier {
  double log_value = 0;
  Real value = 1;  // e^log_value
  // The totals up to which it has moved: log-likelihood, KL, rows.
  double log_likelihood = 0, kl = 0, rows = 0;
  // Σ log_value over the moves, for its mean.
  double log_total = 0, moves = 0;
};

/// factor · schedule(step), or factor · a weight that is found: that of a term of the objective.
struct Scale {
  Real factor = 1;
  Schedule schedule = Constant{};
  const StepState* state = nullptr;
  const Multiplier* found = nullptr;
  HD Real value() const {
    return factor * (found ? found->value : at(schedule, state ? state->step : 0));
  }
};

}  // namespace elbo
