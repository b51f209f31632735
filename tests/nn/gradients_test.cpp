// Every operation's gradient against central differences, in the double build, on every device,
// fused as the planner does it and composed as it is recorded.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>

#include "kernels/math/divergences.h"
#include "models/iwae.h"
#include "models/two_domains.h"
#include "nn/functions.h"
#include "nn/optimizer.h"
#include "runtime/step.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

using Plan = Program::Plan;

std::vector<Real> some(int count, std::uint64_t seed, double scale = 1, double shift = 0) {
  std::vector<Real> values(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    values[std::size_t(i)] = Real(
        shift + scale * (2 * double(Philox::at(std::uint32_t(i), 0, 0, 0, seed).uniform(0)) - 1));
  return values;
}

struct Case {
  Device device;
  Plan plan;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Device& device : {Device::cpu(), Device::simt()})
    for (Plan plan : {Plan::fused, Plan::composed}) all.push_back({device, plan});
  return all;
}

/// Compares backward() with (f(w + h) - f(w - h)) / 2h for every number of the given tensors.
///
/// The difference quotient errs by f‴ h²/6 and by ε |f| / h; with h = 1e-5·(1+|w|) and losses of
/// 1 to 100 nats both are below 1e-8.
void check_gradients(const Case& on, std::vector<Tensor> inputs,
                     const std::function<Tensor()>& loss) {
  if (sizeof(Real) != sizeof(double)) GTEST_SKIP() << "central differences need the double build";
  Tensor value;
  Step step(
      on.device,
      [&] {
        value = loss();
        backward(value);
      },
      on.plan);
  step();
  std::vector<std::vector<Real>> gradients;
  for (const Tensor& t : inputs) {
    ASSERT_TRUE(bool(t.gradient()));
    gradients.push_back(t.gradient().read());
  }
  Tensor forward;
  Step again(on.device, [&] { forward = loss(); }, on.plan);
  const auto at = [&](const Tensor& t, std::vector<Real> values, std::size_t i, Real x) {
    values[i] = x;
    t.write(values);
    again();
    return forward.item();
  };
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::vector<Real> values = inputs[k].read();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Real h = Real(1e-5) * (1 + std::fabs(values[i]));
      const double slope =
          (at(inputs[k], values, i, values[i] + h) - at(inputs[k], values, i, values[i] - h)) /
          (2 * h);
      EXPECT_NEAR(gradients[k][i], slope, 1e-8 * std::max(1.0, std::fabs(slope)))
          << "tensor " << k << ", number " << i << " on " << on.device.name()
          << (on.plan == Plan::fused ? " fused" : " composed");
    }
    inputs[k].write(values);
  }
}

TEST(Gradients, of_a_dense_layer_are_slopes_for_every_activation) {
  for (const Case& on : cases())
    for (const std::string& name : activation_names()) {
      SCOPED_TRACE(name);
      Tensor x(on.device, {5, 7}, some(35, 1)), w(on.device, {9, 7}, some(63, 2));
      Tensor b(on.device, {1, 9}, some(9, 3));
      const Tensor target(on.device, {5, 9}, some(45, 4));
      x.track(), w.track(), b.track();
      check_gradients(on, {x, w, b}, [&] {
        const Tensor y = dense(activation_named(name), x, w, b);
        return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
      });
    }
}

TEST(Gradients, of_the_sampled_latent_and_its_kl_are_slopes) {
  for (const Case& on : cases())
    for (Real beta : {Real(0), Real(1), Real(3)}) {
      Tensor q(on.device, {6, 10}, some(60, 5));
      const Tensor target(on.device, {6, 5}, some(30, 6));
      q.track();
      check_gradients(on, {q}, [&] {
        const auto [z, kl] = sample_posterior(q, Noise{.seed = 11});
        return objective({{log_prob(FixedGaussian{Real(0.7)}, target, z), {.factor = -1}},
                          {kl, {.factor = beta}}});
      });
    }
}

