// Every fused kernel against its composed definition, in whole steps of odd sizes, and how many
// launches the steps of the benchmarks take.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/executor.h"
#include "models/trainer.h"
#include "tests/host_products.h"
#include "tests/runtime/grey_images.h"
#include "tests/runtime/kernel_devices.h"

namespace elbo {
namespace {

/// Counts, an eighth of them not 0: few enough for a device that goes through lists of those.
Dataset counts(long rows, int columns) {
  Dataset data = grey_images(rows, columns);
  data.scale = 1;
  for (std::uint8_t& byte : data.bytes) byte = byte < 220 ? 0 : std::uint8_t(byte % 7);
  return data;
}

/// The same as floats, one in fifty of them missing.
Dataset with_gaps(const Dataset& dense) {
  Dataset data = dense;
  data.type = Dataset::Type::f32;
  for (std::size_t i = 0; i < data.bytes.size(); ++i)
    data.floats.push_back(i % 50 == 7 ? std::numeric_limits<float>::quiet_NaN()
                                      : float(data.bytes[i]));
  data.bytes.clear();
  return data;
}

/// The same in compressed sparse rows.
Dataset listed(const Dataset& dense) {
  Dataset data = dense;
  data.type = Dataset::Type::csr;
  data.bytes.clear();
  data.starts = {0};
  for (long r = 0; r < data.rows; ++r) {
    for (int c = 0; c < data.columns; ++c)
      if (dense.value(r, c) != 0)
        data.indices.push_back(std::uint32_t(c)), data.floats.push_back(dense.value(r, c));
    data.starts.push_back(data.indices.size());
  }
  return data;
}

struct Kind {
  const char* name;
  ModelConfig config;
  Bound bound = Bound::elbo;
  int samples = 1;
  std::optional<Corruption> corruption{};
  bool conditional = false;
};
ModelConfig scvi(const char* likelihood) {
  return {.hidden = {32},
          .latent = 4,
          .norm = "batch",
          .dropout = 0.1,
          .likelihood = likelihood,
          .rates = "library"};
}
std::vector<Kind> kinds() {
  std::vector<Kind> all = {
      {"vae", {.hidden = {40}, .latent = 3}},
      {"wide vae", {.hidden = {260}, .latent = 20, .activation = "gelu"}},
      {"deep vae", {.hidden = {33, 20}, .latent = 5, .activation = "tanh"}},
      {"deep vae of many latents", {.hidden = {33, 20}, .latent = 60, .activation = "tanh"}},
      {"autoencoder", {.model = "ae", .hidden = {40}, .latent = 3, .likelihood = "gaussian"}},
      {"gaussian", {.hidden = {40}, .latent = 3, .likelihood = "gaussian", .sigma = "feature"}},
      {"importance weighted", {.hidden = {33, 20}, .latent = 5}, Bound::iwae, 3},
      {"weighted, normalised", {.hidden = {33}, .latent = 5, .norm = "layer"}, Bound::iwae, 2},
      {"negative binomial", scvi("negative_binomial")},
      {"zinb", scvi("zinb")},
      {"poisson", scvi("poisson")},
      {"weighted counts", scvi("zinb"), Bound::iwae, 3},
      {.name = "denoising",
       .config = {.hidden = {40}, .latent = 3, .input = "indicated"},
       .corruption = Corruption{Corruption::Kind::mask, Real(0.3)}},
      {.name = "conditional",
       .config = {.hidden = {40}, .latent = 3},
       .samples = 2,
       .conditional = true},
      {.name = "conditional, weighted",
       .config = {.hidden = {33, 20}, .latent = 5},
       .bound = Bound::iwae,
       .samples = 3,
       .corruption = Corruption{Corruption::Kind::salt, Real(0.2)},
       .conditional = true}};
  for (const int i : {8, 10}) all[std::size_t(i)].config.input = "log1p";
  all[8].config.dispersion = "datum";
  all[9].config.rates = "size";
  return all;
}

/// The means of a step, and all gradients: plain gradient descent keeps them as its first moment.
struct Outcome {
  std::vector<double> means;
  std::vector<std::vector<Real>> gradients;
  std::vector<std::string> names;
  std::vector<Operation> operations;
};
Outcome outcome(const Device& device, const Kind& kind, Dataset data, Program::Plan plan) {
  ModelConfig config = kind.config;
  if (kind.conditional) {
    for (long r = 0; r < data.rows; ++r) data.labels.push_back(int(r % 3));
    config.conditions = {{"label", {"0", "1", "2"}}};
    give(data, config.conditions);
  }
  config.observed = data.columns, config.total = 100;
  Model model(device, config, 1);
  Batches batches(device, data, 3);
  const TrainingOptions options{.batch = int(data.rows),
                                .bound = kind.bound,
                                .samples = kind.samples,
                                .corruption = kind.corruption,
                                .rule = Sgd{},
                                .tier = Tier::graph,
                                .plan = plan};
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  const Means means = trainer.epoch();
  Outcome all{{means.log_likelihood, means.kl, means.bound.value_or(0)}, {}, {}, trainer.program().operations};
  for (std::size_t i = 0; i < model.parameters().size(); ++i)
    if (model.parameters()[i].trained) {
      all.gradients.push_back(trainer.optimizer().first_moment(i).read());
      all.names.push_back(model.parameters()[i].name);
    }
  return all;
}

/// Rounding reaches a gradient through a few sums of up to 1000 numbers and a few layers, each of
/// which may magnify it by their condition: √ε of the largest gradient leaves a factor of 3000 for
/// that, and is far below what a term that is missing or counted twice would change.
void expect_alike(const Outcome& fused, const Outcome& composed) {
  const double allowed = std::sqrt(std::numeric_limits<Real>::epsilon());
  for (std::size_t i = 0; i < fused.means.size(); ++i)
    EXPECT_NEAR(fused.means[i], composed.means[i],
                allowed * std::max(1.0, std::abs(composed.means[i])));
  ASSERT_EQ(fused.gradients.size(), composed.gradients.size());
  double largest = 0;  // of all: the gradient of a bias before a batch norm is 0 but for rounding
  for (const auto& gradient : composed.gradients)
    for (const Real g : gradient) largest = std::max(largest, std::abs(double(g)));
  EXPECT_GT(largest, 0);
  for (std::size_t p = 0; p < fused.gradients.size(); ++p)
    for (std::size_t i = 0; i < fused.gradients[p].size(); ++i)
      ASSERT_NEAR(fused.gradients[p][i], composed.gradients[p][i], allowed * largest)
          << fused.names[p] << ' ' << i;
}

TEST(Fusions, change_no_gradient_in_odd_sizes) {
  std::vector<Device> devices = kernel_devices();
  devices.push_back(Device::cpu());
  for (const Device& device : devices)
    for (const Kind& kind : kinds())
      for (const int batch : {1, 37, 301})
        for (const int features : {1, 33, 785}) {
          if (batch == 1 && kind.config.norm == "batch") continue;  // has no variance
          // A row's softmax over one gene is 1 whatever its logarithm: no gradient.
          if (features == 1 && kind.config.rates == "library") continue;
          // The largest sizes of the deepest models add minutes and no edge.
          if (batch * features * kind.samples * kind.config.latent > 301 * 785 * 20) continue;
          SCOPED_TRACE(testing::Message() << kind.name << " " << batch << " x " << features
                                          << " on " << device.name());
          const bool of_counts = kind.config.rates != "plain";
          const Dataset data = of_counts ? counts(batch, features) : grey_images(batch, features);
          const Outcome composed = outcome(device, kind, data, Program::Plan::composed);
          expect_alike(outcome(device, kind, data, Program::Plan::fused), composed);
          if (!of_counts) continue;
          expect_alike(outcome(device, kind, listed(data), Program::Plan::fused), composed);
          if (features < 33) continue;  // or a datum may have nothing
          const Dataset gaps = with_gaps(data);
          expect_alike(outcome(device, kind, gaps, Program::Plan::fused),
                       outcome(device, kind, gaps, Program::Plan::composed));
        }
}

TEST(Fusions, leave_the_gradients_as_they_are_where_a_library_multiplies) {
  for (const Kind& kind : kinds()) {
    const Dataset data = kind.config.rates != "plain" ? counts(37, 33) : grey_images(37, 33);
    const Outcome ours = outcome(Device::simt(), kind, data, Program::Plan::fused);
    for (const int smallest : {2, 30})
      for (const Program::Plan plan :
           {Program::Plan::fused, Program::Plan::unchained, Program::Plan::composed}) {
        SCOPED_TRACE(testing::Message()
                     << kind.name << ", sides from " << smallest << ", plan " << int(plan));
        const auto library = std::make_shared<test::HostProducts>(Precision::fp32, smallest);
        const Device device = Device::simt(Precision::fp32, library);
        expect_alike(outcome(device, kind, data, plan), ours);
        using Form = LargeProducts::Form;
        for (const Form form : {Form::abt, Form::ab, Form::atb})
          if (smallest == 2 && plan != Program::Plan::fused) {
            EXPECT_GT(library->calls[int(form)], 0) << int(form);
          }
        EXPECT_GT(library->calls[int(Form::atb)], 0);
      }
  }
}

TEST(Fusions, change_no_gradient_in_very_long_rows) {
  std::vector<Device> devices = kernel_devices();
  devices.push_back(Device::cpu());
  for (const Device& device : devices)
    for (const Kind& kind : kinds())
      if (kind.config.rates != "plain") {
        SCOPED_TRACE(testing::Message() << kind.name << " on " << device.name());
        const Dataset data = counts(5, 4100);
        expect_alike(outcome(device, kind, data, Program::Plan::fused),
                     outcome(device, kind, data, Program::Plan::composed));
      }
}

// Where the decoder's last layer, the law and the way back share a pass over some rows at a time.
TEST(Fusions, change_no_gradient_of_counts_in_large_batches_on_the_cpu) {
  const Device device = Device::cpu();
  const int least = device.backend().ops().decodes_rates();
  ASSERT_GT(least, 0);
  for (const Kind& kind : kinds())
    if (kind.config.rates != "plain" && kind.samples == 1)
      for (const int batch : {least - 1, least + 5}) {
        SCOPED_TRACE(testing::Message() << kind.name << " " << batch);
        const Dataset data = counts(batch, 301);  // more than a norm works out beside itself
        const Outcome fused = outcome(device, kind, data, Program::Plan::fused);
        expect_alike(fused, outcome(device, kind, data, Program::Plan::composed));
        int together = 0;
        for (const Operation& operation : fused.operations)
          together += std::holds_alternative<DecodeRates>(operation);
        EXPECT_EQ(together, batch >= least);
      }
}

TEST(Fusions, read_data_of_both_types_to_the_same_bits) {
  for (const Precision precision : {Precision::fp32, Precision::tf32})
    for (const int features : {1, 33, 785}) {
      Dataset bytes = grey_images(37, features);
      bytes.scale = 1 / 256.f;  // exact, as is every byte times it
      Dataset floats = bytes;
      floats.type = Dataset::Type::f32, floats.scale = 1;
      floats.bytes.clear();
      for (const std::uint8_t byte : bytes.bytes) floats.floats.push_back(byte / 256.f);
      const Kind kind{"gaussian", {.hidden = {40}, .latent = 3, .likelihood = "gaussian"}};
      for (const Device& device : kernel_devices(precision)) {
        const Outcome a = outcome(device, kind, bytes, Program::Plan::fused),
                      b = outcome(device, kind, floats, Program::Plan::fused);
        EXPECT_EQ(a.means, b.means);
        EXPECT_EQ(a.gradients, b.gradients);
      }
    }
}

TEST(Fusions, launch_few_kernels_a_step_in_the_cases_of_the_benchmarks) {
  struct Case {
    int number, batch, observed, most;
    ModelConfig config;
    Bound bound = Bound::elbo;
    int samples = 1;
  };
  ModelConfig nb = scvi("negative_binomial"), zinb = scvi("zinb");
  nb.hidden = zinb.hidden = {128}, nb.latent = zinb.latent = 10;
  const ModelConfig deep{.hidden = {200, 200}, .latent = 50, .activation = "tanh"};
  // Fewer genes, data and draws than the benchmarks' suffice, as long as a row has as many tiles, and
  // the rows of a product are at most 512 as there, or more.
  for (const Case& c : std::vector<Case>{{1, 128, 784, 8, {.hidden = {400}, .latent = 20}},
                                         {3, 20, 784, 12, deep},
                                         {4, 20, 784, 12, deep, Bound::iwae, 26},
                                         {5, 128, 500, 12, nb},
                                         {6, 256, 500, 12, zinb},
                                         {7, 128, 2000, 12, nb}}) {
    const Device device = Device::simt(Precision::tf32);
    ModelConfig config = c.config;
    config.observed = c.observed, config.total = 100;
    const Dataset data =
        c.config.rates == "plain" ? grey_images(c.batch, c.observed) : counts(c.batch, c.observed);
    Model model(device, config, 1);
    Batches batches(device, data, 3);
    const TrainingOptions options{.batch = c.batch, .bound = c.bound, .samples = c.samples};
    Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
    simt::clear_launches();
    trainer.epoch();
    EXPECT_LE(simt::launches().size(), std::size_t(c.most)) << "case " << c.number << '\n'
                                                            << trainer.program().describe();
  }
}

}  // namespace
}  // namespace elbo
