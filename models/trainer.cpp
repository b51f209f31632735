#include "models/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "runtime/error.h"

namespace elbo {

namespace {

bool finite(const std::vector<double>& sums) {
  return std::ranges::all_of(sums, [](double sum) { return std::isfinite(sum); });
}

}  // namespace

Trainer::Trainer(Function model, std::vector<Parameter> parameters, Batches& batches,
                 const TrainingOptions& options)
    : model_(std::move(model)),
      batches_(batches),
      options_(options),
      optimizer_(std::move(parameters), options.rule, options.rate, batches.progress(),
                 options.clip),
      device_sums_(batches.device(), 4),
      all_sums_(batches.device(), 4),
      unused_sums_(batches.device(), 4),
      weight_(batches.device(), 1),
      outcomes_(batches.device()),
      sums_(4) {
  require(options.batch > 0, "trainer: batch is ", options.batch, ", expected at least 1");
  require(options.samples > 0, "trainer: samples is ", options.samples, ", expected at least 1");
  if (options.budget) {
    const Budget& budget = *options.budget;
    const bool of_rate = budget.bounds == Ascent::Bounds::rate;
    require(std::isfinite(budget.nats) && (!of_rate || budget.nats > 0), "trainer: a budget of ",
            budget.nats, " nats", of_rate ? ", expected more than 0" : "");
    require(options.bound == Bound::elbo && options.free_bits == 0,
            "trainer: a budget needs the ELBO, without free bits");
    const double start = at(options.beta, 0);
    require(start > 0, "trainer: a budget's weight starts at ", start, ", expected more than 0");
    resume(Multiplier{.log_value = std::log(start), .value = Real(start)});
  }
  const int batch = int(std::min<long>(options.batch, batches.rows()));
  require(!options.group || batch >= options.group->size(), "trainer: a batch of ", batch, " for ",
          options.group ? options.group->size() : 1, " processes");
  full_ = make_step(batch);
  last_rows_ = last_batch(batches.rows(), batch);
  if (last_rows_ > 0) last_ = make_step(last_rows_);
  options_.batch = batch;
}

int Trainer::last_batch(long rows, int batch) {
  const int rest = int(rows % batch);
  return rest == 1 && rows > batch ? batch + 1 : rest;
}

Trainer::Share Trainer::share(int rows) const {
  if (!options_.group) return {0, rows, false};
  const long rank = options_.group->rank(), size = options_.group->size();
  const int first = int(rows * rank / size), last = int(rows * (rank + 1) / size);
  return first < last ? Share{first, last - first, false} : Share{0, 1, true};
}

Pass Trainer::pass(const Share& share) const {
  return {.training = true,
          .noise = {.seed = options_.seed,
                    .batch = batches_.batch(share.first),
                    .samples = options_.samples,
                    .given = {}},
          .corruption = options_.corruption,
          .condition = batches_.condition(share.rows, share.first),
          .kl_weight = at(options_.beta, 0)};
}

Trainer::Planned Trainer::make_step(int rows) {
  const Share share = this->share(rows);
  // The objective is a mean over this process's rows, the gradients' sum one over all.
  const Real part = Real(share.rows) / Real(rows);
  const auto loss = [&] {
    const Tensor x = batches_.next(share.rows, share.first);
    const Terms terms = model_(x, pass(share));
    const Scale gain{.factor = -part}, counted{.factor = 0};
    Scale beta{.factor = part, .schedule = options_.beta, .state = batches_.progress().state()};
    if (options_.budget) {
      require(bool(terms.kl), "trainer: a budget needs a model with a KL term");
      beta.found = weight_.data();
    }
    const bool free = options_.free_bits > 0;
    bounded_ = bool(terms.bound);
    require(!bounded_ || (!free && !options_.budget),
            "trainer: a model that adds up its bound has neither free bits nor a budget");
    std::vector<Term> weighted{{terms.log_likelihood, terms.bound ? counted : gain}};
    if (terms.kl) weighted.push_back({terms.kl, terms.bound || free ? counted : beta});
    if (terms.bound) weighted.push_back({terms.bound, gain});
    else if (free) weighted.push_back({free_bits(terms.kl, options_.free_bits), beta});
    terms_ = weighted.size();
    rows_per_datum_ = terms.log_likelihood.rows() / share.rows;
    double* const sums = (share.idle ? unused_sums_ : device_sums_).data();
    backward(options_.group
                 ? objective(weighted, sums)
                 : objective(weighted, sums, batches_.progress().state(), outcomes_.ring()));
  };
  const auto update = [&] {
    optimizer_.step();
    advance(batches_.device(), batches_.progress(), rows, ascent());
  };
  const auto planned = [&](const std::function<void()>& body) {
    return std::make_unique<Step>(batches_.device(), body, options_.plan, options_.tier);
  };
  if (!options_.group) return {planned([&] { loss(), update(); }), nullptr, {}, false};
  Planned result{planned(loss), nullptr, {}, share.idle};
  require_separable(result.step->program());
  for (const Parameter& p : optimizer_.parameters())
    if (p.trained && p.tensor.gradient()) result.gradients.push_back(p.tensor.gradient());
  result.update = planned(update);
  return result;
}

void Trainer::require_separable(const Program& program) const {
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (std::holds_alternative<NormaliseColumns>(operation) ||
        std::holds_alternative<UnitKl>(operation) ||
        std::holds_alternative<AggregatePosterior>(operation))
      fail("trainer: `", program.describe(int(i)),
           "` is of a whole batch, of which each of several processes has a part; train in one "
           "process, or without batch norm and free bits");
  }
}

