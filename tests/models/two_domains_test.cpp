// Two views of the same latents: the model's parts against each other, and a linear model against
// what normal distributions say exactly.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/domains.h"
#include "models/evaluation.h"
#include "tests/models/linear_vae.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Dataset dataset(const Eigen::MatrixXd& x) {
  Dataset data;
  data.source = "test", data.rows = x.rows(), data.columns = int(x.cols());
  for (long r = 0; r < x.rows(); ++r)
    for (long c = 0; c < x.cols(); ++c) data.floats.push_back(float(x(r, c)));
  return data;
}

/// x_A = A z + m_A + 0.6 ε in four dimensions, x_B = B z + m_B + 0.5 ε in three, z in two.
///
/// The columns of A are orthogonal, and those of B: then posteriors have diagonal covariances,
/// which is what the model can say, and its best is exact.
struct TwoViews {
  Eigen::Matrix<double, 4, 2> a;
  Eigen::Matrix<double, 3, 2> b;
  Eigen::Vector4d mean_a{0.3, -1, 0.5, 0};
  Eigen::Vector3d mean_b{1, 0, -0.4};
  double sigma_a = 0.6, sigma_b = 0.5;

  TwoViews() {
    a << 0.8, 0.4, -0.4, 0.8, 0.8, -0.4, 0.4, 0.8;
    b << 1.2, 0, 0, 0.7, 0, -0.7;
  }
  Eigen::MatrixXd drawn(long rows, std::uint64_t seed) const {
    Eigen::MatrixXd x(rows, 7);
    for (long r = 0; r < rows; ++r) {
      const auto normal = [&](int i) {
        return double(Philox::at(std::uint32_t(i) / 4, std::uint32_t(r), 0, 0, seed).normal(i % 4));
      };
      const Eigen::Vector2d z(normal(0), normal(1));
      Eigen::VectorXd noise(7);
      for (int i = 0; i < 7; ++i) noise[i] = normal(2 + i);
      x.row(r) << (a * z + mean_a + sigma_a * noise.head(4)).transpose(),
          (b * z + mean_b + sigma_b * noise.tail(3)).transpose();
    }
    return x;
  }
  Eigen::MatrixXd covariance() const {
    Eigen::MatrixXd w(7, 2);
    w << a, b;
    Eigen::MatrixXd c = w * w.transpose();
    c.diagonal().head(4).array() += sigma_a * sigma_a;
    c.diagonal().tail(3).array() += sigma_b * sigma_b;
    return c;
  }
  /// E[x_B | x_A], or E[x_A | x_B], of each row.
  Eigen::MatrixXd translated(const Eigen::MatrixXd& x, bool to_second) const {
    const Eigen::MatrixXd c = covariance();
    const Eigen::MatrixXd slopes =
        to_second
            ? Eigen::MatrixXd(c.topLeftCorner(4, 4).ldlt().solve(c.topRightCorner(4, 3)))
            : Eigen::MatrixXd(c.bottomRightCorner(3, 3).ldlt().solve(c.bottomLeftCorner(3, 4)));
    if (to_second)
      return ((x.leftCols(4).rowwise() - mean_a.transpose()) * slopes).rowwise() +
             mean_b.transpose();
    return ((x.rightCols(3).rowwise() - mean_b.transpose()) * slopes).rowwise() +
           mean_a.transpose();
  }
  double nll(const Eigen::MatrixXd& x) const {
    const Eigen::MatrixXd c = covariance();
    Eigen::VectorXd mean(7);
    mean << mean_a, mean_b;
    const Eigen::MatrixXd off = x.rowwise() - mean.transpose();
    const double squares =
        (off.array() * c.ldlt().solve(off.transpose()).transpose().array()).sum() /
        double(x.rows());
    return (squares + std::log(c.determinant()) + 7 * std::log(2 * std::numbers::pi)) / 2;
  }
};

ModelConfig linear() {
  ModelConfig config{.observed = 4, .with_observed = 3, .hidden = {}, .latent = 2};
  config.activation = "identity", config.likelihood = "gaussian", config.sigma = "shared";
  return config;
}

Model trained(const Dataset& data) {
  const Device device = Device::cpu();
  Batches batches(device, data, 0);
  Model model(device, linear(), 0);
  TrainingOptions options{.batch = 250, .epochs = 30};
  options.rate = Cosine{Real(1e-2), std::uint64_t(data.rows / options.batch * options.epochs)};
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  for (int e = 0; e < options.epochs; ++e) trainer.epoch();
  return model;
}

