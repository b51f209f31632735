// What the planner makes of the steps that users train, and that it changes no result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/trainer.h"
#include "runtime/error.h"
#include "tests/runtime/grey_images.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

using Plan = Program::Plan;

/// A step that trains a model, and what it needs to stay.
struct Training {
  Dataset data;
  Model model;
  Batches batches;
  Optimizer optimizer;
  DeviceArray<double> totals;
  Step step;

  Training(const Device& device, const ModelConfig& config, Plan plan, Real clip = 0,
           Dataset of = grey_images(48, 13))
      : data(std::move(of)),
        model(device, config, 1),
        batches(device, data, 1),
        optimizer(model.parameters(), Adam{}, Constant{Real(1e-2)}, batches.progress(), clip),
        totals(device, 3),
        step(
            device, [&] { body(); }, plan, Tier::graph) {
    batches.shuffle(0, 0, 0);
  }
  void body() {
    const Terms terms =
        model(batches.next(16), {true, Noise{.seed = 1, .batch = batches.batch(), .given = {}}});
    std::vector<Term> weighted{{terms.log_likelihood, {.factor = -1}}};
    if (terms.kl) weighted.push_back({terms.kl, {}});
    backward(objective(weighted, totals.data()));
    optimizer.step();
    advance(model.device(), batches.progress(), 16);
  }
};

std::vector<ModelConfig> configs() {
  std::vector<ModelConfig> all;
  for (const auto& [likelihood, sigma] :
       std::vector<std::pair<std::string, std::string>>{{"bernoulli", "fixed:1"},
                                                        {"gaussian", "fixed:0.5"},
                                                        {"gaussian", "shared"},
                                                        {"gaussian", "feature"},
                                                        {"gaussian", "datum"}})
    for (const char* model : {"vae", "ae"})
      all.push_back({.model = model,
                     .observed = 13,
                     .hidden = {11, 7},
                     .latent = 3,
                     .activation = "silu",
                     .likelihood = likelihood,
                     .sigma = sigma});
  all.push_back({.observed = 13, .hidden = {}, .latent = 2, .activation = "identity"});
  return all;
}

std::string name_of(const ModelConfig& config) {
  return config.model + " " + config.likelihood + " " + config.sigma;
}

TEST(Planner, leaves_no_composed_operation_in_a_training_step) {
  for (const ModelConfig& config : configs()) {
    const Training training(Device::cpu(), config, Plan::fused);
    for (const Operation& operation : training.step.program().operations) {
      EXPECT_FALSE(std::holds_alternative<Apply>(operation)) << name_of(config);
      EXPECT_FALSE(std::holds_alternative<Fill>(operation)) << name_of(config);
      EXPECT_FALSE(std::holds_alternative<Add>(operation)) << name_of(config);
    }
  }
}

TEST(Planner, updates_every_dense_weight_in_the_launch_of_its_gradient) {
  for (const ModelConfig& config : configs()) {
    const Training training(Device::cpu(), config, Plan::fused);
    int groups = 0;
    for (const Operation& operation : training.step.program().operations)
      if (const auto* group = std::get_if<WeightGradients>(&operation)) {
        ++groups;
        for (const WeightGradient& layer : group->layers) {
          EXPECT_TRUE(layer.bias.updates && (layer.weight.updates || !layer.x.present()));
          EXPECT_FALSE(layer.weight.gradient.tensor || layer.bias.gradient.tensor);
        }
      }
    EXPECT_EQ(groups, 1) << name_of(config);
  }
}