TEST(Gradients, of_every_likelihood_are_slopes_also_of_shared_parameters_and_beside_missing_data) {
  constexpr int rows = 4, columns = 6;
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  const auto data = [&](Real scale, Real shift, bool whole) {
    std::vector<Real> x = some(rows * columns, 7, scale, shift);
    for (Real& v : x) v = whole ? std::floor(v) : v;
    x[3] = x[17] = nan;
    return x;
  };
  const std::vector<Real> real = data(1, 0, false), grey = data(Real(0.49), Real(0.5), false);
  const std::vector<Real> counts = data(4, 4, true), levels = data(30, 128, true);
  const std::vector<Real> letters = data(2, 2, true);
  const std::vector<std::pair<Likelihood, std::vector<Real>>> all{
      {Bernoulli{}, grey},
      {ContinuousBernoulli{}, grey},
      {FixedGaussian{Real(0.3)}, real},
      {Gaussian{}, real},
      {Laplace{}, real},
      {StudentT(3), real},
      {Beta{}, grey},
      {Poisson{}, counts},
      {NegativeBinomial{}, counts},
      {ZeroInflatedNegativeBinomial{}, counts},
      {DiscretisedLogistic{256}, levels},
      {DiscretisedLogisticMixture{2, 256}, levels},
      {Categorical{5}, letters}};
  for (const Case& on : cases())
    for (const auto& [law, values] : all) {
      SCOPED_TRACE("law " + std::to_string(law.index()));
      const Tensor x(on.device, {rows, columns}, values);
      const auto loss = [](const Tensor& terms) { return objective({{terms, {.factor = -1}}}); };
      const int K = parameters_of(law);
      Tensor theta(on.device, {rows, K * columns}, some(rows * K * columns, 10));
      theta.track();
      check_gradients(on, {theta}, [&] { return loss(log_prob(law, x, theta)); });
      if (IsSkipped()) return;
      for (const int r : {0, 2}) {  // where the missing are
        const std::vector<Real> slope = theta.gradient().read();
        for (int k = 0; k < K; ++k)
          EXPECT_EQ(slope[std::size_t(r ? 17 : 3) * K + k], 0) << "of a missing entry";
      }
      if (K == 1 || !is_narrow(law)) continue;
      for (const int width : {columns, 1}) {
        Tensor side(on.device, {1, width}, some(width, 12));
        Tensor rest(on.device, {rows, (K - 1) * columns}, some(rows * (K - 1) * columns, 9));
        side.track(), rest.track();
        check_gradients(on, {rest, side}, [&] { return loss(log_prob(law, x, rest, side)); });
      }
    }
}

TEST(Gradients, of_batch_norm_are_slopes_in_training_and_in_evaluation) {
  for (const Case& on : cases())
    for (const bool training : {true, false})
      for (const std::string& name : activation_names()) {
        SCOPED_TRACE(name + (training ? ", training" : ", evaluation"));
        Tensor x(on.device, {7, 9}, some(63, 61)), gamma(on.device, {1, 9}, some(9, 62));
        Tensor beta(on.device, {1, 9}, some(9, 63));
        const Tensor mean(on.device, {1, 9}, some(9, 64)),
            variance(on.device, {1, 9}, some(9, 65, 0.5, 1)),
            target(on.device, {7, 9}, some(63, 66));
        x.track(), gamma.track(), beta.track();
        check_gradients(on, {x, gamma, beta}, [&] {
          const Tensor y = batch_norm(x, gamma, beta, mean, variance, training, Real(0.1),
                                      {.epsilon = Real(1e-3),
                                       .activation = activation_named(name),
                                       .mask = dropout_mask(0.3, {.seed = 4}, 1)});
          return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
        });
      }
}

TEST(Gradients, of_layer_norm_are_slopes) {
  for (const Case& on : cases())
    for (const std::string& name : activation_names()) {
      SCOPED_TRACE(name);
      Tensor x(on.device, {5, 9}, some(45, 67)), gamma(on.device, {1, 9}, some(9, 68));
      Tensor beta(on.device, {1, 9}, some(9, 69));
      const Tensor target(on.device, {5, 9}, some(45, 70));
      x.track(), gamma.track(), beta.track();
      check_gradients(on, {x, gamma, beta}, [&] {
        const Tensor y = layer_norm(x, gamma, beta,
                                    {.epsilon = Real(1e-3),
                                     .activation = activation_named(name),
                                     .mask = dropout_mask(0.3, {.seed = 5}, 1)});
        return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
      });
    }
}

