// Normalisation, dropout and rates as functions and layers: PyTorch's numbers, names and errors.
#include "nn/layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "nn/optimizer.h"
#include "nn/safetensors.h"
#include "runtime/step.h"
#include "tests/data/temporary_folder.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

using Json = nlohmann::json;
using Plan = Program::Plan;

const Json& golden() {
  static const Json json = [] {
    std::ifstream file(ELBO_SOURCE_DIR "/tests/golden/layers.json");
    return Json::parse(file);
  }();
  return json;
}

std::vector<Real> values(const Json& tensor) {
  return tensor.at("values").get<std::vector<Real>>();
}
/// One with a single dimension is a row.
Tensor tensor(const Device& device, const Json& json) {
  const auto shape = json.at("shape").get<std::vector<int>>();
  return Tensor(device, shape.size() == 1 ? Shape{1, shape[0]} : Shape{shape[0], shape[1]},
                values(json));
}

/// A normalised entry is some ten roundings away from x, which has a mean of up to five deviations;
/// a gradient goes that way twice.  Where a column has two rows, their distance is what is divided
/// by: that is at least 1/8 here.
void expect_near(const Tensor& got, const Json& wanted, const char* what) {
  const auto there = values(wanted), here = got.read();
  ASSERT_EQ(here.size(), there.size()) << what;
  double most = 1;
  for (const Real v : there) most = std::max(most, std::abs(double(v)));
  for (std::size_t i = 0; i < here.size(); ++i)
    EXPECT_NEAR(here[i], there[i], 8 * tolerance::sum(100, most)) << what << ", number " << i;
}

Tensor half_square(const Tensor& y, const Tensor& target) {
  return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
}

void on_every_device(const std::function<void(const Device&, Plan)>& body) {
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (const Plan plan : {Plan::fused, Plan::composed}) {
      SCOPED_TRACE(device.name() + (plan == Plan::fused ? ", fused" : ", composed"));
      body(device, plan);
    }
}

/// Runs f(x) of one step of the file and compares y and the gradients.
void check_step(const Device& device, Plan plan, const Json& json, const Tensor& weight,
                const Tensor& bias, const std::function<Tensor(const Tensor&)>& f) {
  Tensor x = tensor(device, json.at("x")), y;
  x.track();
  const Tensor target = tensor(device, json.at("target"));
  Step step(
      device,
      [&] {
        y = f(x);
        backward(half_square(y, target));
      },
      plan);
  step();
  expect_near(y, json.at("y"), "y");
  expect_near(x.gradient(), json.at("dx"), "dx");
  expect_near(weight.gradient(), json.at("dweight"), "dweight");
  expect_near(bias.gradient(), json.at("dbias"), "dbias");
  weight.drop_gradient(), bias.drop_gradient();
}

TEST(BatchNorm, agrees_with_pytorch_in_two_steps_and_in_evaluation) {
  on_every_device([](const Device& device, Plan plan) {
    for (const Json& c : golden().at("batch_norm")) {
      const auto weight = values(c.at("weight"));
      BatchNorm norm(device, int(weight.size()), c.at("eps"), c.at("momentum"));
      norm.weight.write(weight), norm.bias.write(values(c.at("bias")));
      const Activation activation = activation_named(c.at("activation"));
      const auto in = [&](bool training) {
        return
            [&, training](const Tensor& x) { return norm(x, {.training = training}, activation); };
      };
      for (const Json& json : c.at("steps")) {
        check_step(device, plan, json, norm.weight, norm.bias, in(true));
        expect_near(norm.running_mean, json.at("running_mean"), "running mean");
        expect_near(norm.running_variance, json.at("running_var"), "running variance");
      }
      const auto mean = norm.running_mean.read();
      check_step(device, plan, c.at("evaluation"), norm.weight, norm.bias, in(false));
      EXPECT_EQ(norm.running_mean.read(), mean);
    }
  });
}

TEST(LayerNorm, agrees_with_pytorch) {
  on_every_device([](const Device& device, Plan plan) {
    for (const Json& c : golden().at("layer_norm")) {
      const auto weight = values(c.at("weight"));
      LayerNorm norm(device, int(weight.size()), c.at("eps"));
      norm.weight.write(weight), norm.bias.write(values(c.at("bias")));
      check_step(device, plan, c, norm.weight, norm.bias,
                 [&](const Tensor& x) { return norm(x, activation_named(c.at("activation"))); });
    }
  });
}