/// Sums the gradients and the epoch's sums over the group.
void Trainer::exchange(const Planned& planned) {
  Backend& backend = batches_.device().backend();
  const bool host = !batches_.device().name().starts_with("cuda");
  for (const Tensor& gradient : planned.gradients) {
    const Matrix& g = gradient.matrix();
    const std::size_t count = std::size_t(g.rows) * std::size_t(g.stride);
    if (!host) {
      staged_.resize(count);
      backend.copy_to_host(staged_.data(), g.data, count * sizeof(Real));
    }
    Real* const numbers = host ? g.data : staged_.data();
    if (planned.idle) std::fill_n(numbers, count, Real(0));
    options_.group->sum(numbers, count);
    if (!host) backend.copy_to_device(g.data, numbers, count * sizeof(Real));
  }
  device_sums_.read(sums_.data(), sums_.size());
  options_.group->sum(sums_.data(), sums_.size());
  all_sums_.write(sums_.data(), sums_.size());
}

Ascent Trainer::ascent() const {
  if (!options_.budget) return {};
  const Real first = at(options_.rate, 0);
  return {.weight = weight_.data(),
          .totals = (options_.group ? all_sums_ : device_sums_).data(),
          .rows_at = int(terms_),
          .samples = rows_per_datum_,
          .bounds = options_.budget->bounds,
          .bound = options_.budget->nats,
          .rate = {.factor = Real(options_.budget->rate) / first,
                   .schedule = options_.rate,
                   .state = batches_.progress().state()}};
}

Multiplier Trainer::multiplier() const {
  Multiplier state;
  weight_.read(&state, 1);
  return state;
}
void Trainer::resume(const Multiplier& state) { weight_.write(&state, 1); }

double Trainer::found_beta() const {
  const Multiplier state = multiplier();
  return std::exp(state.moves > 0 ? state.log_total / state.moves : state.log_value);
}

Means Trainer::means() const {
  const double rows = sums_[terms_], count = rows / rows_per_datum_;
  Means m{.count = long(count)};
  if (count == 0) return m;
  m.log_likelihood = sums_[0] / rows;
  m.kl = terms_ > 1 ? sums_[1] / count : 0;
  m.elbo = m.log_likelihood - m.kl;
  if (bounded_) m.bound = sums_[2] / count;
  return m;
}

void Trainer::begin_epoch() {
  if (started_) return;
  batches_.shuffle(epoch_, position_, step_);
  const bool counts = !options_.group || options_.group->rank() == 0;
  const std::vector<double> none(sums_.size());
  device_sums_.write((counts ? sums_ : none).data(), sums_.size());
  if (options_.budget) {
    Multiplier state = multiplier();
    state.log_likelihood = sums_[0], state.kl = sums_[1], state.rows = sums_[terms_];
    if (position_ == 0) state.log_total = state.moves = 0;
    resume(state);
  }
  started_ = true;
}