TEST(Gradients, of_norms_add_up_where_their_parameters_are_shared_or_constant) {
  for (const Case& on : cases()) {
    Tensor x(on.device, {6, 4}, some(24, 71)), shared(on.device, {1, 4}, some(4, 72, 1, 2));
    const Tensor constant(on.device, {1, 4}, some(4, 73, 1, 2)), mean(on.device, {1, 4}),
        variance(on.device, {1, 4}), target(on.device, {6, 4}, some(24, 75));
    x.track(), shared.track();
    check_gradients(on, {x, shared}, [&] {
      const Tensor a = batch_norm(x, shared, shared, mean, variance, true);
      const Tensor b = layer_norm(a, shared, constant, {.activation = Tanh{}});
      const Tensor c = layer_norm(b, constant, constant), y = add(add(a, b), add(c, x));
      return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
    });
  }
}

TEST(Gradients, of_dropout_are_slopes_for_fixed_counters) {
  for (const Case& on : cases()) {
    Tensor x(on.device, {5, 7}, some(35, 76)), w(on.device, {9, 7}, some(63, 77));
    const Tensor b(on.device, {1, 9}, some(9, 78)), target(on.device, {5, 9}, some(45, 79));
    x.track(), w.track();
    check_gradients(on, {x, w}, [&] {
      const DropoutMask first = dropout_mask(0.4, {.seed = 6}, 0),
                        second = dropout_mask(0.4, {.seed = 6}, 1);
      const Tensor y = dropout(dense(Silu{}, dropout(x, first), w, b), second);
      return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
    });
  }
}

TEST(Gradients, of_rates_by_softmax_and_by_size_are_slopes) {
  for (const Case& on : cases())
    for (const int K : {1, 2, 3}) {
      Tensor theta(on.device, {4, 5 * K}, some(20 * K, 80, 2));
      const Tensor size(on.device, {4, 1}, some(4, 81)),
          target(on.device, {4, 5 * K}, some(20 * K, 82));
      theta.track();
      for (const auto rates : {library_rates, size_factor_rates}) {
        check_gradients(on, {theta}, [&] {
          return objective(
              {{log_prob(FixedGaussian{1}, target, rates(theta, K, size)), {.factor = -1}}});
        });
        theta.drop_gradient();
      }
    }
}

TEST(Gradients, of_tensors_used_twice_add_up) {
  for (const Case& on : cases()) {
    Tensor x(on.device, {3, 4}, some(12, 20)), w(on.device, {4, 4}, some(16, 21));
    Tensor b(on.device, {1, 4}, some(4, 22));
    const Tensor target(on.device, {3, 4}, some(12, 23));
    x.track(), w.track(), b.track();
    check_gradients(on, {x, w, b}, [&] {
      const Tensor h = dense(Tanh{}, x, w, b), again = dense(Silu{}, h, w, b);
      const Tensor sum = add(add(h, again, 2, Real(-0.5)), x);
      return objective({{log_prob(FixedGaussian{1}, target, sum), {.factor = -1}},
                        {log_prob(FixedGaussian{1}, target, h), {.factor = Real(-0.25)}}});
    });
  }
}

TEST(Gradients, of_a_formula_on_tensors_are_slopes_for_every_function) {
  for (const Case& on : cases())
    for (const Function& f : {Function{Exp{}}, Function{Log{}}, Function{Log1p{}},
                              Function{Softplus{}}, Function{Sigmoid{}}, Function{Tanh{}}}) {
      SCOPED_TRACE(f.index());
      Tensor a(on.device, {5, 7}, some(35, 41, 0.4, 1)), b(on.device, {5, 7}, some(35, 42));
      a.track(), b.track();
      check_gradients(on, {a, b}, [&] {
        const Tensor u = pointwise(f, a), v = u * b - Real(0.3) * a * a;
        return objective({{row_sums(-v * v + Real(2)), {.factor = -1}}});
      });
    }
}