TEST(Planner, tells_products_of_bytes_of_what_their_numbers_are_multiples) {
  const Training training(Device::cpu(), {.observed = 13, .hidden = {11}, .latent = 3},
                          Plan::fused);
  std::vector<Real> of_products, of_gradients;
  for (const Operation& operation : training.step.program().operations)
    if (const auto* product = std::get_if<Product>(&operation))
      of_products.push_back(product->unit);
    else if (const auto* group = std::get_if<WeightGradients>(&operation))
      for (const WeightGradient& layer : group->layers) of_gradients.push_back(layer.unit);
  const auto told = [&](const std::vector<Real>& units) {
    return std::ranges::count(units, Real(training.data.scale)) == 1 &&
           std::ranges::count(units, Real(0)) == std::ssize(units) - 1;
  };
  EXPECT_EQ(training.data.type, Dataset::Type::u8);
  EXPECT_TRUE(told(of_products) && of_products[0] != 0);
  EXPECT_TRUE(told(of_gradients));
}

/// Counts of 48 cells, of which one in `of` is not 0.
Dataset cells(int genes, unsigned of) {
  Dataset data = grey_images(48, genes);
  data.scale = 1;
  for (std::size_t i = 0; i < data.bytes.size(); ++i)
    data.bytes[i] = i % of == 0 ? std::uint8_t(data.bytes[i] % 5 + 1) : std::uint8_t(0);
  return data;
}

// Two thirds of the entries of the one are 0, and of the other nine tenths.
TEST(Planner, goes_through_lists_where_few_counts_are_not_0) {
  const Device device = Device::cpu();
  const double most = device.backend().ops().lists_up_to();
  ASSERT_TRUE(most > 0.1 && most < 0.3);
  const ModelConfig counts{.hidden = {11},
                           .latent = 3,
                           .norm = "batch",
                           .input = "log1p",
                           .likelihood = "negative_binomial",
                           .rates = "library"};
  ModelConfig wider = counts, of_data = counts;
  wider.input = "indicated";
  of_data.rates = "plain", of_data.likelihood = "poisson";
  struct Expected {
    const char* what;
    ModelConfig config;
    unsigned of;
    bool first_layer, law, gathered;  // by lists; by the first product
  };
  for (const Expected& e : {Expected{"few", counts, 10, true, true, true},
                            {"many", counts, 3, false, false, false},
                            {"two numbers an entry", wider, 10, false, false, false},
                            {"a law that reads all", of_data, 10, true, false, false}}) {
    SCOPED_TRACE(e.what);
    ModelConfig config = e.config;
    config.observed = 301, config.total = 20;  // more than a norm works out beside itself
    const Training training(device, config, Plan::fused, 0, cells(config.observed, e.of));
    int products = 0, gathered = 0, gradients = 0, laws = 0;
    for (const Operation& operation : training.step.program().operations) {
      if (const auto* product = std::get_if<Product>(&operation))
        products += product->lists.present(), gathered += product->gathers();
      if (const auto* group = std::get_if<WeightGradients>(&operation))
        for (const WeightGradient& layer : group->layers) gradients += layer.lists.present();
      if (const auto* rates = std::get_if<ObserveRates>(&operation))
        laws += rates->lists.present();
    }
    EXPECT_EQ(products, e.first_layer) << training.step.program().describe();
    EXPECT_EQ(gradients, e.first_layer);
    EXPECT_EQ(laws, e.law);
    EXPECT_EQ(gathered, e.gathered);
  }
}

TEST(Planner, makes_eight_operations_of_the_27_of_a_vae_with_one_hidden_layer) {
  const auto operations = [](int hidden, Plan plan) {
    const ModelConfig config{.observed = 13, .hidden = {hidden}, .latent = 3};
    return Training(Device::simt(), config, plan).step.program().operations.size();
  };
  const int wide = Chain::widest + 1;
  EXPECT_EQ(operations(wide, Plan::fused), 8u);
  EXPECT_EQ(operations(wide, Plan::composed), 27u);
  // Narrow ones chain heads and decoder, and the way back to the encoder.
  EXPECT_EQ(operations(11, Plan::unchained), 8u);
  EXPECT_EQ(operations(11, Plan::fused), 5u);
  // Where there are no launches to save they stay apart.
  const Training on_cpu(Device::cpu(), {.observed = 13, .hidden = {11}, .latent = 3}, Plan::fused);
  EXPECT_EQ(on_cpu.step.program().operations.size(), 8u);
}

