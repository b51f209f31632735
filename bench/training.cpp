#include "bench/training.h"

#include <random>

#include "runtime/error.h"

namespace elbo {

const std::vector<Case>& training_cases() {
  static const std::vector<Case> all{
      {1, "MNIST VAE 784-400-20", {.observed = 784, .hidden = {400}, .latent = 20}, 128},
      {2, "MNIST VAE 784-400-20", {.observed = 784, .hidden = {400}, .latent = 20}, 4096},
      {3,
       "VAE 784-200-200-50, tanh",
       {.observed = 784, .hidden = {200, 200}, .latent = 50, .activation = "tanh"},
       20}};
  return all;
}

const Case& training_case(int number) {
  for (const Case& c : training_cases())
    if (c.number == number) return c;
  fail("there is no case ", number, "; there are 1 to ", training_cases().size());
}

namespace {

/// As many as MNIST has, about, and a multiple of every case's batch.
Dataset random_bytes(int columns) {
  Dataset data;
  data.source = "random bytes", data.type = Dataset::Type::u8;
  data.rows = 61440, data.columns = columns, data.scale = 1.0f / 255;
  data.bytes.resize(std::size_t(data.rows) * columns);
  std::mt19937 generator(1);
  for (std::uint8_t& byte : data.bytes) byte = std::uint8_t(generator() >> 24);
  return data;
}

}  // namespace

Training::Training(const Device& device, const Case& which, Options options) : batch_(which.batch) {
  batches_ = std::make_unique<Batches>(device, random_bytes(which.model.observed), 0);
  batches_->shuffle(0, 0, 0);
  model_ = std::make_unique<Model>(device, which.model, 0);
  optimizer_ = std::make_unique<Optimizer>(model_->parameters(), Adam{}, Constant{options.rate},
                                           batches_->progress(), options.clip);
  totals_ = std::make_unique<DeviceArray<double>>(device, 3);
  step_ = std::make_unique<Step>(
      device,
      [&] {
        const Noise noise{.seed = 0, .batch = batches_->batch(), .given = {}};
        const Terms terms = (*model_)(batches_->next(batch_), {.training = true, .noise = noise});
        const Scale beta{.schedule = Constant{1}, .state = batches_->progress().state()};
        backward(
            objective({{terms.log_likelihood, {.factor = -1}}, {terms.kl, beta}}, totals_->data()));
        optimizer_->step();
        advance(device, batches_->progress(), batch_);
      },
      options.plan);
}

void Training::rewind() { batches_->progress().write({taken_, 0, 0}); }

void Training::run(int steps) {
  const std::uint64_t per_pass = std::uint64_t(batches_->rows() / batch_);
  for (int i = 0; i < steps; ++i) {
    (*step_)();
    if (++taken_ % per_pass == 0) rewind();
  }
}

long Training::parameters() const {
  long count = 0;
  for (const Parameter& p : model_->parameters())
    if (p.trained) count += long(p.tensor.rows()) * p.tensor.columns();
  return count;
}

}  // namespace elbo
