#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

/// Row r holds 10 r, 10 r + 1; everything that can be known of it is.
Dataset table(long rows) {
  Dataset data;
  data.source = "x.csv";
  data.type = Dataset::Type::f32;
  data.rows = rows;
  data.columns = 2;
  data.column_names = {"a", "b"};
  for (long r = 0; r < rows; ++r) {
    data.floats.insert(data.floats.end(), {10.f * float(r), 10.f * float(r) + 1});
    data.labels.push_back(int(r));
    data.row_names.push_back("row " + std::to_string(r));
  }
  return data;
}

/// 3 x 4: (0 5 0 nan), (), (7 0 0 1), times 2.
Dataset lists() {
  Dataset data;
  data.source = "x.mtx";
  data.type = Dataset::Type::csr;
  data.rows = 3, data.columns = 4, data.scale = 2;
  data.starts = {0, 2, 2, 4};
  data.indices = {1, 3, 0, 3};
  data.floats = {5, NAN, 7, 1};
  return data;
}

}  // namespace

TEST(DatasetOfLists, HasTheValuesThatItListsAndElseZero) {
  const std::vector<float> all = lists().values();
  const std::vector<float> expected{0, 10, 0, NAN, 0, 0, 0, 0, 14, 0, 0, 2};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const float value = lists().value(long(i) / 4, int(i % 4));
    EXPECT_TRUE(std::isnan(expected[i]) ? std::isnan(all[i]) : all[i] == expected[i]) << i;
    EXPECT_TRUE(std::isnan(expected[i]) ? std::isnan(value) : value == expected[i]) << i;
  }
  EXPECT_EQ(lists().missing(), 1);
}

TEST(DatasetOfLists, SelectsRowsInAnyOrder) {
  const Dataset part = lists().select({2, 1, 2});
  require_lists(part);
  EXPECT_EQ(part.values(), (std::vector<float>{14, 0, 0, 2, 0, 0, 0, 0, 14, 0, 0, 2}));
  EXPECT_EQ(lists().slice(1, 1).values(), std::vector<float>(4));
}

TEST(DatasetOfLists, HasAHashOfItsValuesAndNotOfListedZeros) {
  Dataset zero = lists();
  zero.starts = {0, 3, 4, 6};
  zero.indices = {0, 1, 3, 2, 0, 3};
  zero.floats = {0, 5, NAN, 0, 7, 1};
  EXPECT_EQ(zero.hash(), lists().hash());
  std::set<std::string> hashes{lists().hash()};
  for (std::size_t i = 0; i < 4; ++i) {
    Dataset changed = lists();
    changed.floats[i] = 3;
    hashes.insert(changed.hash());
    changed = lists();
    changed.indices[i] += i == 2 ? 1 : -1;
    hashes.insert(changed.hash());
  }
  Dataset changed = lists();
  changed.starts = {0, 2, 3, 4};
  hashes.insert(changed.hash());
  changed = lists();
  changed.columns = 5;
  hashes.insert(changed.hash());
  EXPECT_EQ(hashes.size(), 11u);
}

TEST(DatasetOfLists, ThatAreNoneIsAnError) {
  Dataset twice = lists();
  twice.indices[3] = 0;
  EXPECT_EQ(error_of([&] { require_lists(twice); }),
            "x.mtx: row 2 lists column 0, expected ascending columns below 4");
  Dataset outside = lists();
  outside.indices[1] = 4;
  EXPECT_EQ(error_of([&] { require_lists(outside); }),
            "x.mtx: row 0 lists column 4, expected ascending columns below 4");
  Dataset backwards = lists();
  backwards.starts = {0, 2, 1, 4};
  EXPECT_EQ(error_of([&] { require_lists(backwards); }), "x.mtx: row 1 starts behind its end");
  Dataset shorter = lists();
  shorter.starts.pop_back();
  EXPECT_EQ(error_of([&] { require_lists(shorter); }),
            "x.mtx: 3 starts, 4 columns, 4 values are no lists of 3 rows");
}

TEST(DatasetOfLists, MissingInAWholeColumnIsAnErrorThatNamesIt) {
  Dataset data = lists().slice(0, 1);
  EXPECT_EQ(error_of([&] { require_no_empty_column(data); }),
            "x.mtx: column 4 is missing in every row, expected a number");
  EXPECT_EQ(error_of([&] { require_no_empty_column(lists()); }), "");
}

TEST(DatasetSelect, KeepsLabelsAndNamesWithTheirRows) {
  const Dataset part = table(5).select({3, 1, 3});
  EXPECT_EQ(part.rows, 3);
  EXPECT_EQ(part.floats, (std::vector<float>{30, 31, 10, 11, 30, 31}));
  EXPECT_EQ(part.labels, (std::vector<int>{3, 1, 3}));
  EXPECT_EQ(part.row_names, (std::vector<std::string>{"row 3", "row 1", "row 3"}));
  EXPECT_EQ(part.column_names, (std::vector<std::string>{"a", "b"}));
}

TEST(DatasetSelect, OfARowThatIsNotThereIsAnError) {
  EXPECT_EQ(error_of([] { table(5).select({5}); }), "x.csv: row 5 selected, but there are 5 rows");
  EXPECT_EQ(error_of([] { table(5).select({-1}); }),
            "x.csv: row -1 selected, but there are 5 rows");
}

TEST(DatasetSlice, IsARangeOfRows) {
  EXPECT_EQ(table(5).slice(1, 2).labels, (std::vector<int>{1, 2}));
  EXPECT_EQ(table(5).slice(5, 0).rows, 0);
  EXPECT_EQ(error_of([] { table(5).slice(4, 2); }),
            "x.csv: slice of 2 rows from row 4, but there are 5 rows");
}

