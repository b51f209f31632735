// What is done to data before a model sees them, and how to come back.
#include "models/preparation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "models/evaluation.h"
#include "nn/batches.h"
#include "tests/data/temporary_folder.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

/// Positive numbers of some orders of magnitude, a constant column, one entry missing.
Dataset table() {
  Dataset data;
  data.source = "table", data.rows = 40, data.columns = 4;
  for (int i = 0; i < 160; ++i)
    data.floats.push_back(i % 4 == 3 ? 5.f
                                     : float(std::exp(3 * Philox::at(i, 0, 0, 0, 1).normal(0))));
  data.floats[9] = NAN;
  return data;
}

std::vector<Preparation> ways() {
  std::vector<Preparation> all;
  for (const bool log1p : {false, true})
    for (const char* standardise : {"none", "columns", "all"}) {
      Preparation p{.log1p = log1p, .standardise = standardise};
      p.learn(table());
      all.push_back(p);
    }
  return all;
}

TEST(Preparation, undone_gives_the_data_again) {
  const Dataset data = table();
  for (const Preparation& p : ways()) {
    Dataset prepared = data;
    p.apply(prepared);
    p.undo(prepared.floats, 4);
    for (std::size_t i = 0; i < data.floats.size(); ++i) {
      if (std::isnan(data.floats[i])) {
        EXPECT_TRUE(std::isnan(prepared.floats[i]));
        continue;
      }
      // Rounded once to a float where prepared: to a share of itself, of what it is a difference
      // of, and, through exp, of 1 + x times its logarithm.
      double size = std::fabs(data.floats[i]);
      for (const double m : p.mean) size = std::max(size, std::fabs(m));
      const double spread =
          p.log1p ? (1 + size) * (1 + std::log1p(size) + size / (1 + size)) : size;
      EXPECT_NEAR(prepared.floats[i], data.floats[i], tolerance::of_floats(2, spread)) << i;
    }
  }
}

TEST(Preparation, of_columns_has_mean_0_and_deviation_1_but_where_a_column_is_constant) {
  Preparation p{.log1p = true, .standardise = "columns"};
  p.learn(table());
  EXPECT_EQ(p.scale[3], 1);
  Dataset data = table();
  p.apply(data);
  for (int c = 0; c < 4; ++c) {
    double sum = 0, squares = 0, count = 0;
    for (long r = 0; r < data.rows; ++r)
      if (const double x = data.value(r, c); !std::isnan(x)) sum += x, squares += x * x, ++count;
    EXPECT_EQ(count, c == 1 ? 39 : 40);
    // Each number is rounded to a float once.
    EXPECT_NEAR(sum / count, 0, tolerance::of_floats(1, 4));
    EXPECT_NEAR(squares / count, c == 3 ? 0 : 1, tolerance::of_floats(2, 1));
  }
}

TEST(Preparation, centred_rows_lose_a_factor_that_all_of_a_row_share_and_nothing_else) {
  Dataset data = table(), larger = table();
  for (float& x : data.floats) x = std::log(x);
  larger.floats = data.floats;
  for (std::size_t i = 0; i < larger.floats.size(); ++i) larger.floats[i] += float(i / 4);
  const Preparation p{.centre = "rows"};
  p.apply(data), p.apply(larger);
  for (long r = 0; r < data.rows; ++r) {
    double sum = 0;
    for (int c = 0; c < 4; ++c) {
      const float x = data.value(r, c);
      EXPECT_EQ(std::isnan(x), r == 2 && c == 1);
      if (std::isnan(x)) continue;
      sum += x;
      EXPECT_NEAR(larger.value(r, c), x, tolerance::of_floats(4, double(r) + 12));
    }
    EXPECT_NEAR(sum, 0, tolerance::of_floats(4, 40));
  }
  EXPECT_EQ(p.log_volume(table()), std::nullopt);
}

