// How data are spoilt: by a function of seed, datum and epoch, each entry by itself.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nn/batches.h"
#include "nn/functions.h"
#include "runtime/error.h"
#include "runtime/step.h"

namespace elbo {
namespace {

using Kind = Corruption::Kind;
constexpr int columns = 37;
constexpr long rows = 200;

/// Entries of 0.25, but for the first column, which is missing.
Dataset grey() {
  Dataset data;
  data.source = "grey", data.rows = rows, data.columns = columns;
  data.floats.assign(std::size_t(rows) * columns, 0.25f);
  for (long r = 0; r < rows; ++r)
    data.floats[std::size_t(r) * columns] = std::numeric_limits<float>::quiet_NaN();
  return data;
}

/// The data as they are seen in that epoch, in batches of `batch`, the samples of each counted.
std::vector<Real> seen(const Device& device, const Corruption& how, std::uint32_t epoch = 0,
                       int batch = 50, std::uint64_t seed = 4) {
  const Dataset data = grey();
  Batches batches(device, data, 0);
  Tensor out;
  Step step(device, [&] {
    out = corrupt(batches.next(batch), how, {.seed = seed, .batch = batches.batch(), .given = {}});
  });
  std::vector<Real> all;
  for (long first = 0; first < rows; first += batch) {
    batches.progress().write({0, epoch, std::uint32_t(first)});
    step();
    const std::vector<Real> here = out.read();
    all.insert(all.end(), here.begin(), here.end());
  }
  return all;
}

/// Calls f(value) for every entry that was there.
template <class F>
void each_there(const std::vector<Real>& values, F&& f) {
  ASSERT_EQ(values.size(), std::size_t(rows) * columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % columns == 0) EXPECT_TRUE(std::isnan(values[i])) << "what is missing stays so";
    else f(values[i]);
  }
}

/// NaN as a number that nothing else is.
std::vector<Real> comparable(std::vector<Real> values) {
  for (Real& x : values) x = std::isnan(x) ? Real(-99) : x;
  return values;
}

constexpr double entries = double(rows) * (columns - 1);

class Corrupting : public testing::TestWithParam<std::string> {
 protected:
  Device device() const { return GetParam() == "cpu" ? Device::cpu() : Device::simt(); }
};

TEST_P(Corrupting, by_salt_sets_its_share_to_low_or_high_evenly) {
  double low = 0, high = 0, kept = 0;
  each_there(seen(device(), {Kind::salt, Real(0.3), -2, 5}),
             [&](Real x) { low += x == -2, high += x == 5, kept += x == Real(0.25); });
  EXPECT_EQ(low + high + kept, entries);
  const double error = std::sqrt(0.15 * 0.85 / entries);
  EXPECT_NEAR(low / entries, 0.15, 4 * error);
  EXPECT_NEAR(high / entries, 0.15, 4 * error);
}

TEST_P(Corrupting, by_a_mask_makes_its_share_missing) {
  double gone = 0, kept = 0;
  each_there(seen(device(), {Kind::mask, Real(0.2)}),
             [&](Real x) { gone += std::isnan(x), kept += x == Real(0.25); });
  EXPECT_EQ(gone + kept, entries);
  EXPECT_NEAR(gone / entries, 0.2, 4 * std::sqrt(0.16 / entries));
}

TEST_P(Corrupting, by_gaussian_noise_adds_it_with_that_deviation) {
  double sum = 0, squares = 0;
  each_there(seen(device(), {Kind::gaussian, Real(0.5)}), [&](Real x) {
    const double noise = double(x) - 0.25;
    sum += noise, squares += noise * noise;
  });
  EXPECT_NEAR(sum / entries, 0, 4 * 0.5 / std::sqrt(entries));
  EXPECT_NEAR(squares / entries, 0.25, 4 * 0.25 * std::sqrt(2 / entries));
}

TEST_P(Corrupting, depends_on_datum_epoch_and_seed_and_not_on_the_batch) {
  for (const Corruption& how :
       {Corruption{Kind::salt, Real(0.3)}, {Kind::mask, Real(0.3)}, {Kind::gaussian, 1}}) {
    const std::vector<Real> once = comparable(seen(device(), how));
    EXPECT_EQ(once, comparable(seen(device(), how, 0, 8)));
    EXPECT_EQ(once, comparable(seen(device(), how, 0, 200)));
    EXPECT_NE(once, comparable(seen(device(), how, 1)));
    EXPECT_NE(once, comparable(seen(device(), how, 0, 50, 5)));
    EXPECT_NE(std::vector<Real>(once.begin(), once.begin() + columns),
              std::vector<Real>(once.begin() + columns, once.begin() + 2 * columns));
  }
}

INSTANTIATE_TEST_SUITE_P(, Corrupting, testing::Values("cpu", "simt"),
                         [](const auto& info) { return info.param; });

TEST(Corruptions, by_salt_and_mask_is_the_same_on_cpu_and_simt) {
  for (const Corruption& how : {Corruption{Kind::salt, Real(0.3)}, {Kind::mask, Real(0.3)}})
    EXPECT_EQ(comparable(seen(Device::cpu(), how)), comparable(seen(Device::simt(), how)));
}

TEST(Corruptions, by_a_share_above_one_or_a_negative_deviation_is_an_error) {
  const Tensor x(Device::cpu(), {1, 2}, {0, 1});
  EXPECT_THROW(corrupt(x, {Kind::mask, Real(1.5)}, {}), Error);
  EXPECT_THROW(corrupt(x, {Kind::gaussian, Real(-1)}, {}), Error);
}

}  // namespace
}  // namespace elbo
