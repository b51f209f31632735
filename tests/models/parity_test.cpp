// Training by Elbo and by PyTorch from the same weights, data and noise (tests/golden).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/vae.h"
#include "nn/optimizer.h"
#include "nn/safetensors.h"
#include "runtime/step.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

using Json = nlohmann::json;
using Plan = Program::Plan;

const Json& golden() {
  static const Json json = [] {
    std::ifstream file(ELBO_SOURCE_DIR "/tests/golden/vae_parity.json");
    return Json::parse(file);
  }();
  return json;
}

SafeTensors tensors(const Json& named) {
  SafeTensors all;
  for (const auto& [name, tensor] : named.items())
    all.arrays[name] = {tensor.at("shape").get<std::vector<long>>(),
                        tensor.at("values").get<std::vector<Real>>()};
  return all;
}

/// The longest way from a weight to the loss and back is twelve products or formulas; each adds an
/// error of about a unit of its largest number, as good as independent of the others.
double bound(double magnitude) { return tolerance::sum(12, std::fabs(magnitude)); }

/// In float that leaves room for a misplaced ε of Adam's, which shows at 1e-6: of weights after
/// steps of Adam half of that is allowed.
double bound_after_adam(double magnitude) {
  return std::min(bound(magnitude), 5e-7 * std::fabs(magnitude));
}

double largest(const std::vector<Real>& values) {
  double most = 0;
  for (const Real v : values) most = std::max(most, std::fabs(double(v)));
  return most;
}

/// One case of the file on one device: a model with the initial weights, and a step's inputs.
struct Case {
  const Json& json;
  Device device;
  Plan plan;
  int batch = json.at("batch"), observed = json.at("observed"), latent = json.at("latent");
  Vae model{device, config()};
  Tensor x{device, {batch, observed}}, noise{device, {batch, latent}};

  Case(const Json& json, const Device& device, Plan plan) : json(json), device(device), plan(plan) {
    const SafeTensors initial = tensors(json.at("initial"));
    EXPECT_EQ(initial.arrays.size(), parameters().size());
    for (const Parameter& p : parameters()) from_file(initial, p, "initial");
    feed(0);
  }

  ModelConfig config() const {
    ModelConfig c;
    c.observed = json.at("observed"), c.latent = json.at("latent");
    json.at("hidden").get_to(c.hidden);
    json.at("activation").get_to(c.activation);
    json.at("likelihood").get_to(c.likelihood);
    c.sigma = json.value("sigma", "fixed:1");
    return c;
  }
  std::vector<Parameter> parameters() { return elbo::parameters(model); }

  /// The data and the noise of a step.
  void feed(int step) const {
    const auto data = json.at("data").at("values").get<std::vector<Real>>();
    const auto draws = json.at("noise").at("values").get<std::vector<Real>>();
    std::vector<Real> rows;
    for (int i = 0; i < batch * observed; ++i)
      rows.push_back(data[std::size_t(step * batch * observed + i) % data.size()]);
    const auto first = draws.begin() + step * batch * latent;
    x.write(rows);
    noise.write(std::vector<Real>(first, first + batch * latent));
  }

  /// Records the loss and its gradients.
  Tensor loss(double* totals = nullptr) const {
    const Terms terms = model(x, {.noise = {.given = noise.matrix()}});
    const Tensor loss = objective(
        {{terms.log_likelihood, {.factor = -1}}, {terms.kl, {.factor = json.at("beta")}}}, totals);
    backward(loss);
    return loss;
  }
};

/// Calls f for every case of the file on every device, fused and composed.
template <class F>
void for_every_case(F&& f) {
  for (const Json& json : golden().at("cases"))
    for (const Device& device : {Device::cpu(), Device::simt()})
      for (const Plan plan : {Plan::fused, Plan::composed}) {
        SCOPED_TRACE(json.at("name").get<std::string>() + " on " + device.name() +
                     (plan == Plan::fused ? ", fused" : ", composed"));
        f(Case(json, device, plan));
      }
}

TEST(Parity, of_every_gradient_of_the_first_step_with_pytorch) {
  for_every_case([](Case c) {
    Tensor loss;
    Step step(c.device, [&] { loss = c.loss(); }, c.plan);
    step();
    const double expected = c.json.at("losses").at(0);
    EXPECT_NEAR(loss.item(), expected, bound(expected));
    const SafeTensors gradients = tensors(c.json.at("gradients"));
    for (const Parameter& p : c.parameters()) {
      SCOPED_TRACE(p.name);
      ASSERT_TRUE(p.tensor.gradient());
      const auto got = to_file({p.name, p.tensor.gradient(), p.interleave}).values;
      const std::vector<Real>& wanted = gradients.arrays.at(p.name).values;
      ASSERT_EQ(got.size(), wanted.size());
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], wanted[i], bound(largest(wanted))) << "number " << i;
    }
  });
}

TEST(Parity, of_twenty_steps_of_adam_with_pytorch) {
  const Json& adam = golden().at("adam");
  const double rate = adam.at("rate"), epsilon = adam.at("epsilon");
  for_every_case([&](Case c) {
    const Progress progress(c.device);
    DeviceArray<double> totals(c.device, 3);
    Optimizer optimizer(
        c.parameters(),
        Adam{.beta1 = adam.at("betas").at(0), .beta2 = adam.at("betas").at(1), .epsilon = epsilon},
        Constant{Real(rate)}, progress);
    Tensor loss;
    Step step(
        c.device,
        [&] {
          loss = c.loss(totals.data());
          optimizer.step();
          advance(c.device, progress, c.batch);
        },
        c.plan);
    const int steps = c.json.at("steps");
    for (int i = 0; i < steps; ++i) {
      SCOPED_TRACE("step " + std::to_string(i + 1));
      double sums[3] = {};
      totals.write(sums, 3);
      c.feed(i);
      step();
      totals.read(sums, 3);
      const double expected = c.json.at("losses").at(i);
      EXPECT_NEAR(loss.item(), expected, bound_after_adam(expected));
      EXPECT_NEAR(sums[0] / sums[2], c.json.at("log_likelihoods").at(i).get<double>(),
                  bound_after_adam(expected));
      EXPECT_NEAR(sums[1] / sums[2], c.json.at("kls").at(i).get<double>(),
                  bound_after_adam(expected));
    }
    // A step moves a weight by rate · m / √v, and √v stays above |g| / √steps, g its first
    // gradient: an error δ of every gradient moves it by less than 2 rate √steps δ / |g| a step,
    // and nothing moves it by more than twice the rate.  Each step also rounds the weight.
    const SafeTensors last = tensors(c.json.at("final")), first = tensors(c.json.at("gradients"));
    for (const Parameter& p : c.parameters()) {
      SCOPED_TRACE(p.name);
      const std::vector<Real> got = to_file(p).values;
      const std::vector<Real>&wanted = last.arrays.at(p.name).values,
            &g = first.arrays.at(p.name).values;
      ASSERT_EQ(got.size(), wanted.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        const double scale = std::fabs(double(g[i])) + epsilon;
        const double part = std::min(1.0, std::sqrt(steps) * bound_after_adam(largest(g)) / scale);
        EXPECT_NEAR(got[i], wanted[i],
                    2 * rate * steps * part + tolerance::sum(steps, largest(wanted)))
            << "number " << i;
      }
    }
  });
}

}  // namespace
}  // namespace elbo
