// A step whose operations are phases of one kernel that runs many steps.
#include <gtest/gtest.h>

#include "kernels/simt/executor.h"
#include "models/model.h"
#include "models/trainer.h"
#include "runtime/error.h"
#include "tests/host_products.h"
#include "tests/runtime/grey_images.h"
#include "tests/runtime/kernel_devices.h"

namespace elbo {
namespace {

struct Trained {
  std::vector<Real> numbers;  // all weights and moments, then the epochs' losses
  std::size_t launches = 0;
};

Trained train(const Device& device, const ModelConfig& config, TrainingOptions options, Tier tier,
              int rows = 85, int epochs = 2) {
  const Dataset data = grey_images(rows, config.observed);  // 85: 5 batches of 16 and one of 5
  Model model(device, config, 1);
  Batches batches(device, data, 3);
  options.batch = 16, options.tier = tier, options.plan = Program::Plan::unchained;
  options.rate = Constant{Real(1e-2)};
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  simt::clear_launches();
  Trained trained;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const Means means = trainer.epoch();
    for (const double mean : {means.elbo, means.log_likelihood, means.kl})
      trained.numbers.push_back(Real(mean));
  }
  trained.launches = simt::launches().size();
  for (const Parameter& p : model.parameters())
    for (const Real x : p.tensor.read()) trained.numbers.push_back(x);
  const Optimizer& optimizer = trainer.optimizer();
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i)
    if (optimizer.parameters()[i].trained)
      for (const Tensor& moment : {optimizer.first_moment(i), optimizer.second_moment(i)})
        for (const Real x : moment.read()) trained.numbers.push_back(x);
  return trained;
}

struct Named {
  const char* name;
  ModelConfig config;
  TrainingOptions options{};
};
std::vector<Named> kinds() {
  const ModelConfig vae{.observed = 33, .hidden = {37}, .latent = 5};
  const auto with = [&](auto change) {
    ModelConfig config = vae;
    change(config);
    return config;
  };
  return {
      {"bernoulli", vae},
      {"deep tanh", with([](auto& c) {
         c.hidden = {19, 11}, c.activation = "tanh";
       })},
      {"without hidden layers", with([](auto& c) { c.hidden = {}; })},
      {"autoencoder", with([](auto& c) { c.model = "ae", c.likelihood = "gaussian"; })},
      {"variance of a feature",
       with([](auto& c) { c.likelihood = "gaussian", c.sigma = "feature"; })},
      {"variance of a datum", with([](auto& c) { c.likelihood = "gaussian", c.sigma = "datum"; })},
      {"batch norm and dropout", with([](auto& c) { c.norm = "batch", c.dropout = Real(0.2); })},
      {"layer norm", with([](auto& c) { c.norm = "layer"; })},
      {"importance weighted", vae, {.bound = Bound::iwae, .samples = 3}},
      {"free bits", vae, {.free_bits = Real(0.1)}},
  };
}

/// Runs `body` with several numbers of blocks of the grid, and with one cluster.
void each_size(const std::function<void(Tier, const std::string&)>& body) {
  const simt::Configuration before = simt::configuration();
  for (const unsigned blocks : {1u, 4u, 5u}) {  // of a GPU as many as it holds
    simt::configuration().at_once = simt::configuration().cluster = blocks;
    for (const Tier tier : {Tier::persistent, Tier::cluster})
      if (tier == Tier::persistent || blocks == 4)
        body(tier,
             std::to_string(blocks) + " blocks" + (tier == Tier::cluster ? " of a cluster" : ""));
  }
  simt::configuration() = before;
}

/// Not every GPU has clusters.
bool can(const Device& device, Tier tier) {
  try {
    train(device, {.observed = 7, .hidden = {5}, .latent = 2}, {}, tier);
    return true;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no clusters"), std::string::npos) << error.what();
    return false;
  }
}