TEST(Planner, changes_no_result) {
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (const ModelConfig& config : configs())
      for (Real clip : {Real(0), Real(0.1)}) {
        Training fused(device, config, Plan::fused, clip);
        Training composed(device, config, Plan::composed, clip);
        for (int i = 0; i < 3; ++i) fused.step(), composed.step();
        const auto a = fused.model.parameters(), b = composed.model.parameters();
        for (std::size_t p = 0; p < a.size(); ++p) {
          const auto x = a[p].tensor.read(), y = b[p].tensor.read();
          // Adam divides a gradient by its own size: where that is near 0 a rounding of the
          // gradient is as large as the step.  Three steps of at most the rate are the most that
          // can differ; a wrong gradient moves most weights the other way, not one in fifty.
          std::size_t apart = 0;
          for (std::size_t i = 0; i < x.size(); ++i)
            apart += std::fabs(x[i] - y[i]) > std::sqrt(std::numeric_limits<Real>::epsilon());
          EXPECT_LE(apart, x.size() / 50) << name_of(config) << ": " << a[p].name << " on "
                                          << device.name() << " clip " << clip;
        }
      }
}

/// What a trainer makes of a small model: its planned operations.
std::vector<Operation> planned(TrainingOptions options, std::string& plan) {
  options.tier = Tier::graph;
  const Device device = Device::simt();
  const Dataset data = grey_images(options.batch, 13);
  Vae vae(device, {.observed = 13, .hidden = {11}, .latent = 3});
  Batches batches(device, data, 1);
  const Trainer trainer(vae, batches, options);
  plan = trainer.program().describe();
  return trainer.program().operations;
}

TEST(Planner, fuses_the_other_objectives_too) {
  std::string plan;
  // Gather and encoder; heads and KL; draws; decoder; likelihood and score; bound, weights
  // and weighed score; a chain of two products back; the draws' gradient; one more back; weights'
  // gradients, objective and advance.
  const auto weighted = planned({.batch = 16, .bound = Bound::iwae, .samples = 5}, plan);
  EXPECT_EQ(weighted.size(), 10u) << plan;
  int bounds = 0;
  for (const Operation& operation : weighted) {
    EXPECT_FALSE(std::holds_alternative<Fill>(operation)) << plan;
    EXPECT_FALSE(std::holds_alternative<Add>(operation)) << plan;
    EXPECT_FALSE(std::holds_alternative<Apply>(operation)) << plan;
    if (const auto* bound = std::get_if<ImportanceBound>(&operation)) {
      EXPECT_TRUE(bound->bound.tensor && bound->weights.tensor) << plan;
      ++bounds;
    }
  }
  EXPECT_EQ(bounds, 1) << plan;
  // Two more than without: the units' KL, and the floors.
  EXPECT_EQ(planned({.batch = 16, .free_bits = Real(0.1)}, plan).size(), 7u) << plan;
  EXPECT_EQ(planned({.batch = 16}, plan).size(), 5u) << plan;
}

