#include "data/cell_cycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

const Annotation& annotation(const Dataset& data, const std::string& name) {
  return *std::find_if(data.annotations.begin(), data.annotations.end(),
                       [&](const Annotation& a) { return a.name == name; });
}

}  // namespace

TEST(CellCycle, DependsOnSeedAndIndexOnly) {
  const Dataset few = simulate_cell_cycle(30, 5), many = simulate_cell_cycle(90, 5);
  EXPECT_EQ(many.slice(0, 30).floats, few.floats);
  EXPECT_EQ(many.slice(0, 30).annotations[0].values, few.annotations[0].values);
  EXPECT_EQ(read_dataset("builtin:cell-cycle?seed=5&n=30").floats, few.floats);
  EXPECT_NE(simulate_cell_cycle(30, 6).floats, few.floats);
  EXPECT_EQ(read_dataset("builtin:cell-cycle").rows, 2000);
}

TEST(CellCycle, TotalsFollowTheLibraryAndNotThePhase) {
  const Dataset data = simulate_cell_cycle(20000, 0);
  const auto& library = annotation(data, "library").values;
  const auto& phase = annotation(data, "phase").values;
  double thirds[3] = {}, all = 0, logs = 0, squares = 0;
  for (long r = 0; r < data.rows; ++r) {
    double total = 0;
    for (int g = 0; g < data.columns; ++g) total += data.value(r, g);
    const double share = total / double(library[std::size_t(r)]);
    all += share, thirds[data.labels[std::size_t(r)]] += share;
    const double log = std::log(double(library[std::size_t(r)]));
    logs += log, squares += log * log;
    EXPECT_EQ(data.labels[std::size_t(r)], int(3 * phase[std::size_t(r)]));
  }
  // Of one cell the share's variance is about Σ shares²/8 + 1/L < 0.012.
  EXPECT_NEAR(all / 20000, 1, 4 * std::sqrt(0.012 / 20000));
  for (const double third : thirds) EXPECT_NEAR(third / (20000 / 3.), 1, 4 * std::sqrt(2. / 20000));
  const double mean = logs / 20000;
  EXPECT_NEAR(mean, std::log(600), 4 * 0.5 / std::sqrt(20000));
  EXPECT_NEAR(squares / 20000 - mean * mean, 0.25, 4 * 0.25 * std::sqrt(2. / 20000));
}

TEST(CellCycle, CountsHaveTheMeanAndVarianceOfTheirNegativeBinomial) {
  const Dataset data = simulate_cell_cycle(40000, 1);
  const auto& library = annotation(data, "library").values;
  const auto& phase = annotation(data, "phase").values;
  const auto actb =
      std::size_t(std::find(data.column_names.begin(), data.column_names.end(), "ACTB") -
                  data.column_names.begin());
  // Of one library and phase nearly: x / L has the variance s/L + s²/8 there.
  double sum = 0, squares = 0, expected = 0, count = 0;
  for (long r = 0; r < data.rows; ++r) {
    const double l = double(library[std::size_t(r)]);
    if (phase[std::size_t(r)] > 0.05f) continue;
    const double s = double(data.value(r, int(actb))) / l;
    sum += s, squares += s * s, expected += 1 / l, ++count;
  }
  const double mean = sum / count, variance = squares / count - mean * mean;
  const double wanted = mean * expected / count + mean * mean / 8;
  // The variance of a variance: 2/n of its square, twice that for the gamma's tail.
  EXPECT_NEAR(variance / wanted, 1, 4 * std::sqrt(4 / count) + 0.05);
}

TEST(CellCycle, GenesPeakInTheThirdThatTheyAreNamedFor) {
  const Dataset data = simulate_cell_cycle(6000, 2);
  const auto highest = [&](const std::string& name) {
    const auto& names = data.column_names;
    const int g = int(std::find(names.begin(), names.end(), name) - names.begin());
    double sums[3] = {};
    for (long r = 0; r < data.rows; ++r)
      sums[data.labels[std::size_t(r)]] +=
          double(data.value(r, g) / annotation(data, "library").values[std::size_t(r)]);
    return std::max_element(sums, sums + 3) - sums;
  };
  EXPECT_EQ(highest("CCNE1"), 0);
  for (const char* name : {"PCNA", "TYMS", "RRM2"}) EXPECT_EQ(highest(name), 1) << name;
  for (const char* name : {"CCNB1", "TOP2A", "MKI67"}) EXPECT_EQ(highest(name), 2) << name;
}

TEST(CellCycle, OfNoOrTooManyCellsIsAnError) {
  EXPECT_EQ(error_of([] { simulate_cell_cycle(0, 0); }),
            "cell-cycle: n is 0, expected 1 to 10000000");
}