TEST(LibraryRates, agree_with_pytorchs_log_softmax) {
  on_every_device([](const Device& device, Plan plan) {
    for (const Json& c : golden().at("rates")) {
      Tensor a = tensor(device, c.at("a")), y;
      a.track();
      const Tensor size = tensor(device, c.at("log_library")),
                   target = tensor(device, c.at("target"));
      Step step(
          device,
          [&] {
            y = library_rates(a, 1, size);
            backward(half_square(y, target));
          },
          plan);
      step();
      expect_near(y, c.at("y"), "y");
      expect_near(a.gradient(), c.at("da"), "da");
    }
  });
}

TEST(SizeFactorRates, cost_no_operation_in_the_backward_pass) {
  const Device device = Device::cpu();
  Tensor weight(device, {6, 3});
  weight.track();
  const Tensor size(device, {4, 1}), x(device, {4, 6}), h(device, {4, 3}), bias(device, {1, 6});
  const Step step(device, [&] {
    const Tensor theta = dense(Identity{}, h, weight, bias);
    backward(objective({{log_prob(FixedGaussian{1}, x, size_factor_rates(theta, 1, size)), {}}}));
  });
  // The product, the rates, their likelihood, the objective and the weight's gradient.
  EXPECT_EQ(step.program().operations.size(), 5u) << step.program().describe();
}

TEST(Layers, name_the_shape_they_wanted) {
  const Device device = Device::cpu();
  const Tensor x(device, {2, 3}), row(device, {1, 3}), wide(device, {1, 4}), one(device, {1, 3});
  Tensor tracked(device, {2, 1});
  tracked.track();
  const auto expect = [](const std::string& message, const std::function<void()>& call) {
    EXPECT_EQ(test::error_of(call), message);
  };
  expect("batch_norm: gamma is [1,4], expected [1,3] as x is [2,3]",
         [&] { batch_norm(x, wide, row, row, row, true); });
  expect("batch_norm: running_variance is [1,4], expected [1,3] as x is [2,3]",
         [&] { batch_norm(x, row, row, row, wide, false); });
  expect("batch_norm: x is [1,3], expected at least 2 rows in training: one has no variance",
         [&] { batch_norm(one, row, row, row, row, true); });
  EXPECT_EQ(batch_norm(one, row, row, row, row, false).read(), std::vector<Real>(3));
  expect("layer_norm: beta is [1,4], expected [1,3] as x is [2,3]",
         [&] { layer_norm(x, row, wide); });
  expect("library_rates: theta is [2,3], expected whole scalars of 2 columns",
         [&] { library_rates(x, 2, tracked); });
  expect(
      "library_rates: the logarithm of the size is [1,3], expected [2,1], or one row for each so "
      "many "
      "of theta",
      [&] { library_rates(x, 1, row); });
  expect("size_factor_rates: the size is tracked, but it has no gradient",
         [&] { size_factor_rates(x, 3, tracked); });
  expect("log_totals: x is tracked, but this function has no gradient",
         [&] { log_totals(tracked); });
  expect("transform: x is tracked, but data have no gradient",
         [&] { transform(tracked, Log1p{}); });
  expect("transform: 0 classes, expected at least 1", [&] { transform(x, OneHot{0}); });
  expect("dropout: the probability is 1, expected at least 0 and less than 1",
         [&] { dropout_mask(1, {}); });
  expect("dropout: layer 256, expected 0 to 255", [&] { dropout_mask(0.1, {}, 256); });
  Initialiser initialiser(1);
  expect("Mlp: the dropout probability is -0.5, expected at least 0 and less than 1",
         [&] { Mlp(device, 3, {2}, 1, 1, Relu{}, initialiser, {.dropout = -0.5}); });
}