void Trainer::end_epoch() {
  ++epoch_, position_ = 0, started_ = false;
  sums_.assign(sums_.size(), 0);
}

int Trainer::next_rows() const {
  const long left = batches_.rows() - position_;
  return left - last_rows_ >= options_.batch ? options_.batch : int(left);
}

std::vector<std::uint32_t> Trainer::next_data() const {
  return batches_.data_at(position_, next_rows());
}

void Trainer::take(long at_most) {
  const long each = next_rows(), whole = (batches_.rows() - position_ - last_rows_) / each;
  const long there = batches_.provide(position_, each) / each;
  int steps = int(std::clamp(whole, 1L, std::min(at_most, there)));
  const Planned& planned = each == options_.batch ? full_ : last_;
  if (!options_.group) (*planned.step)(steps);
  else
    for (int i = 0; i < steps; ++i) {
      (*planned.step)(), exchange(planned), (*planned.update)();
      if (!finite(sums_)) steps = i + 1;
    }
  position_ += std::uint32_t(steps * each);
  step_ += std::uint64_t(steps);
}

bool Trainer::look() {
  if (options_.group) return finite(sums_);
  device_sums_.read(sums_.data(), sums_.size());
  outcomes_.take([](const Outcome&) {});  // a later epoch's are others
  const StepState state = batches_.progress().read();
  return finite(sums_) && !halted(&state);
}

bool Trainer::listen(long ahead) {
  if (options_.group) return finite(sums_);
  for (;;) {
    const bool idle = batches_.device().backend().idle();  // then all have come
    bool all_finite = true;
    outcomes_.take([&](const Outcome& now) {
      std::copy_n(now.totals, sums_.size(), sums_.begin());
      all_finite = std::isfinite(now.loss);
    });
    if (!all_finite || !finite(sums_)) return false;
    if (idle || outcomes_.last() + std::uint64_t(ahead) >= step_) return true;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

void Trainer::stop() {
  if (!options_.group) {
    const StepState at = batches_.progress().read();
    step_ = at.step, position_ = at.position;
    device_sums_.read(sums_.data(), sums_.size());
  }
  throw NotFinite("training: the loss of epoch " + std::to_string(epoch_ + 1) +
                  " is not finite at step " + std::to_string(step_) +
                  "; a smaller learning rate may help");
}

Means Trainer::epoch(const std::function<bool(const Means&)>& watch) {
  using Clock = std::chrono::steady_clock;
  begin_epoch();
  // A launch is worth many steps, but an interruption must not wait for long.
  const long at_once = !watch ? 1024 : batches_.device().name().starts_with("cuda") ? 64 : 1;
  auto last_watch = Clock::now();
  while (position_ < batches_.rows()) {
    take(at_once);
    if ((watch || options_.group) && !listen(2 * at_once)) stop();
    if (watch && position_ < batches_.rows() &&
        any(Clock::now() - last_watch > std::chrono::milliseconds(200))) {
      last_watch = Clock::now();
      if (any(!watch(means()))) {
        if (!look()) stop();
        return means();
      }
    }
  }
  if (!look()) stop();
  const Means result = means();
  end_epoch();
  return result;
}

void Trainer::run_to(std::uint64_t steps) {
  while (step_ < steps) {
    if (position_ == batches_.rows()) end_epoch();
    begin_epoch();
    take(long(steps - step_));
    if ((position_ == batches_.rows() || options_.group) && !look()) stop();
  }
  if (started_ && !look()) stop();
  if (position_ == batches_.rows()) end_epoch();
}

void Trainer::resume(std::uint32_t epochs_done, std::uint64_t steps, std::uint32_t position,
                     const std::vector<double>& totals) {
  require(totals.size() == sums_.size() && position <= batches_.rows(),
          "resume: the checkpoint's counts do not fit the data");
  epoch_ = epochs_done, step_ = steps, position_ = position, sums_ = totals, started_ = false;
  outcomes_.restart(steps);
}

}  // namespace elbo