TEST(Formulas, on_tensors_equal_the_likelihood_that_they_spell_out) {
  constexpr int rows = 33, columns = 37;
  for (const Case& on : cases()) {
    const Tensor x(on.device, {rows, columns}, some(rows * columns, 43, 3));
    const std::vector<Real> means = some(rows * columns, 44), scales = some(rows * columns, 45);
    std::vector<Real> both;
    for (std::size_t i = 0; i < means.size(); ++i) both.insert(both.end(), {means[i], scales[i]});
    Tensor m(on.device, {rows, columns}, means), s(on.device, {rows, columns}, scales);
    Tensor theta(on.device, {rows, 2 * columns}, both);
    m.track(), s.track(), theta.track();
    // A Cauchy law is Student's of one degree of freedom.
    Tensor spelt, built_in;
    Step step(
        on.device,
        [&] {
          const Tensor u = (x - m) * pointwise(Exp{}, -s);
          spelt = row_sums(-s - pointwise(Log1p{}, u * u) + Real(-std::log(std::acos(-1.0))));
          built_in = log_prob(StudentT(1, 0), x, theta);
          backward(objective({{spelt, {.factor = -1}}, {built_in, {.factor = -1}}}));
        },
        on.plan);
    step();
    const std::vector<Real> got = spelt.read(), wanted = built_in.read();
    for (int r = 0; r < rows; ++r)
      EXPECT_NEAR(got[r], wanted[r], tolerance::sum(3 * columns, 10 * columns)) << r;
    const std::vector<Real> dm = m.gradient().read(), ds = s.gradient().read();
    const std::vector<Real> dtheta = theta.gradient().read();
    for (std::size_t i = 0; i < dm.size(); ++i) {
      EXPECT_NEAR(dm[i], dtheta[2 * i], tolerance::sum(10, std::exp(1.0) / rows)) << i;
      EXPECT_NEAR(ds[i], dtheta[2 * i + 1], tolerance::sum(10, 1.0 / rows)) << i;
    }
  }
}

TEST(Formulas, refuse_shapes_that_differ) {
  const Tensor a(Device::cpu(), {2, 3}), b(Device::cpu(), {2, 1});
  EXPECT_THROW(a * b, Error);
  EXPECT_THROW(row_sums({}), Error);
}

TEST(Gradients, of_a_skip_connection_are_slopes_and_cost_no_operation_of_their_own) {
  for (const Case& on : cases()) {
    Tensor x(on.device, {3, 4}, some(12, 25)), w(on.device, {6, 4}, some(24, 26));
    Tensor v(on.device, {6, 6}, some(36, 27)), u(on.device, {5, 6}, some(30, 28));
    const Tensor b(on.device, {1, 6}, some(6, 29)), c(on.device, {1, 5}, some(5, 30));
    const Tensor target(on.device, {3, 5}, some(15, 31));
    w.track(), v.track(), u.track();
    const auto loss = [&] {
      const Tensor h = dense(Tanh{}, x, w, b);
      const Tensor sum = add(h, dense(Gelu{}, h, v, b), Real(0.7));
      return objective(
          {{log_prob(FixedGaussian{1}, target, dense(Identity{}, sum, u, c)), {.factor = -1}}});
    };
    check_gradients(on, {w, v, u}, loss);
    if (on.plan == Plan::composed) continue;
    const Step step(on.device, [&] { backward(loss()); }, on.plan);
    int adds = 0;
    for (const Operation& operation : step.program().operations) {
      EXPECT_FALSE(std::holds_alternative<Apply>(operation)) << step.program().describe();
      adds += std::holds_alternative<Add>(operation);
    }
    EXPECT_EQ(adds, 1) << step.program().describe();
  }
}