TEST(Dropout, of_a_datum_does_not_depend_on_the_batch_it_is_in) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const std::vector<Real> ones(8 * 50, 1);
    const auto rows_from = [&](std::uint32_t position, int rows) {
      const Progress progress(device);
      progress.write({.step = 0, .epoch = 3, .position = position});
      const Noise noise{.seed = 9, .batch = {.state = progress.state()}};
      return dropout(Tensor(device, {rows, 50}, {ones.begin(), ones.begin() + 50 * rows}),
                     dropout_mask(0.5, noise, 2))
          .read();
    };
    const auto all = rows_from(0, 8), last = rows_from(5, 3);
    EXPECT_EQ(std::vector(all.begin() + 5 * 50, all.end()), last);
    for (const Real v : all) EXPECT_TRUE(v == 0 || v == 2) << v;
  }
}

TEST(Dropout, differs_between_layers_samples_and_from_the_latents_noise) {
  const Noise noise{.seed = 9};
  const auto kept = [&](const Noise& noise, int layer) {
    const DropoutMask mask = dropout_mask(0.5, noise, layer);
    std::vector<bool> all;
    for (int i = 0; i < 400; ++i) all.push_back(mask.row(i / 40).factor(i % 40) > 0);
    return all;
  };
  EXPECT_EQ(kept(noise, 0), kept(noise, 0));
  EXPECT_NE(kept(noise, 0), kept(noise, 1));
  EXPECT_NE(kept(noise, 0), kept({.seed = 9, .first_sample = 1}, 0));
  EXPECT_EQ(kept({.seed = 9, .stream = 3}, 0), kept(noise, 0)) << "its stream is its own";
}

HiddenOptions hidden(HiddenOptions::Norm norm, double dropout) {
  return {.norm = norm, .dropout = dropout};
}
using Norm = HiddenOptions::Norm;

std::vector<std::string> names_of(Mlp& mlp) {
  std::vector<std::string> names;
  for (const Parameter& p : parameters(mlp)) names.push_back(p.name);
  return names;
}

TEST(Mlp, names_its_norms_as_a_pytorch_loader_looks_for_them) {
  const Device device = Device::cpu();
  Initialiser initialiser(1);
  Mlp batch(device, 3, {4, 2}, 1, 2, Relu{}, initialiser, hidden(Norm::batch, 0.1));
  EXPECT_EQ(names_of(batch),
            (std::vector<std::string>{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                      "layers.1.bias", "layers.2.weight", "layers.2.bias",
                                      "norms.0.weight", "norms.0.bias", "norms.0.running_mean",
                                      "norms.0.running_var", "norms.1.weight", "norms.1.bias",
                                      "norms.1.running_mean", "norms.1.running_var"}));
  for (const Parameter& p : parameters(batch)) {
    const bool buffer = p.name.find("running") != std::string::npos;
    EXPECT_EQ(p.trained, !buffer) << p.name;
    const bool norm = p.name.starts_with("norms");
    EXPECT_EQ(to_file(p).shape.size(), norm || p.name.ends_with("bias") ? 1u : 2u) << p.name;
  }
  Mlp layer(device, 3, {4}, 1, 1, Relu{}, initialiser, hidden(Norm::layer, 0));
  EXPECT_EQ(names_of(layer),
            (std::vector<std::string>{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                      "layers.1.bias", "norms.0.weight", "norms.0.bias"}));
}

TEST(Mlp, is_read_from_a_file_with_its_running_estimates) {
  const test::TemporaryFolder folder;
  const Device device = Device::cpu();
  Initialiser initialiser(1);
  Mlp saved(device, 3, {1}, 1, 1, Relu{}, initialiser, hidden(Norm::batch, 0)),
      read(device, 3, {1}, 1, 1, Relu{}, initialiser, hidden(Norm::batch, 0));
  saved.batch_norms[0].running_mean.write({7});
  SafeTensors file;
  for (const Parameter& p : parameters(saved)) file.arrays[p.name] = to_file(p);
  write_safetensors(folder / "mlp.safetensors", file);
  const SafeTensors there = read_safetensors(folder / "mlp.safetensors");
  for (const Parameter& p : parameters(read)) from_file(there, p, "here");
  EXPECT_EQ(read.batch_norms[0].running_mean.item(), 7);
  EXPECT_EQ(read.layers[0].weight.read(), saved.layers[0].weight.read());
}