TEST(DatasetValue, IsStoredTimesScale) {
  Dataset data;
  data.type = Dataset::Type::u8;
  data.rows = data.columns = 2;
  data.bytes = {0, 51, 102, 255};
  data.scale = 1.f / 255;
  EXPECT_FLOAT_EQ(data.value(0, 1), .2f);
  for (long i = 0; i < 4; ++i)
    EXPECT_EQ(data.values()[std::size_t(i)], data.value(i / 2, int(i % 2)));
}

TEST(DatasetMissing, CountsWhatIsNotKnown) {
  Dataset data = table(3);
  EXPECT_EQ(data.missing(), 0);
  data.floats[0] = data.floats[5] = NAN;
  EXPECT_EQ(data.missing(), 2);
  EXPECT_EQ(data.select({1, 1}).missing(), 0);
}

TEST(DatasetMissing, InAWholeColumnIsAnErrorThatNamesIt) {
  Dataset data = table(3);
  for (const std::size_t at : {1, 3, 4}) data.floats[at] = NAN;
  EXPECT_EQ(error_of([&] { require_no_empty_column(data); }), "");
  data.floats[5] = NAN;
  EXPECT_EQ(error_of([&] { require_no_empty_column(data); }),
            "x.csv: column 2 (b) is missing in every row, expected a number");
  data.column_names.clear();
  EXPECT_EQ(error_of([&] { require_no_empty_column(data); }),
            "x.csv: column 2 is missing in every row, expected a number");
}

TEST(DatasetHash, IsSixteenHexDigitsThatStay) {
  EXPECT_EQ(table(3).hash(), table(3).hash());
  EXPECT_EQ(table(3).hash().size(), 16u);
  EXPECT_EQ(table(3).hash().find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(DatasetHash, OfADenseSetIsThatOfRunsMadeBefore) {
  EXPECT_EQ(table(3).hash(), "7f9b5c33ddc524ce");
  Dataset grey;
  grey.type = Dataset::Type::u8, grey.rows = grey.columns = 2, grey.scale = 1.f / 255;
  grey.bytes = {0, 51, 102, 255};
  EXPECT_EQ(grey.hash(), "5dab1b5955c5bdaf");
}

TEST(DatasetHash, ChangesWithEveryValueTheShapeAndTheScale) {
  std::set<std::string> hashes{table(4).hash()};
  for (std::size_t i = 0; i < 8; ++i) {
    Dataset changed = table(4);
    changed.floats[i] += 1;
    hashes.insert(changed.hash());
  }
  Dataset changed = table(4);
  changed.rows = 2, changed.columns = 4;
  hashes.insert(changed.hash());
  changed = table(4);
  changed.scale = 2;
  hashes.insert(changed.hash());
  hashes.insert(table(4).select({1, 0, 2, 3}).hash());
  EXPECT_EQ(hashes.size(), 12u);
}

TEST(DatasetHash, DoesNotChangeWithNamesAndLabels) {
  Dataset renamed = table(4);
  renamed.labels.clear(), renamed.row_names.clear(), renamed.column_names.clear();
  renamed.source = "elsewhere.csv";
  EXPECT_EQ(renamed.hash(), table(4).hash());
}

TEST(Splitting, PutsEachRowIntoExactlyOnePart) {
  const Split parts = split(table(1000), .1, 7);
  EXPECT_EQ(parts.valid.rows, 100);
  EXPECT_EQ(parts.train.rows, 900);
  std::vector<int> all = parts.train.labels;
  all.insert(all.end(), parts.valid.labels.begin(), parts.valid.labels.end());
  std::ranges::sort(all);
  EXPECT_EQ(all, table(1000).labels);
}

TEST(Splitting, KeepsTheOrderOfTheFile) {
  const Split parts = split(table(1000), .3, 7);
  EXPECT_TRUE(std::ranges::is_sorted(parts.train.labels));
  EXPECT_TRUE(std::ranges::is_sorted(parts.valid.labels));
}

TEST(Splitting, IsAFunctionOfTheSeed) {
  const Dataset data = table(1000);
  EXPECT_EQ(split(data, .1, 7).valid.labels, split(data, .1, 7).valid.labels);
  EXPECT_NE(split(data, .1, 7).valid.labels, split(data, .1, 8).valid.labels);
}

TEST(Splitting, TakesItsRowsFromEverywhere) {
  const std::vector<int> valid = split(table(10000), .1, 1).valid.labels;
  const double mean = std::accumulate(valid.begin(), valid.end(), 0.0) / 1000;
  const double deviation = 10000 / std::sqrt(12.0) / std::sqrt(1000.0);
  EXPECT_NEAR(mean, 5000, 4 * deviation);
}

TEST(Splitting, LeavesNoPartEmpty) {
  EXPECT_EQ(split(table(2), .001, 0).valid.rows, 1);
  EXPECT_EQ(split(table(2), .999, 0).train.rows, 1);
}

TEST(Splitting, ByAFractionThatIsNotOneIsAnError) {
  for (const double fraction : {0.0, 1.0, -.1, 1.5})
    EXPECT_NE(error_of([&] { split(table(10), fraction, 0); }), "") << fraction;
  EXPECT_EQ(error_of([] { split(table(10), 1.5, 0); }),
            "x.csv: validation fraction is 1.5, expected more than 0 and less than 1");
  EXPECT_EQ(error_of([] { split(table(1), .5, 0); }),
            "x.csv: has 1 rows, splitting needs at least 2");
}