TEST(Gradients, of_a_whole_vae_are_slopes_for_every_sigma) {
  for (const Case& on : cases())
    for (const auto& [likelihood, sigma] :
         std::vector<std::pair<std::string, std::string>>{{"bernoulli", "fixed:1"},
                                                          {"gaussian", "fixed:0.5"},
                                                          {"gaussian", "shared"},
                                                          {"gaussian", "feature"},
                                                          {"gaussian", "datum"},
                                                          {"laplace", "feature"},
                                                          {"beta", "auto"},
                                                          {"student_t", "shared"},
                                                          {"continuous_bernoulli", "auto"}}) {
      SCOPED_TRACE(likelihood + " " + sigma);
      ModelConfig config{.model = "vae",
                         .observed = 5,
                         .hidden = {4, 3},
                         .latent = 2,
                         .activation = "gelu",
                         .likelihood = likelihood,
                         .sigma = sigma};
      Initialiser initialiser(3);
      Vae vae(on.device, config, initialiser);
      const Tensor x(on.device, {7, 5}, some(35, 30, 0.5, 0.5));
      std::vector<Tensor> weights;
      for (const Parameter& p : parameters(vae)) weights.push_back(p.tensor);
      check_gradients(on, weights, [&] {
        const Terms terms = vae(x, {.noise = {.seed = 5}});
        return objective(
            {{terms.log_likelihood, {.factor = -1}}, {terms.kl, {.factor = Real(0.6)}}});
      });
    }
}

TEST(Gradients, of_a_whole_scvi_model_are_slopes_for_every_dispersion_and_rate) {
  for (const Case& on : cases())
    for (const auto& [likelihood, dispersion, rates] :
         std::vector<std::array<std::string, 3>>{{"zinb", "feature", "library"},
                                                 {"zinb", "datum", "size"},
                                                 {"negative_binomial", "shared", "library"},
                                                 {"poisson", "feature", "library"}}) {
      SCOPED_TRACE(likelihood + " " + dispersion + " " + rates);
      ModelConfig config{.model = "vae", .observed = 5, .hidden = {4}, .latent = 2};
      config.activation = "tanh", config.norm = "batch", config.dropout = 0.25;
      config.likelihood = likelihood, config.dispersion = dispersion, config.rates = rates;
      Initialiser initialiser(3);
      Vae vae(on.device, config, initialiser);
      std::vector<Real> counts = some(35, 30, 3, 3);
      for (Real& x : counts) x = std::floor(x);
      const Tensor x(on.device, {7, 5}, counts);
      std::vector<Tensor> weights;
      for (const Parameter& p : parameters(vae))
        if (p.trained) weights.push_back(p.tensor);
      check_gradients(on, weights, [&] {
        const Terms terms = vae(x, {.training = true, .noise = {.seed = 5}});
        return objective(
            {{terms.log_likelihood, {.factor = -1}}, {terms.kl, {.factor = Real(0.6)}}});
      });
    }
}

TEST(Gradients, without_a_kl_weight_the_path_derivatives_are_exact_to_the_bit) {
  for (const Case& on : cases()) {
    Tensor q(on.device, {6, 10}, some(60, 40)), z;
    const Tensor target(on.device, {6, 5}, some(30, 41));
    q.track();
    std::vector<Real> noise = some(30, 42);
    const Tensor given(on.device, {6, 5}, noise);
    Step step(
        on.device,
        [&] {
          const auto sampled = sample_posterior(q, Noise{.given = given.matrix()});
          z = sampled.z;
          backward(objective({{log_prob(FixedGaussian{1}, target, z), {.factor = -1}},
                              {sampled.kl, {.factor = 0}}}));
        },
        on.plan);
    step();
    const auto dq = q.gradient().read(), dz = z.gradient().read(), at = q.read();
    for (std::size_t i = 0; i < dz.size(); ++i) {
      EXPECT_EQ(dq[2 * i], dz[i]) << "the mean's gradient is not that of z";
      // s = log σ², so ∂L/∂σ = (2/σ) ∂L/∂s, and it must be ε ∂L/∂z: three roundings apart.
      const Real sigma = std::exp(at[2 * i + 1] / 2), slope = 2 / sigma * dq[2 * i + 1];
      EXPECT_NEAR(slope, noise[i] * dz[i],
                  8 * std::numeric_limits<Real>::epsilon() * std::fabs(noise[i] * dz[i]));
    }
  }
}