TEST(Mlp, without_norm_and_dropout_records_dense_layers_alone) {
  const Device device = Device::cpu();
  Initialiser initialiser(1);
  const Mlp mlp(device, 3, {4, 2}, 1, 1, Relu{}, initialiser);
  const Tensor x(device, {5, 3});
  Tensor y;
  const Step step(device, [&] { y = mlp(x, {.training = true}); }, Program::Plan::unchained);
  EXPECT_EQ(step.program().operations.size(), 3u) << step.program().describe();
}

TEST(Mlp, with_norm_activation_and_dropout_adds_one_operation_a_layer) {
  const Device device = Device::cpu();
  const int deep = NarrowProduct::most + 1;  // what is not as deep, a norm works out itself
  const Tensor x(device, {5, deep});
  for (const Norm norm : {Norm::batch, Norm::layer, Norm::none}) {
    Initialiser initialiser(1);
    const Mlp mlp(device, deep, {deep, 2}, 1, 1, Relu{}, initialiser, hidden(norm, 0.2));
    Tensor y;
    const auto plan = Program::Plan::unchained;
    const Step training(device, [&] { y = mlp(x, {.training = true}); }, plan);
    EXPECT_EQ(training.program().operations.size(), 5u) << training.program().describe();
    const Step evaluation(device, [&] { y = mlp(x); }, plan);
    EXPECT_EQ(evaluation.program().operations.size(), norm == Norm::none ? 3u : 5u)
        << evaluation.program().describe();
  }
}

TEST(Mlp, learns_through_norm_and_dropout_and_evaluates_by_what_it_has_seen) {
  constexpr int rows = 64;
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (const Norm norm : {Norm::batch, Norm::layer}) {
      Initialiser initialiser(1);
      Mlp mlp(device, 2, {32}, 1, 1, Silu{}, initialiser,
              {.norm = norm, .dropout = 0.05, .epsilon = 1e-3, .momentum = 0.1});
      // A batch norm takes away what all data share; of a row, the next layer would see nothing
      // else.
      const Real shift = norm == Norm::batch ? 100 : 0;
      std::vector<Real> inputs, targets;
      for (int r = 0; r < rows; ++r) {
        const Philox u = Philox::at(std::uint32_t(r), 0, 0, 0, 3);
        inputs.push_back(shift + 10 * u.normal(0)), inputs.push_back(u.normal(1));
        targets.push_back((inputs[2 * r] - shift) / 10 * inputs[2 * r + 1]);
      }
      const Tensor x(device, {rows, 2}, inputs), target(device, {rows, 1}, targets);
      const Progress progress(device);
      Optimizer optimizer(parameters(mlp), Adam{}, Constant{Real(0.02)}, progress);
      Step step(device, [&] {
        const Noise noise{.seed = 1, .batch = {.state = progress.state()}};
        backward(half_square(mlp(x, {.training = true, .noise = noise}), target));
        optimizer.step();
        advance(device, progress, rows);
      });
      const auto error = [&] {
        const auto y = mlp(x).read();
        double sum = 0;
        for (int r = 0; r < rows; ++r) sum += square(double(y[r]) - targets[r]) / rows;
        return sum;
      };
      for (int i = 0; i < 300; ++i) step();
      // The targets have a variance near 1; a product of two inputs needs what is hidden.
      EXPECT_LT(error(), 0.25) << device.name();
      EXPECT_EQ(mlp(x).read(), mlp(x).read());
    }
}

TEST(Optimizer, leaves_buffers_alone_and_keeps_no_moments_of_them) {
  const Device device = Device::cpu();
  const Progress progress(device);
  BatchNorm norm(device, 2);
  const Tensor x(device, {3, 2}, {1, 2, 3, 4, 5, 7});
  Optimizer optimizer(parameters(norm), Adam{.decoupled_decay = 0.5}, Constant{Real(0.1)},
                      progress);
  Step step(device, [&] {
    backward(half_square(norm(x, {.training = true}), x));
    optimizer.step();
  });
  step();
  const auto mean = norm.running_mean.read();
  EXPECT_NEAR(mean[0], 0.3, tolerance::formula(4, 0.3));
  EXPECT_NE(norm.weight.read(), std::vector<Real>(2, 1));
  ASSERT_EQ(optimizer.parameters().size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(bool(optimizer.first_moment(i)), optimizer.parameters()[i].trained);
}

}  // namespace
}  // namespace elbo
