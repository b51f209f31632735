#include "data/inspection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "data/counter_hash.h"
#include "data/dataset.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

Dataset table(int columns, std::vector<float> values) {
  Dataset data;
  data.source = "table";
  data.columns = columns, data.rows = long(values.size()) / columns;
  data.floats = std::move(values);
  return data;
}

/// The same data as lists.
Dataset listed(const Dataset& dense) {
  Dataset data = dense;
  data.type = Dataset::Type::csr;
  data.floats.clear();
  data.starts = {0};
  for (long r = 0; r < dense.rows; ++r) {
    dense.each_listed(r, [&](int c, float x) {
      if (x != 0) data.indices.push_back(std::uint32_t(c)), data.floats.push_back(x);
    });
    data.starts.push_back(data.indices.size());
  }
  return data;
}

float uniform(int row, int column) {
  return float(counter_hash(5, std::uint64_t(row), std::uint64_t(column)) >> 40) * 0x1p-24f;
}

}  // namespace

TEST(Inspection, CountsWhatIsThere) {
  const Inspection found =
      inspect(table(4, {0, 2, 7, 0.5, 4, NAN, 7, 1.5, 0, 2, 7, 0.5, 4, NAN, 7, 1.5}));
  EXPECT_EQ(found.rows, 4);
  EXPECT_EQ(found.missing, 2);
  EXPECT_EQ(found.least, 0);
  EXPECT_EQ(found.most, 7);
  EXPECT_FALSE(found.whole);
  EXPECT_DOUBLE_EQ(found.zeros, 2.0 / 14);
  EXPECT_EQ(found.constant, (std::vector<int>{1, 2}));
  EXPECT_EQ(found.few_values, (std::vector<int>{0})) << "0 and 4 where others are not whole";
  EXPECT_EQ(found.duplicates, 2);
  EXPECT_EQ(found.totals.least, 9.5);
  EXPECT_EQ(found.totals.median, 11);
  EXPECT_EQ(found.totals.most, 12.5);
  // Columns 0 and 3 vary: by 4 about 2, and by 0.25 about 1.
  EXPECT_DOUBLE_EQ(found.variance, 4 + 0.25);
  EXPECT_DOUBLE_EQ(found.dispersion, (4 + 0.25) / (2 + 1));
  EXPECT_DOUBLE_EQ(found.deviations, 4);
  EXPECT_DOUBLE_EQ(found.excess, -2) << "the kurtosis of two equal halves is 1";
  EXPECT_EQ(found.one_hot, 0);
}

TEST(Inspection, OfListsIsThatOfTheSameNumbers) {
  std::vector<float> values;
  for (int i = 0; i < 40 * 7; ++i)
    values.push_back(uniform(i, 0) < 0.6f ? 0 : std::floor(9 * uniform(i, 1)));
  values[11] = NAN;
  const Dataset dense = table(7, values), lists = listed(dense);
  const Inspection a = inspect(dense), b = inspect(lists);
  EXPECT_EQ(a.zeros, b.zeros);
  EXPECT_EQ(a.missing, b.missing);
  EXPECT_EQ(a.least, b.least);
  EXPECT_EQ(a.totals.median, b.totals.median);
  EXPECT_EQ(a.duplicates, b.duplicates);
  EXPECT_NEAR(a.dispersion, b.dispersion, 1e-12 * a.dispersion);
  EXPECT_NEAR(a.excess, b.excess, 1e-12);
  EXPECT_NEAR(size_effect(dense, true).correlation, size_effect(lists, true).correlation, 1e-6);
  const std::vector<double> one = covariance_spectrum(dense), other = covariance_spectrum(lists);
  EXPECT_EQ(one, other);
}

TEST(Inspection, KnowsOneHotGroups) {
  EXPECT_EQ(inspect(table(6, {1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0})).one_hot, 3);
  EXPECT_EQ(inspect(table(6, {1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0})).one_hot, 0);
  EXPECT_EQ(inspect(table(6, {1, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0, 0})).one_hot, 0);
  EXPECT_EQ(inspect(table(3, {1, 1, 1, 1, 1, 1})).one_hot, 0);
}

TEST(Inspection, OfDataWithoutAnyNumberHasNone) {
  const Inspection found = inspect(table(2, {NAN, NAN}));
  EXPECT_EQ(found.missing, 2);
  EXPECT_EQ(found.zeros, 0);
  EXPECT_EQ(covariance_spectrum(table(2, {NAN, NAN})), (std::vector<double>{0, 0}));
}

TEST(SizeEffect, IsAllWhereRowsDifferInSizeOnly) {
  std::vector<float> values;
  for (int r = 0; r < 50; ++r)
    for (int c = 0; c < 8; ++c) values.push_back(float(r) * 0.25f + float(c));
  const SizeEffect effect = size_effect(table(8, values), false);
  EXPECT_NEAR(effect.correlation, 1, 1e-12);
  EXPECT_NEAR(effect.share, 1, 1e-12);
}

TEST(SizeEffect, IsNoneWhereAllRowsAreOfOneSize) {
  std::vector<float> values;
  for (int r = 0; r < 50; ++r)
    for (int c = 0; c < 8; ++c) values.push_back(c % 2 == 0 ? float(r) : float(50 - r));
  const SizeEffect effect = size_effect(table(8, values), false);
  EXPECT_EQ(effect.correlation, 0);
  EXPECT_NEAR(effect.share, 0, 1e-12);
}

TEST(SizeEffect, OfCountsShowsAProfileAtManyDepths) {
  std::vector<float> deep, kinds;
  for (int r = 0; r < 60; ++r)
    for (int c = 0; c < 10; ++c) {
      deep.push_back(float((c + 1) * (1 << r % 6)));
      kinds.push_back(c / 5 == r % 2 ? 40.f : float(r * 7 % 3));
    }
  EXPECT_GT(size_effect(table(10, deep), true).correlation, 0.99);
  EXPECT_LT(size_effect(table(10, kinds), true).correlation, 0.2);
}

TEST(Spectrum, OfOrthogonalColumnsIsTheirVariances) {
  // Rows of a Hadamard matrix, more of them than a block has; powers of two, so all sums are exact.
  const float signs[4][3] = {{1, 1, 1}, {-1, 1, -1}, {1, -1, -1}, {-1, -1, 1}};
  const float scales[3] = {0.5f, 4, 1};
  std::vector<float> values;
  for (int r = 0; r < 3000; ++r)
    for (int c = 0; c < 3; ++c) values.push_back(scales[c] * signs[r % 4][c] + 8);
  const std::vector<double> spectrum = covariance_spectrum(table(3, values));
  ASSERT_EQ(spectrum.size(), 3u);
  EXPECT_NEAR(spectrum[0], 16, 1e-13);
  EXPECT_NEAR(spectrum[1], 1, 1e-13);
  EXPECT_NEAR(spectrum[2], 0.25, 1e-13);
}

TEST(Spectrum, OfMnistKeepsTheKnownNumbersOfUnits) {
  const char* const folder = std::getenv("ELBO_DATA");
  if (folder == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const std::vector<double> spectrum =
      covariance_spectrum(read_dataset(folder + std::string("/mnist/train-images-idx3-ubyte.gz")));
  const std::pair<double, long> known[] = {{1, 12},   {0.5, 23},   {0.25, 39},
                                           {0.1, 69}, {0.05, 102}, {0.01, 251}};
  for (const auto& [sigma2, units] : known)
    EXPECT_EQ(std::count_if(spectrum.begin(), spectrum.end(),
                            [sigma2 = sigma2](double value) { return value > sigma2; }),
              units)
        << sigma2;
}