TEST(Preparation, of_lists_is_that_of_the_same_numbers_and_log1p_keeps_them_lists) {
  Dataset lists;
  lists.source = "lists", lists.type = Dataset::Type::csr, lists.rows = 3, lists.columns = 3;
  lists.starts = {0, 2, 2, 4}, lists.indices = {0, 2, 1, 2}, lists.floats = {3, 1, 7, 2};
  Dataset numbers = lists;
  numbers.type = Dataset::Type::f32, numbers.floats = lists.values();
  for (Preparation p :
       {Preparation{.log1p = true}, Preparation{.centre = "rows"},
        Preparation{.log1p = true, .standardise = "columns"}, Preparation{.standardise = "all"}}) {
    Preparation other = p;
    p.learn(lists), other.learn(numbers);
    EXPECT_EQ(p, other);
    Dataset a = lists, b = numbers;
    p.apply(a), p.apply(b);
    EXPECT_EQ(a.values(), b.values());
    EXPECT_EQ(a.type == Dataset::Type::csr, p.centre == "none" && p.standardise == "none");
    EXPECT_EQ(p.log_volume(lists), p.log_volume(numbers));
  }
}

/// log N(x'; mean', sigma') of the numbers in their own units, times |dx'/dx|: all by hand.
TEST(Preparation, leaves_a_density_that_in_own_units_is_that_of_the_decoders_gaussian_there) {
  const Dataset data = table();
  for (const Preparation& p : ways()) {
    ModelConfig config{.model = "ae", .observed = 4, .hidden = {6}, .latent = 2, .input = "masked"};
    config.likelihood = "gaussian", config.sigma = "fixed:0.5", config.preparation = p;
    const Model model(Device::cpu(), config, 3);
    const Dataset taken = model.taken(data);
    Batches batches(model.device(), taken, 0);
    const double got = evaluate(model, batches, 0).log_likelihood + *p.log_volume(data);
    const std::vector<float> centres = reconstruct(model, batches);  // in own units
    double expected = 0, magnitude = 0;
    for (std::size_t i = 0; i < centres.size(); ++i) {
      const double x = data.floats[i];
      if (std::isnan(x)) continue;
      const double s = p.scale.empty() ? 1 : p.scale[i % p.scale.size()];
      const double y = p.log1p ? std::log1p(x) : x;
      const double centre = p.log1p ? std::log1p(double(centres[i])) : centres[i];
      const double off = (y - centre) / (0.5 * s);
      const double here = -off * off / 2 - std::log(0.5 * s * std::sqrt(2 * std::numbers::pi)) -
                          (p.log1p ? std::log1p(x) : 0);
      expected += here / double(data.rows);
      // How far a rounding of x' and of its centre may move off²/2.
      magnitude += (std::fabs(here) + std::fabs(off) * (std::fabs(y) + std::fabs(centre) + 1) / s) /
                   double(data.rows);
    }
    EXPECT_NEAR(got, expected, tolerance::of_floats(30, magnitude));
  }
}

TEST(Preparation, is_kept_by_a_config_with_what_was_learnt) {
  for (const Preparation& p : ways()) {
    ModelConfig config{.observed = 4};
    config.likelihood = "student_t", config.preparation = p;
    EXPECT_EQ(config_from_json(to_json(config), "file"), config);
  }
}

TEST(Preparation, of_what_has_no_logarithm_or_no_place_is_an_error) {
  using test::error_of;
  Dataset data = table();
  Preparation p{.log1p = true};
  data.floats[6] = -1;
  EXPECT_NE(error_of([&] { p.apply(data); }).find("table: row 1, column 2: -1 has no log(1 + x)"),
            std::string::npos);
  p = {.standardise = "columns"};
  data.floats[6] = INFINITY;
  EXPECT_NE(error_of([&] { p.learn(data); }).find("row 1, column 2: inf cannot be prepared"),
            std::string::npos);
  p.learn(table());
  data = table(), data.columns = 5, data.rows = 32;
  EXPECT_NE(error_of([&] { p.apply(data); }).find("has 5 columns, the model expects 4"),
            std::string::npos);
  ModelConfig config{.observed = 4};
  config.preparation = p;
  EXPECT_NE(error_of([&] { observation(config); }).find("expected gaussian, laplace or student_t"),
            std::string::npos);
  p.centre = "columns";
  EXPECT_NE(error_of([&] { p.learn(table()); }).find("expected none, rows"), std::string::npos);
}

}  // namespace
}  // namespace elbo
