// What a conditional model is told of a datum, and what it makes of it.
#include "models/condition.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/evaluation.h"
#include "models/trainer.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

Dataset annotated() {
  Dataset data;
  data.source = "annotated", data.rows = 4, data.columns = 2;
  data.floats = {0, 1, 1, 0, 1, 1, 0, 0};
  data.labels = {7, 3, 3, 9};
  data.annotations = {{"line", {"A", "B"}, {0, 1, 1, NAN}}, {"age", {}, {1, 3, NAN, 5}}};
  return data;
}

TEST(Condition, is_one_hot_of_levels_and_standardised_of_numbers_and_zero_of_what_is_unknown) {
  Dataset data = annotated();
  const auto conditions = conditions_of(data, "line,age,label");
  ASSERT_EQ(width_of(conditions), 2 + 1 + 3);
  give(data, conditions);
  const float age = float(std::sqrt(8.0 / 3));  // the deviation of 1, 3, 5
  const std::vector<float> expected{1, 0, -2 / age, 0, 1, 0, 0, 1, 0,       1, 0, 0,
                                    0, 1, 0,        1, 0, 0, 0, 0, 2 / age, 0, 0, 1};
  ASSERT_EQ(data.given.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(data.given[i], expected[i], 1e-6) << i;
  EXPECT_EQ(given_by(conditions, "label=9,line=A"), (std::vector<float>{1, 0, 0, 0, 0, 1}));
  const Dataset part = data.select({3, 0});
  EXPECT_EQ(part.given_columns, 6);
  EXPECT_EQ(part.given[2], data.given[20]);
}

void expect_error(const std::function<void()>& call, const std::string& part) {
  try {
    call();
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Condition, that_is_not_known_is_an_error_that_names_those_that_are) {
  Dataset data = annotated();
  expect_error([&] { conditions_of(data, "batch"); }, "it has line, age, label");
  const auto conditions = conditions_of(data, "line,age");
  data.annotations[0].levels[1] = "C";
  expect_error([&] { give(data, conditions); }, "row 1 has line = C, the model knows A, B");
  expect_error([&] { given_by(conditions, "line=C"); }, "'C' is none of A, B");
  expect_error([&] { given_by(conditions, "batch=1"); }, "the model is told line, age");
  expect_error([&] { given_by(conditions, "age=old"); }, "'old' is not a number");
  data.annotations.clear();
  expect_error([&] { give(data, conditions); }, "has no annotation 'line'");
}

/// Data that are the level that is given, and nothing else: the latents need not carry it.
TEST(ConditionalVae, leaves_to_the_condition_what_it_tells) {
  Dataset data;
  data.source = "two kinds", data.type = Dataset::Type::u8, data.rows = 400, data.columns = 8;
  Annotation kind{"kind", {"left", "right"}, {}};
  for (long r = 0; r < data.rows; ++r) {
    const bool right = Philox::at(0, std::uint32_t(r), 0, 0, 5).uniform(0) < 0.5;
    kind.values.push_back(right);
    for (int c = 0; c < 8; ++c) data.bytes.push_back((c < 4) != right);
  }
  data.annotations = {kind};
  ModelConfig config{.observed = 8, .hidden = {16}, .latent = 2};
  config.conditions = conditions_of(data, "kind");
  give(data, config.conditions);
  for (const Device& device : {Device::cpu(), Device::named("simt", Precision::fp32)}) {
    Batches batches(device, data, 0);
    const Model model(device, config, 0);
    const TrainingOptions options{.batch = 40, .epochs = 30, .rate = Constant{Real(1e-2)}};
    Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
    Means means;
    for (int e = 0; e < options.epochs; ++e) means = trainer.epoch();
    // Without the condition the two kinds cost log 2 = 0.69 nats between them.
    EXPECT_GT(means.elbo, -0.2);
    EXPECT_LT(means.kl, 0.1);
    const std::vector<float> z(2 * 3);
    const std::vector<float> x =
        model.mean(decode(model, z, given_by(config.conditions, "kind=right")));
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i] > 0.5f, i % 8 >= 4) << i;
    expect_error([&] { decode(model, z); }, "the model is told 2 of each of 3 rows");
  }
}

}  // namespace
}  // namespace elbo