std::vector<ModelConfig> small_vaes() {
  std::vector<ModelConfig> all;
  for (const auto& [likelihood, sigma] : std::vector<std::pair<std::string, std::string>>{
           {"bernoulli", "fixed:1"}, {"gaussian", "shared"}, {"gaussian", "feature"}})
    all.push_back({.model = "vae",
                   .observed = 5,
                   .hidden = {4},
                   .latent = 2,
                   .activation = "tanh",
                   .likelihood = likelihood,
                   .sigma = sigma});
  return all;
}

TEST(Gradients, of_the_importance_weighted_bound_of_a_whole_vae_are_slopes) {
  for (const Case& on : cases())
    for (const ModelConfig& config : small_vaes())
      for (const int samples : {1, 4}) {
        SCOPED_TRACE(config.likelihood + " " + config.sigma + ", draws " + std::to_string(samples));
        Initialiser initialiser(3);
        Vae vae(on.device, config, initialiser);
        const Tensor x(on.device, {3, 5}, some(15, 30, 0.5, 0.5));
        std::vector<Tensor> weights;
        for (const Parameter& p : parameters(vae)) weights.push_back(p.tensor);
        check_gradients(on, weights, [&] {
          const Terms terms =
              importance_weighted(vae, x, Pass{.noise = {.seed = 5, .samples = samples}});
          return objective({{terms.log_likelihood, {.factor = 0}}, {terms.bound, {.factor = -1}}});
        });
      }
}

TEST(Gradients, of_the_decoder_are_the_same_doubly_reparameterised) {
  for (const Case& on : cases())
    for (const ModelConfig& config : small_vaes()) {
      std::vector<Real> of_decoder[2], of_encoder[2];
      for (const Gradient gradient : {Gradient::standard, Gradient::dreg}) {
        Initialiser initialiser(3);
        Vae vae(on.device, config, initialiser);
        const Tensor x(on.device, {3, 5}, some(15, 30, 0.5, 0.5));
        Step step(
            on.device,
            [&] {
              const Terms terms =
                  importance_weighted(vae, x, Pass{.noise = {.seed = 5, .samples = 4}}, gradient);
              backward(objective({{terms.bound, {.factor = -1}}}));
            },
            on.plan);
        step();
        for (const Parameter& p : parameters(vae)) {
          auto& into = (p.name.starts_with("encoder") ? of_encoder : of_decoder)[int(gradient)];
          for (const Real g : p.tensor.gradient().read()) into.push_back(g);
        }
      }
      EXPECT_EQ(of_decoder[0], of_decoder[1]);
      EXPECT_NE(of_encoder[0], of_encoder[1]);
    }
}

TEST(Gradients, of_several_draws_are_slopes_whatever_reads_draw_and_ratio) {
  for (const Case& on : cases())
    for (const int samples : {1, 3}) {
      Tensor q(on.device, {4, 6}, some(24, 60));
      const Tensor target(on.device, {4, 3}, some(12, 61));
      q.track();
      const Noise noise{.seed = 12, .samples = samples};
      check_gradients(on, {q}, [&] {
        const auto [z, log_ratio] = sample_many(q, noise);
        const Tensor log_p = log_prob(FixedGaussian{Real(0.7)}, target, z);
        return objective({{log_ratio, {.factor = -2}},
                          {log_p, {.factor = -1}},
                          {importance_bound(log_p, log_ratio, samples), {.factor = Real(0.3)}},
                          {posterior_kl(q), {.factor = Real(0.7)}}});
      });
      q.drop_gradient();
      check_gradients(on, {q}, [&] {
        const auto [z, kl] = sample_posterior(q, noise);
        return objective({{log_prob(FixedGaussian{Real(0.7)}, target, z), {.factor = -1}},
                          {kl, {.factor = Real(0.6)}}});
      });
    }
}