TEST(Persistent, trains_to_the_bits_of_the_graph_whatever_the_grid) {
  for (const Precision precision : {Precision::fp32, Precision::tf32})
    for (const Named& kind : kinds()) {
      for (const Device& device : kernel_devices(precision)) {
        SCOPED_TRACE(std::string(kind.name) + ", precision " + std::to_string(int(precision)) +
                     " on " + device.name());
        const bool counted = device.name() == "simt";
        const Trained graph = train(device, kind.config, kind.options, Tier::graph);
        if (counted) {
          EXPECT_GE(graph.launches, 2 * 6 * 5u);
        }
        each_size([&](Tier tier, const std::string& which) {
          if (!counted && !can(device, tier)) return;
          const Trained one = train(device, kind.config, kind.options, tier);
          EXPECT_EQ(one.numbers, graph.numbers) << which;
          // Two epochs, each one launch of whole batches, one of the rest.
          if (counted) {
            EXPECT_EQ(one.launches, 4u);
          }
        });
      }
    }
}

TEST(Persistent, is_one_of_the_ways_that_an_automatic_step_tries) {
  const ModelConfig config{.observed = 7, .hidden = {5}, .latent = 2};
  const int steps = Step::steps_a_trial + 3, rows = 16 * steps, epochs = 7;  // a trial an epoch
  for (const Device& device : kernel_devices(Precision::fp32)) {
    SCOPED_TRACE(device.name());
    const auto trained = [&](Tier tier) { return train(device, config, {}, tier, rows, epochs); };
    const Trained graph = trained(Tier::graph), automatic = trained(Tier::automatic);
    EXPECT_EQ(automatic.numbers, graph.numbers);
    if (device.name() != "simt") continue;
    // Four trials are two launches of the kernel each; two, and the 3 steps behind all but the
    // last, are launched as a graph is.  Then the way is found.
    const std::size_t each = graph.launches / std::size_t(epochs * steps);
    const std::size_t trying = 4 * 2 + each * std::size_t(2 * Step::steps_a_trial + 5 * 3);
    EXPECT_TRUE(automatic.launches == trying + 2 ||
                automatic.launches == trying + each * std::size_t(3 + steps))
        << automatic.launches << " launches, " << trying << " of them to try";
  }
}

TEST(Persistent, is_refused_where_it_cannot_be) {
  const auto refused = [](const Device& device, TrainingOptions options,
                          Tier tier = Tier::persistent) {
    options.batch = 16, options.tier = tier;
    const Dataset data = grey_images(16, 13);
    Vae vae(device, {.observed = 13, .hidden = {11}, .latent = 3});
    Batches batches(device, data, 1);
    try {
      Trainer(vae, batches, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string why = "` cannot be a phase of one persistent kernel on ";
  EXPECT_NE(refused(Device::cpu(), {}).find("step: `gather, product [16,13] x [13,11]"),
            std::string::npos);
  EXPECT_NE(refused(Device::cpu(), {}).find(why + "cpu"), std::string::npos);
  EXPECT_NE(refused(Device::simt(), {.clip = 1}).find(why + "simt"), std::string::npos);
  if (sizeof(Real) == 4) {  // a double knows no bf16
    EXPECT_NE(refused(Device::simt(Precision::bf16), {}).find(why + "simt"), std::string::npos);
  }
  EXPECT_EQ(refused(Device::simt(), {}), "");
  EXPECT_NE(refused(Device::cpu(), {}, Tier::cluster).find(why + "cpu"), std::string::npos);
  EXPECT_NE(refused(Device::simt(), {.clip = 1}, Tier::cluster).find(why + "simt"),
            std::string::npos);
  EXPECT_EQ(refused(Device::simt(), {}, Tier::cluster), "");
  simt::configuration().cluster = 0;  // as sm_80
  EXPECT_NE(refused(Device::simt(), {}, Tier::cluster).find("step: simt has no clusters of thread"),
            std::string::npos);
  EXPECT_EQ(refused(Device::simt(), {}, Tier::persistent), "");
  simt::configuration().cluster = 8;

  const auto library = std::make_shared<test::HostProducts>(Precision::fp32, 4);
  EXPECT_NE(refused(Device::simt(Precision::fp32, library), {}).find(why + "simt"),
            std::string::npos);
  for (const int calls : library->calls) EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace elbo
