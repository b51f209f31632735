#include "runtime/outcomes.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>

namespace elbo {

namespace {

template <class T>
T seen(T& number) {
  return std::atomic_ref(number).load(std::memory_order_acquire);
}

}  // namespace

Outcomes::Outcomes(const Device& device)
    : device_(device),
      ring_(static_cast<Outcome*>(
          device_.backend().allocate_staging(Outcome::kept * sizeof(Outcome)))) {
  std::uninitialized_fill_n(ring_, Outcome::kept, Outcome{});
}

Outcomes::~Outcomes() {
  try {
    device_.backend().wait();        // steps under way may still write
  } catch (const std::exception&) {  // of a device that has failed
  }
  device_.backend().release_staging(ring_);
}

void Outcomes::restart(std::uint64_t steps) {
  device_.backend().wait();
  std::fill_n(ring_, Outcome::kept, Outcome{});
  last_ = steps, missed_ = 0;
}

void Outcomes::take(const std::function<void(const Outcome&)>& each) {
  for (;;) {
    Outcome& from = ring_[last_ % Outcome::kept];
    const std::uint64_t step = seen(from.step);
    if (step <= last_) return;  // it has not come
    if (step > last_ + 1) {     // the ring begins behind it
      missed_ += step - Outcome::kept - last_;
      last_ = step - Outcome::kept;
      continue;
    }
    Outcome outcome;
    for (int i = 0; i < Outcome::most; ++i) outcome.terms[i] = seen(from.terms[i]);
    for (int i = 0; i <= Outcome::most; ++i) outcome.totals[i] = seen(from.totals[i]);
    outcome.loss = seen(from.loss), outcome.step = step;
    if (seen(from.step) != step) continue;  // it was written over meanwhile
    last_ = step;
    each(outcome);
  }
}

}  // namespace elbo