TEST(Planner, changes_no_gradient_of_an_importance_weighted_bound_in_several_parts) {
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (const Gradient how : {Gradient::standard, Gradient::dreg}) {
      const int wide = 1100;  // a row's log-likelihood comes in more than one part on every device
      std::vector<Real> pixels(std::size_t(3) * wide);
      for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = Real(i % 5) / 4;
      const Tensor x(device, {3, wide}, pixels);
      std::vector<std::vector<Real>> gradients[2];
      std::vector<Real> bounds[2];
      for (const Plan plan : {Plan::fused, Plan::composed}) {
        Vae vae(device, {.observed = wide, .hidden = {5}, .latent = 2, .activation = "tanh"});
        Tensor bound;
        Step step(
            device,
            [&] {
              bound =
                  importance_weighted(vae, x, Pass{.noise = {.seed = 4, .samples = 6}}, how).bound;
              backward(objective({{bound, {.factor = -1}}}));
            },
            plan);
        step();
        bounds[plan == Plan::composed] = bound.read();
        for (const Parameter& p : parameters(vae))
          gradients[plan == Plan::composed].push_back(p.tensor.gradient().read());
      }
      // Sums of 1100 terms of at most 1.5 in another order; what that changes in log w is the
      // relative change of a weight, and with it of every gradient.
      const double error = tolerance::sum(wide, 1.5 * wide);
      for (std::size_t b = 0; b < 3; ++b) EXPECT_NEAR(bounds[0][b], bounds[1][b], error);
      for (std::size_t p = 0; p < gradients[0].size(); ++p) {
        double largest = 0;
        for (const Real g : gradients[1][p]) largest = std::max(largest, std::fabs(double(g)));
        for (std::size_t i = 0; i < gradients[0][p].size(); ++i)
          EXPECT_NEAR(gradients[0][p][i], gradients[1][p][i], 2 * error * largest)
              << "tensor " << p << ", number " << i << " on " << device.name();
      }
    }
}

TEST(Functions, of_draws_name_what_does_not_fit) {
  const Device device = Device::cpu();
  const Tensor rows(device, {6, 1}), other(device, {5, 1}), q(device, {2, 4});
  const auto message = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message([&] { importance_bound(rows, other, 3); }),
            "importance_bound: log_ratio is [5,1], expected [6,1]");
  EXPECT_EQ(message([&] { importance_bound(rows, rows, 4); }),
            "importance_bound: log_p is [6,1], expected a column of a multiple of 4 rows");
  EXPECT_NE(message([&] { sample_many(q, Noise{.samples = 1 << 25}); }).find("at most 16777216"),
            std::string::npos);
  EXPECT_NE(message([&] { free_bits(rows, 1); }).find("not a posterior's KL"), std::string::npos);
  Tensor tracked = q;
  tracked.track();
  EXPECT_NE(message([&] {
              Step step(device, [&] {
                const Tensor kl = posterior_kl(tracked);
                backward(objective({{kl, {}}, {free_bits(kl, 1), {}}}));
              });
            }).find("counts a KL twice"),
            std::string::npos);
}

TEST(Planner, keeps_what_somebody_holds_and_nothing_else) {
  const Device device = Device::cpu();
  Tensor x(device, {4, 3}), w(device, {6, 3}), b(device, {1, 6});
  w.track();
  Tensor held;
  Step holding(device, [&] {
    held = dense(Identity{}, x, w, b);
    log_prob(FixedGaussian{}, Tensor(device, {4, 6}), held);
  });
  EXPECT_EQ(held.read(), std::vector<Real>(24));
  Step nobody(device, [&] { dense(Tanh{}, x, w, b); });
  EXPECT_TRUE(nobody.program().operations.empty()) << "nobody reads it, yet it is computed";
}

TEST(Planner, sums_the_parts_of_a_wide_products_terms_whoever_reads_them) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const int wide = 1100;  // more than one tile across on every device
    Tensor x(device, {3, wide}), h(device, {3, 2}, {1, -1, 2, 0, 1, 1}), w(device, {wide, 2});
    const Tensor b(device, {1, wide});
    std::vector<Real> weights(2 * wide);
    for (int i = 0; i < 2 * wide; ++i) weights[i] = Real(i % 7) / 7 - Real(0.4);
    w.write(weights);
    std::vector<Real> terms[2], losses;
    for (Plan plan : {Plan::fused, Plan::composed}) {
      Tensor held, loss;
      Step step(
          device,
          [&] {
            held = log_prob(Bernoulli{}, x, dense(Identity{}, h, w, b));
            loss =
                objective({{log_prob(Bernoulli{}, x, dense(Identity{}, h, w, b)), {.factor = -1}}});
          },
          plan);
      step();
      terms[plan == Plan::composed] = held.read();
      losses.push_back(loss.item());
    }
    // Sums of 1100 terms of at most 1.5, in another order.
    const Real bound = std::numeric_limits<Real>::epsilon() * wide * Real(1.5) * 40;
    for (int r = 0; r < 3; ++r) EXPECT_NEAR(terms[0][r], terms[1][r], bound);
    EXPECT_NEAR(losses[0], losses[1], bound);
    EXPECT_LT(losses[1], wide * 1.5);
    EXPECT_GT(losses[1], wide * 0.2);
  }
}

