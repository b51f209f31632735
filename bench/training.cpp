#include "bench/training.h"

#include <algorithm>

#include "bench/measurement.h"
#include "bench/synthetic.h"

namespace elbo {

long trained_numbers(const Model& model) {
  long count = 0;
  for (const Parameter& p : model.parameters())
    if (p.trained) count += long(p.tensor.rows()) * p.tensor.columns();
  return count;
}

Training::Training(const Device& device, const Case& which, Options options)
    : batch_(which.batch), samples_(which.samples) {
  batches_ = std::make_unique<Batches>(device, synthetic_data(which), 0);
  batches_->shuffle(0, 0, 0);
  model_ = std::make_unique<Model>(device, which.model, 0);
  optimizer_ = std::make_unique<Optimizer>(model_->parameters(), Adam{}, Constant{options.rate},
                                           batches_->progress(), options.clip);
  totals_ = std::make_unique<DeviceArray<double>>(device, Objective::most + 1);
  outcomes_ = std::make_unique<Outcomes>(device);
  const Trainer::Function function = Trainer::terms_of(*model_, which.options());
  step_ = std::make_unique<Step>(
      device,
      [&] {
        const Noise noise{.seed = 0, .batch = batches_->batch(), .samples = samples_, .given = {}};
        const Terms terms = function(batches_->next(batch_), {.training = true, .noise = noise});
        const Scale gain{.factor = -1}, counted{.factor = 0};
        const Scale beta{.schedule = Constant{1}, .state = batches_->progress().state()};
        std::vector<Term> weighted{{terms.log_likelihood, terms.bound ? counted : gain}};
        if (terms.kl) weighted.push_back({terms.kl, terms.bound ? counted : beta});
        if (terms.bound) weighted.push_back({terms.bound, gain});
        terms_ = weighted.size();
        backward(
            objective(weighted, totals_->data(), batches_->progress().state(), outcomes_->ring()));
        optimizer_->step();
        advance(device, batches_->progress(), batch_);
      },
      options.plan, options.tier);
}

void Training::rewind() { batches_->progress().write({taken_, 0, 0}); }

void Training::run(int steps) {
  each_pass(steps, [&](int now) { (*step_)(now); });
}

std::vector<double> Training::profile(int steps) {
  std::vector<std::vector<double>> times(program().operations.size());
  each_pass(steps, [&](int now) {
    for (int i = 0; i < now; ++i) {
      const std::vector<double> seconds = program().run_timed();
      for (std::size_t o = 0; o < seconds.size(); ++o) times[o].push_back(seconds[o]);
    }
  });
  std::vector<double> medians;
  for (const std::vector<double>& seconds : times) medians.push_back(median(seconds));
  return medians;
}

void Training::each_pass(int steps, const std::function<void(int)>& some) {
  const std::uint64_t per_pass = std::uint64_t(batches_->rows() / batch_);
  while (steps > 0) {
    const int now =
        int(std::min<std::uint64_t>(std::uint64_t(steps), per_pass - taken_ % per_pass));
    some(now);
    taken_ += std::uint64_t(now), steps -= now;
    if (taken_ % per_pass == 0) rewind();
  }
}

double Training::loss() {
  std::vector<double> sums(totals_->size()), none(sums.size());
  totals_->read(sums.data(), sums.size());
  totals_->write(none.data(), none.size());
  const double rows = sums[terms_], data = rows / samples_;
  if (terms_ == 3) return -sums[2] / data;
  return -sums[0] / rows + (terms_ == 2 ? sums[1] / data : 0);
}

}  // namespace elbo
