#include "runtime/fastest.h"

#include <gtest/gtest.h>

namespace elbo {
namespace {

/// The way taken where the trials, in their order, take so long.
int way(int ways, const std::vector<double>& seconds) {
  Fastest fastest(ways);
  for (int i = 0; i < int(seconds.size()); ++i) {
    EXPECT_EQ(fastest.next(), i % ways);
    EXPECT_EQ(fastest.way(), 0);
    fastest.took(seconds[std::size_t(i)]);
  }
  EXPECT_EQ(fastest.next(), std::nullopt);
  return fastest.way();
}

TEST(Fastest, counts_the_better_time_of_each_way) {
  EXPECT_EQ(way(3, {3, 2, 4, 3, 9, 4}), 1);
  EXPECT_EQ(way(3, {3, 2, 4, 3, 2, 1}), 2);
  EXPECT_EQ(way(2, {9, 5, 4, 6}), 0);
  EXPECT_EQ(way(2, {5, 5, 5, 5}), 0);  // the first of equals
}

TEST(Fastest, tries_nothing_where_there_is_one_way) {
  const Fastest one(1);
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_EQ(one.way(), 0);
}

}  // namespace
}  // namespace elbo
