// A linear autoencoder reaches what principal components give, which is known without training it.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <string>

#include "models/evaluation.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

/// Trains x ↦ A(Bx + b) + c with k units in the middle for the least squared error.
Model linear_autoencoder(const Dataset& data, Batches& batches, int k, int epochs, int batch,
                         std::uint64_t seed) {
  ModelConfig config;
  config.model = "ae", config.hidden = {}, config.activation = "identity";
  config.likelihood = "gaussian", config.sigma = "fixed:1";
  config.observed = data.columns, config.latent = k;
  Model model(batches.device(), config, seed);
  // At a quadratic-like optimum the fast rate travels and the cosine removes its noise; a memory of
  // 50 squared gradients instead of 1000 lets the rate follow their fall.
  const auto steps = std::uint64_t((data.rows + batch - 1) / batch * epochs);
  TrainingOptions options;
  options.batch = batch, options.epochs = epochs, options.seed = seed;
  options.rate = Cosine{Real(1e-2), steps};
  options.rule = Adam{.beta2 = 0.98};
  Trainer trainer([&](const Tensor& x, const Pass& pass) { return model(x, pass); },
                  model.parameters(), batches, options);
  for (int e = 0; e < epochs; ++e) trainer.epoch();
  return model;
}

/// The mean over data of Σ (x - x̂)²; the log-likelihood of σ = 1 is -½ (C log 2π + that).
double squared_error(const Model& model, Batches& batches) {
  const double constant = batches.columns() * std::log(2 * std::numbers::pi);
  return -2 * evaluate(model, batches, 0).log_likelihood - constant;
}
/// What rounding may take from that: a row's sum has one term a column.
double rounding(int columns, double error) {
  return 2 * tolerance::sum(columns, error / 2 + 0.92 * columns);
}

TEST(LinearAutoencoder, reaches_the_principal_components_of_random_data) {
  constexpr int rows = 2000, columns = 12;
  constexpr double deviations[5] = {3, 2, 1.5, 1, 0.5};  // of five directions in twelve dimensions
  // Numbers of Philox at a fixed seed: the same data everywhere.
  const auto normal = [](int i, std::uint32_t stream) {
    return double(Philox::at(std::uint32_t(i) / 4, 0, stream, 0, 17).normal(i % 4));
  };
  Eigen::MatrixXd factors(rows, 5), directions(columns, 5);
  for (int i = 0; i < rows * 5; ++i) factors(i / 5, i % 5) = normal(i, 0) * deviations[i % 5];
  for (int i = 0; i < columns * 5; ++i) directions(i / 5, i % 5) = normal(i, 1);
  directions = Eigen::HouseholderQR<Eigen::MatrixXd>(directions).householderQ() *
               Eigen::MatrixXd::Identity(columns, 5);
  const Eigen::RowVectorXd mean = Eigen::RowVectorXd::LinSpaced(columns, -2, 2);
  Eigen::MatrixXd x = factors * directions.transpose();
  x.rowwise() += mean;

  Dataset data;
  data.source = "five directions", data.rows = rows, data.columns = columns;
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) x(r, c) = data.floats.emplace_back(float(x(r, c)));
  const Eigen::MatrixXd centred = x.rowwise() - x.colwise().mean();
  const Eigen::VectorXd spectrum =
      Eigen::JacobiSVD<Eigen::MatrixXd>(centred).singularValues().array().square() / rows;

  for (const int k : {1, 2, 4}) {
    SCOPED_TRACE("k = " + std::to_string(k));
    Batches batches(Device::cpu(), data, 1);
    const Model model = linear_autoencoder(data, batches, k, 60, 50, 1);
    const double optimum = spectrum.tail(columns - k).sum();
    batches.in_order();
    const double error = squared_error(model, batches);
    EXPECT_GT(error, optimum - rounding(columns, error));
    EXPECT_LT(error, 1.005 * optimum);
    // The same from the reconstructions themselves.
    batches.in_order();
    const std::vector<float> images = reconstruct(model, batches);
    ASSERT_EQ(images.size(), std::size_t(rows) * columns);
    double sum = 0;
    for (int i = 0; i < rows * columns; ++i)
      sum += square(double(images[std::size_t(i)]) - x(i / columns, i % columns)) / rows;
    // They are floats: each (x - x̂)² changes by up to 2 |x - x̂| |x̂| 2⁻²⁴, and Cauchy-Schwarz.
    const double as_floats = 2 * 0x1p-24 * std::sqrt(sum * x.squaredNorm() / rows);
    EXPECT_NEAR(sum, error, rounding(columns, error) + as_floats);
  }
}

TEST(LinearAutoencoder, reaches_the_principal_components_of_mnist) {
  if (sizeof(Real) == 8) GTEST_SKIP() << "the float build shows it";
  const char* folder = std::getenv("ELBO_DATA");
  if (folder == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const Dataset data = read_dataset(std::string(folder) + "/mnist/train-images-idx3-ubyte.gz");
  // From the eigenvalues of the 60000 training images' covariance, of pixels / 255, in float64.
  constexpr struct {
    int k;
    double optimum;
  } known[] = {{2, 43.866919}, {10, 26.98732}, {50, 9.2455}};
  for (const auto& [k, optimum] : known) {
    SCOPED_TRACE("k = " + std::to_string(k));
    Batches batches(Device::cpu(), data, 0);
    const Model model = linear_autoencoder(data, batches, k, 6, 200, 0);
    batches.in_order();
    const double error = squared_error(model, batches);
    RecordProperty("squared_error_" + std::to_string(k), std::to_string(error));
    EXPECT_GT(error, optimum - rounding(data.columns, error));
    EXPECT_LT(error, 1.005 * optimum);
  }
}

}  // namespace
}  // namespace elbo