TEST(Gradients, with_free_bits_are_slopes_and_none_below_the_floor) {
  for (const Case& on : cases())
    for (const int samples : {1, 3}) {
      // Units of a mean KL of about 0.04, 0.16, 0.6 and 2.5.
      std::vector<Real> values = some(4 * 8, 70, 0.05);
      for (int b = 0; b < 4; ++b)
        for (int u = 0; u < 4; ++u) values[std::size_t(8 * b + 2 * u)] += Real(0.28) * Real(1 << u);
      Tensor q(on.device, {4, 8}, values);
      const Tensor target(on.device, {4, 4}, some(16, 71));
      q.track();
      const Noise noise{.seed = 13, .samples = samples};
      check_gradients(on, {q}, [&] {
        const auto [z, kl] = sample_posterior(q, noise);
        return objective({{log_prob(FixedGaussian{Real(0.7)}, target, z), {.factor = -1}},
                          {kl, {.factor = 0}},
                          {free_bits(kl, Real(0.3)), {.factor = Real(0.6)}}});
      });
      q.drop_gradient();
      Tensor loss;
      Step step(
          on.device,
          [&] {
            const Tensor kl = posterior_kl(q);
            loss = objective({{free_bits(kl, Real(0.3)), {}}});
            backward(loss);
          },
          on.plan);
      step();
      const auto dq = q.gradient().read();
      double floored = 0;
      for (std::size_t u = 0; u < 4; ++u) {
        double mean = 0;
        for (std::size_t b = 0; b < 4; ++b) {
          const std::size_t i = 8 * b + 2 * u;
          mean += StandardNormalKl{}.value(values[i], values[i + 1]) / 4;
          EXPECT_EQ(dq[i] != 0, u >= 2) << "unit " << u;
        }
        EXPECT_EQ(mean > 0.3, u >= 2);
        floored += std::max(mean, double(Real(0.3)));
      }
      EXPECT_NEAR(loss.item(), floored, 32 * std::numeric_limits<Real>::epsilon() * floored);
    }
}

TEST(Gradients, of_a_posterior_whose_spread_is_held_are_slopes) {
  for (const Case& on : cases()) {
    Tensor q(on.device, {6, 10}, some(60, 65));
    const Tensor target(on.device, {6, 5}, some(30, 66));
    q.track();
    check_gradients(on, {q}, [&] {
      const auto [z, kl] = sample_posterior(hold_spread(q, 0.3), Noise{.seed = 12});
      return objective({{log_prob(FixedGaussian{Real(0.7)}, target, z), {.factor = -1}}, {kl, {}}});
    });
  }
}

TEST(Gradients, of_what_is_joined_to_what_is_given_are_slopes) {
  for (const Case& on : cases()) {
    Tensor a(on.device, {6, 3}, some(18, 60)), w(on.device, {4, 5}, some(20, 61));
    const Tensor given(on.device, {2, 2}, some(4, 62)), bias(on.device, {1, 4}, some(4, 63)),
        target(on.device, {6, 4}, some(24, 64));
    a.track(), w.track();
    check_gradients(on, {a, w}, [&] {
      const Tensor y = dense(Tanh{}, join(a, given), w, bias);
      return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
    });
  }
}

TEST(Gradients, of_two_that_are_joined_are_slopes_of_both) {
  for (const Case& on : cases()) {
    Tensor a(on.device, {6, 3}, some(18, 60)), b(on.device, {6, 2}, some(12, 62));
    const Tensor w(on.device, {4, 5}, some(20, 61)), bias(on.device, {1, 4}, some(4, 63)),
        target(on.device, {6, 4}, some(24, 64));
    a.track(), b.track();
    check_gradients(on, {a, b}, [&] {
      const Tensor y = dense(Tanh{}, join(a, b), w, bias);
      return objective({{log_prob(FixedGaussian{1}, target, y), {.factor = -1}}});
    });
  }
}

TEST(Gradients, of_the_product_of_experts_are_slopes_also_where_some_are_absent) {
  for (const Case& on : cases()) {
    Tensor a(on.device, {4, 6}, some(24, 70)), b(on.device, {4, 6}, some(24, 71));
    const Tensor in_a(on.device, {4, 1}, {1, 0, 3, 0}), in_b(on.device, {4, 1}, {2, 1, 0, 0}),
        target(on.device, {4, 3}, some(12, 72));
    a.track(), b.track();
    // Also where an expert has a part in two products, as in a model of two domains.
    check_gradients(on, {a, b}, [&] {
      const Tensor both = product_of_experts(a, b, in_a, in_b),
                   alone = product_of_experts(a, b, in_a, Tensor(on.device, {4, 1}));
      const auto [z, kl] = sample_posterior(both, Noise{.seed = 11});
      return objective({{log_prob(FixedGaussian{Real(0.7)}, target, z), {.factor = -1}},
                        {kl, {.factor = Real(0.6)}},
                        {posterior_kl(alone), {.factor = Real(0.3)}}});
    });
  }
}