/// The relative root mean square of what the translation of one domain alone is off by.
double off(const Model& model, const TwoViews& views, const Eigen::MatrixXd& x, bool to_second,
           int samples) {
  const Dataset alone =
      to_second ? widened(dataset(x.leftCols(4)), 0, 3) : widened(dataset(x.rightCols(3)), 4, 0);
  Batches batches(model.device(), alone, 0);
  const std::vector<float> got =
      translate(model, batches, {.to_second = to_second, .samples = samples});
  const Eigen::MatrixXd exact = views.translated(x, to_second);
  EXPECT_EQ(got.size(), std::size_t(exact.size()));
  double squares = 0;
  for (long r = 0; r < exact.rows(); ++r)
    for (long c = 0; c < exact.cols(); ++c)
      squares += std::pow(got[std::size_t(r * exact.cols() + c)] - exact(r, c), 2);
  return std::sqrt(squares / exact.squaredNorm());
}

TEST(TwoDomains, of_two_linear_views_translate_as_normal_distributions_say) {
  const TwoViews views;
  const Eigen::MatrixXd held_out = views.drawn(4000, 2);
  Eigen::MatrixXd x = views.drawn(20000, 1);
  for (const bool halved : {false, true}) {
    SCOPED_TRACE(halved ? "half of the rows lack a domain" : "all rows have both");
    if (halved)
      for (long r = 0; r < x.rows(); r += 4) {
        x.row(r).head(4).setConstant(nan);
        x.row(r + 2).tail(3).setConstant(nan);
      }
    const Model model = trained(dataset(x));
    // A claim: slopes from so many rows are themselves good to 1 %.
    for (const bool to_second : {true, false}) {
      const double error = off(model, views, held_out, to_second, 0);
      std::printf("to %s: %.4f\n", to_second ? "B" : "A", error);
      EXPECT_LT(error, 0.02);
      // The mean of 1000 draws is off by the posterior's deviation (below 1, of loadings whose
      // norm the data share) over √1000, or 3 %, beside that.
      EXPECT_LT(off(model, views, held_out.topRows(500), to_second, 1000), 0.02 + 0.03);
    }
    // The bound is tight where it is trained for both: of what has no error but the estimate's.
    const Dataset both = dataset(held_out);
    Batches batches(model.device(), both, 0);
    const Nll nll = importance_nll(model, batches, 50, 1);
    EXPECT_NEAR(nll.mean, views.nll(held_out), 0.02);
  }
}

/// Two domains of other laws, 3 and 2 columns; nothing is trained.
struct Untrained {
  ModelConfig config{.observed = 3, .with_observed = 2, .hidden = {5}, .latent = 2};
  Dataset data;

  explicit Untrained(const std::string& rates = "plain") {
    config.likelihood = "poisson", config.rates = rates, config.total = 100;
    config.with_total = 30;
    config.with_likelihood = rates == "plain" ? "gaussian" : "none";
    data.source = "test", data.rows = 4, data.columns = 5;
    data.floats = {3,   0,   7,   1,   2,    // both
                   1,   2,   3,   nan, nan,  // no B
                   nan, nan, nan, 2,   5,    // no A
                   nan, nan, nan, nan, nan};
  }
};

struct Reading {
  std::vector<Real> log_likelihood, kl, bound;
};

/// A model's terms at the posterior's mean: its noise is 0.
Reading read(const Model& model, const std::vector<Real>& x, int rows, bool training) {
  const Tensor given(model.device(), {rows, model.config().columns()}, x);
  const Tensor noise(model.device(), {rows, model.config().latent});
  Terms terms;
  Step step(model.device(), [&] {
    terms = model(
        given, {.training = training, .noise = {.given = noise.matrix()}, .kl_weight = Real(0.25)});
  });
  step();
  return {terms.log_likelihood.read(), terms.kl.read(),
          terms.bound ? terms.bound.read() : std::vector<Real>()};
}

TEST(TwoDomains, are_trained_for_the_sum_of_the_bounds_of_both_and_of_each) {
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    const Untrained of;
    const Model model(device, of.config, 4);
    std::vector<Real> x(of.data.floats.begin(), of.data.floats.end()), only_a = x, only_b = x;
    for (int i = 0; i < 20; ++i) (i % 5 < 3 ? only_b : only_a)[std::size_t(i)] = Real(nan);
    const Reading sum = read(model, x, 4, true), both = read(model, x, 4, false),
                  a = read(model, only_a, 4, false), b = read(model, only_b, 4, false);
    for (std::size_t r = 0; r < 4; ++r) {
      const double wanted = both.log_likelihood[r] + a.log_likelihood[r] + b.log_likelihood[r] -
                            0.25 * (both.kl[r] + a.kl[r] + b.kl[r]);
      EXPECT_NEAR(sum.bound[r], wanted, tolerance::sum(40, std::abs(wanted)));
      EXPECT_EQ(sum.log_likelihood[r], both.log_likelihood[r]);
      EXPECT_EQ(sum.kl[r], both.kl[r]);
    }
    EXPECT_EQ(b.log_likelihood[1], 0) << "what lacks B has no ELBO of B";
    EXPECT_EQ(b.kl[1], 0);
    EXPECT_EQ(sum.bound[3], 0) << "what lacks both";
    EXPECT_GT(both.kl[0], 0);
  }
}

