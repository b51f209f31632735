// Cells whose place in the cycle is known, held against what one latent makes of their counts.
#include "data/cell_cycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "models/evaluation.h"
#include "models/trainer.h"

namespace elbo {
namespace {

std::vector<double> ranks(const std::vector<float>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = double(i);
  return rank;
}

/// Spearman's, of numbers without ties.
double rho(const std::vector<float>& a, const std::vector<float>& b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
  const double n = double(x.size());
  return 1 - 6 * squares / (n * (n * n - 1));
}

TEST(CellCycle, is_found_again_by_one_latent_unit_that_knows_nothing_of_the_library) {
  const Dataset data = simulate_cell_cycle(2000, 0);
  ModelConfig config{.observed = data.columns, .hidden = {32}, .latent = 1};
  config.likelihood = "negative_binomial", config.rates = "library";
  config.total = 600;
  const Model model(Device::cpu(), config, 0);
  Batches batches(model.device(), data, 0);
  TrainingOptions options{.batch = 50, .epochs = 40, .rate = Constant{Real(3e-3)}};
  // The ELBO of one draw folds the line onto itself for some seeds; the bound of five does not.
  options.bound = Bound::iwae, options.samples = 5;
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  for (int e = 0; e < options.epochs; ++e) trainer.epoch();

  std::vector<float> z = encode(model, batches, 0).mean;
  const double with_phase = rho(z, data.annotations[0].values);
  EXPECT_GE(std::fabs(with_phase), 0.94);
  EXPECT_LE(std::fabs(rho(z, data.annotations[1].values)), 0.05);

  // Phases are uniform: the quantiles of z are those of the cycle.
  std::sort(z.begin(), z.end());
  if (with_phase < 0) std::reverse(z.begin(), z.end());
  const std::vector<float> x = model.mean(decode(model, {z[800], z[1800]}));
  const auto change = [&](std::size_t g) {
    return std::log2(x[g + data.column_names.size()] / x[g]);
  };
  const auto index = [&](const std::string& name) {
    return std::size_t(std::find(data.column_names.begin(), data.column_names.end(), name) -
                       data.column_names.begin());
  };
  for (std::size_t g = index("PCNA"); g < index("CDK1"); ++g)
    EXPECT_LT(change(g), -1) << data.column_names[g];
  for (std::size_t g = index("CDK1"); g < index("ACTB"); ++g)
    EXPECT_GT(change(g), 1) << data.column_names[g];
}

}  // namespace
}  // namespace elbo