/// Two domains of 3 and 2 columns, of laws of their own: 5 data, of which the second lacks B, the
/// third A, the fourth both, and the fifth an entry of each.
struct TwoDomainCase {
  ModelConfig config{.observed = 3, .with_observed = 2, .hidden = {4}, .latent = 2};
  std::vector<Real> x = some(25, 30, 0.5, 0.5);
  TwoDomainCase() {
    config.activation = "tanh", config.sigma = "shared", config.likelihood = "gaussian";
    config.with_likelihood = "negative_binomial";
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    for (int r = 0; r < 5; ++r)
      for (int c = 0; c < 5; ++c) {
        Real& v = x[std::size_t(5 * r + c)];
        if (c > 2) v = std::floor(6 * v);
        if ((r == 1 && c > 2) || (r == 2 && c < 3) || r == 3 || (r == 4 && c % 3 == 1)) v = nan;
      }
  }
};

TEST(Gradients, of_the_bound_of_two_domains_are_slopes_also_where_one_is_missing) {
  for (const Case& on : cases()) {
    const TwoDomainCase c;
    TwoDomains model(on.device, c.config, Initialiser(3));
    const Tensor x(on.device, {5, 5}, c.x);
    std::vector<Tensor> weights;
    for (const Parameter& p : parameters(model)) weights.push_back(p.tensor);
    check_gradients(on, weights, [&] {
      const Terms terms =
          model(x, {.training = true, .noise = {.seed = 5}, .kl_weight = Real(0.6)});
      return objective({{terms.log_likelihood, {.factor = 0}}, {terms.bound, {.factor = -1}}});
    });
  }
}

TEST(Gradients, of_the_importance_weighted_bound_of_two_domains_are_slopes) {
  for (const Case& on : cases()) {
    const TwoDomainCase c;
    TwoDomains model(on.device, c.config, Initialiser(3));
    const Tensor x(on.device, {5, 5}, c.x);
    std::vector<Tensor> weights;
    for (const Parameter& p : parameters(model)) weights.push_back(p.tensor);
    check_gradients(on, weights, [&] {
      const Terms terms = importance_weighted(model, x, Pass{.noise = {.seed = 5, .samples = 3}});
      return objective({{terms.log_likelihood, {.factor = 0}}, {terms.bound, {.factor = -1}}});
    });
  }
}

TEST(Gradients, are_limited_in_norm_when_asked) {
  for (const Case& on : cases()) {
    const Progress progress(on.device);
    Tensor w(on.device, {3, 4}, some(12, 50)), b(on.device, {1, 3}, some(3, 51));
    const Tensor x(on.device, {5, 4}, some(20, 52, 10)),
        target(on.device, {5, 3}, some(15, 53, 10));
    w.track(), b.track();
    const auto before_w = w.read(), before_b = b.read();
    Optimizer optimizer({{"w", w}, {"b", b}}, Sgd{}, Constant{1}, progress, Real(0.5));
    Step step(
        on.device,
        [&] {
          backward(objective(
              {{log_prob(FixedGaussian{1}, target, dense(Identity{}, x, w, b)), {.factor = -1}}}));
          optimizer.step();
        },
        on.plan);
    step();
    double moved = 0;
    const auto after_w = w.read(), after_b = b.read();
    for (std::size_t i = 0; i < after_w.size(); ++i)
      moved += square(double(after_w[i] - before_w[i]));
    for (std::size_t i = 0; i < after_b.size(); ++i)
      moved += square(double(after_b[i] - before_b[i]));
    // With rate 1 the step is the gradient; each number is rounded once where it is of size 1.
    EXPECT_NEAR(std::sqrt(moved), 0.5, 16 * std::numeric_limits<Real>::epsilon());
  }
}

}  // namespace
}  // namespace elbo
