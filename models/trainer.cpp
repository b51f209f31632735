#include "models/trainer.h"

#include <chrono>
#include <cmath>

#include "runtime/error.h"

namespace elbo {

Trainer::Trainer(Function model, std::vector<Parameter> parameters, Batches& batches,
                 const TrainingOptions& options)
    : model_(std::move(model)),
      batches_(batches),
      options_(options),
      optimizer_(std::move(parameters), options.rule, options.rate, batches.progress(),
                 options.clip),
      device_sums_(batches.device(), 3),
      sums_(3) {
  require(options.batch > 0, "trainer: batch is ", options.batch, ", expected at least 1");
  const int batch = int(std::min<long>(options.batch, batches.rows()));
  full_ = make_step(batch);
  if (const int rest = int(batches.rows() % batch)) last_ = make_step(rest);
  options_.batch = batch;
}

std::unique_ptr<Step> Trainer::make_step(int rows) {
  return std::make_unique<Step>(batches_.device(), [&] {
    const Tensor x = batches_.next(rows);
    const Noise noise{.seed = options_.seed, .batch = batches_.batch(), .given = {}};
    const Terms terms = model_(x, {.training = true, .noise = noise});
    std::vector<Term> weighted{{terms.log_likelihood, {.factor = -1}}};
    if (terms.kl)
      weighted.push_back(
          {terms.kl, {.schedule = options_.beta, .state = batches_.progress().state()}});
    backward(objective(weighted, device_sums_.data()));
    optimizer_.step();
    advance(batches_.device(), batches_.progress(), rows);
  });
}

Means Trainer::means() const {
  // The sums are those of the objective's terms and then the rows: two numbers or three.
  const bool variational = sums_[2] > 0;
  const double count = variational ? sums_[2] : sums_[1];
  Means m{.count = long(count)};
  if (count == 0) return m;
  m.log_likelihood = sums_[0] / count;
  m.kl = variational ? sums_[1] / count : 0;
  m.elbo = m.log_likelihood - m.kl;
  return m;
}

Means Trainer::epoch(const std::function<bool(const Means&)>& watch) {
  using Clock = std::chrono::steady_clock;
  if (!started_) {
    batches_.shuffle(epoch_, position_, step_);
    device_sums_.write(sums_.data(), sums_.size());
    started_ = true;
  }
  const auto look = [&] {
    device_sums_.read(sums_.data(), sums_.size());
    require(std::isfinite(sums_[0]) && std::isfinite(sums_[1]), "training: the loss of epoch ",
            epoch_ + 1, " is not finite at step ", step_, "; a smaller learning rate may help");
    return means();
  };
  auto last_look = Clock::now();
  const long rows = batches_.rows();
  while (position_ < rows) {
    const bool whole = rows - position_ >= options_.batch;
    (whole ? *full_ : *last_)();
    position_ += std::uint32_t(whole ? options_.batch : rows - position_);
    ++step_;
    if (watch && position_ < rows && Clock::now() - last_look > std::chrono::milliseconds(200)) {
      const Means now = look();
      last_look = Clock::now();
      if (!watch(now)) return now;
    }
  }
  const Means result = look();
  ++epoch_, position_ = 0, started_ = false;
  sums_.assign(sums_.size(), 0);
  return result;
}

void Trainer::resume(std::uint32_t epochs_done, std::uint64_t steps, std::uint32_t position,
                     const std::vector<double>& totals) {
  require(totals.size() == sums_.size() && position <= batches_.rows(),
          "resume: the checkpoint's counts do not fit the data");
  epoch_ = epochs_done, step_ = steps, position_ = position, sums_ = totals, started_ = false;
}

}  // namespace elbo