TEST(Step, refuses_to_read_what_has_no_numbers_yet) {
  const Device device = Device::cpu();
  Tensor x(device, {4, 3}), w(device, {6, 3}), b(device, {1, 6});
  EXPECT_THROW(Step(device, [&] { dense(Tanh{}, x, w, b).read(); }), Error);
}

TEST(Tensor, functions_outside_a_step_run_when_a_number_is_read) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const Tensor x(device, {1, 2}, {1, 2}), w(device, {1, 2}, {3, 4}), b(device, {1, 1}, {5});
    Tensor weight = w;
    weight.track();
    const Tensor y = dense(Identity{}, x, weight, b);
    EXPECT_EQ(y.item(), 16);
    backward(
        objective({{log_prob(FixedGaussian{1}, Tensor(device, {1, 1}, {15}), y), {.factor = -1}}}));
    EXPECT_EQ(weight.gradient().read(), (std::vector<Real>{1, 2}));
  }
}

TEST(Functions, name_the_shape_they_wanted) {
  const Device device = Device::cpu();
  const Tensor x(device, {2, 3});
  try {
    log_prob(Gaussian{}, x, x);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "log_prob: theta is [2,3], expected [2,6]");
  }
}

void expect_the_same_after_a_resume(const TrainingOptions& options) {
  const Device device = Device::cpu();
  const Dataset data = grey_images(70, 13);
  const ModelConfig config{.observed = 13, .hidden = {8}, .latent = 2};
  const auto weights = [](const Model& model) {
    std::vector<std::vector<Real>> all;
    for (const Parameter& p : model.parameters()) all.push_back(p.tensor.read());
    return all;
  };
  const auto function = [&](const Model& model) { return Trainer::terms_of(model, options); };
  Model straight(device, config, 4);
  Batches batches(device, data, 4);
  Trainer trainer(function(straight), straight.parameters(), batches, options);
  for (int e = 0; e < 3; ++e) trainer.epoch();

  Model first(device, config, 4);
  Batches first_batches(device, data, 4);
  Trainer before(function(first), first.parameters(), first_batches, options);
  before.epoch();
  before.epoch();
  Model second(device, config, 99);
  Batches second_batches(device, data, 4);
  Trainer after(function(second), second.parameters(), second_batches, options);
  const auto from = first.parameters(), to = second.parameters();
  for (std::size_t i = 0; i < from.size(); ++i) {
    to[i].tensor.write(from[i].tensor.read());
    after.optimizer().first_moment(i).write(before.optimizer().first_moment(i).read());
    after.optimizer().second_moment(i).write(before.optimizer().second_moment(i).read());
  }
  after.resume(before.epochs_done(), before.steps(), before.position(), before.totals());
  after.epoch();
  EXPECT_EQ(weights(straight), weights(second));
}

TEST(Training, is_the_same_to_the_bit_after_a_resume) {
  TrainingOptions options{.batch = 16, .epochs = 3, .rate = Constant{Real(1e-2)}, .seed = 4};
  expect_the_same_after_a_resume(options);
  options.free_bits = Real(0.2), options.beta = Cyclical{.value = 1, .period = 4};
  options.samples = 2;
  expect_the_same_after_a_resume(options);
  options = {.batch = 16, .epochs = 3, .bound = Bound::iwae, .samples = 3, .seed = 4};
  options.gradient = Gradient::dreg;
  expect_the_same_after_a_resume(options);
}

}  // namespace
}  // namespace elbo