TEST(TwoDomains, whose_second_is_not_given_are_those_that_lack_it) {
  const Untrained of;
  const Model model(Device::cpu(), of.config, 4);
  Dataset a = of.data.slice(0, 2);
  a.columns = 3, a.floats = {3, 0, 7, 1, 2, 3};
  const Dataset taken = model.taken(a);
  EXPECT_EQ(taken.columns, 5);
  EXPECT_EQ(taken.missing(), 4);
  Batches alone(model.device(), taken, 0), with(model.device(), of.data, 0);
  const Encoded codes = encode(model, alone, 0), all = encode(model, with, 0);
  for (int u = 0; u < 2; ++u) {
    EXPECT_EQ(codes.mean[std::size_t(2 + u)], all.mean[std::size_t(2 + u)]);
    EXPECT_NE(codes.mean[std::size_t(u)], all.mean[std::size_t(u)]);
    EXPECT_EQ(all.mean[std::size_t(6 + u)], 0) << "the prior";
    EXPECT_EQ(all.log_variance[std::size_t(6 + u)], 0) << "the prior";
  }
}

TEST(TwoDomains, share_each_its_own_total_and_the_usual_one_where_it_is_missing) {
  const Untrained of("library");
  const Model model(Device::cpu(), of.config, 4);
  Batches batches(model.device(), of.data, 0);
  const std::vector<float> x = reconstruct(model, batches);
  ASSERT_EQ(x.size(), 20u);
  const double totals[][2] = {{10, 3}, {6, 30}, {100, 7}, {100, 30}};
  for (std::size_t r = 0; r < 4; ++r) {
    const double a = x[5 * r] + x[5 * r + 1] + x[5 * r + 2], b = x[5 * r + 3] + x[5 * r + 4];
    EXPECT_NEAR(a, totals[r][0], tolerance::sum(12, totals[r][0]) + 1e-5 * totals[r][0]);
    EXPECT_NEAR(b, totals[r][1], tolerance::sum(12, totals[r][1]) + 1e-5 * totals[r][1]);
  }
  const std::vector<float> b = translate(model, batches, {.to_second = true, .samples = 5});
  for (std::size_t r = 0; r < 4; ++r)
    EXPECT_NEAR(b[2 * r] + b[2 * r + 1], 30, tolerance::sum(60, 30) + 3e-4);
}

TEST(TwoDomains, draw_other_data_for_other_rows_and_seeds) {
  const TwoViews views;
  const Model model(Device::cpu(), linear(), 3);
  const Dataset data = widened(dataset(views.drawn(9000, 1).leftCols(4)), 0, 3);
  Batches batches(model.device(), data, 0);
  const auto drawn = [&](std::uint64_t seed) {
    return translate(model, batches, {.draw = true, .seed = seed});
  };
  const std::vector<float> x = drawn(1);
  ASSERT_EQ(x.size(), 27000u);
  EXPECT_EQ(x, drawn(1));
  EXPECT_NE(x, drawn(2));
  // Rows 0 and 8192 begin parts of the decoding: what is drawn around their means differs.
  const std::vector<float> mean = translate(model, batches, {.samples = 0});
  EXPECT_NE(x[0] - mean[0], x[3 * 8192] - mean[3 * 8192]);
  // A learnt variance of 1 at first, and what the draw of z adds.
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) squares += std::pow(x[i] - mean[i], 2);
  EXPECT_GT(squares / double(x.size()), 1 - 5 * std::sqrt(2.0 / double(x.size())));
}

TEST(ModelConfig, gives_the_second_domain_the_words_of_the_first_where_their_laws_agree) {
  ModelConfig config{.observed = 3, .with_observed = 2};
  config.likelihood = "gaussian", config.sigma = "shared";
  EXPECT_EQ(second_domain(config).sigma, "shared");
  EXPECT_EQ(second_domain(config).observed, 2);
  EXPECT_EQ(second_domain(config).input, "masked");
  config.with_sigma = "feature";
  EXPECT_EQ(second_domain(config).sigma, "feature");
  EXPECT_EQ(first_domain(config).sigma, "shared");
  config.with_sigma = "none", config.with_likelihood = "laplace";
  EXPECT_EQ(second_domain(config).sigma, "auto") << "the first's was not meant for it";
  config.with_likelihood = "negative_binomial", config.with_rates = "library";
  EXPECT_EQ(second_domain(config).input, "auto") << "log1p has a place for what is missing";
  EXPECT_EQ(rates_of(second_domain(config)), RateScale::library);
  EXPECT_EQ(domains(config).size(), 2u);
  EXPECT_EQ(config_from_json(to_json(config), "test"), config);
}

}  // namespace
}  // namespace elbo
