// Schedules at steps where their values are known.
#include <gtest/gtest.h>

#include "kernels/math/schedules.h"

namespace elbo {
namespace {

TEST(Cyclical, rises_over_the_first_half_of_each_cycle_and_then_stays) {
  const Schedule beta = Cyclical{.value = 4, .period = 8};
  const Real cycle[] = {0, 1, 2, 3, 4, 4, 4, 4};
  for (std::uint64_t step = 0; step < 24; ++step)
    EXPECT_EQ(at(beta, step), cycle[step % 8]) << step;
}

TEST(Cyclical, rises_over_the_part_that_is_asked_for) {
  const Cyclical quarter{.value = 1, .period = 8, .ramp = Real(0.25)};
  EXPECT_EQ(quarter.at(1), Real(0.5));
  EXPECT_EQ(quarter.at(2), 1);
  const Cyclical whole{.value = 1, .period = 8, .ramp = 1};
  EXPECT_EQ(whole.at(7), Real(7) / 8);
  EXPECT_EQ(whole.at(8), 0);
}

TEST(Cyclical, of_one_cycle_is_a_warm_up_over_half_of_it) {
  const Cyclical one{.value = 3, .period = 1000};
  const WarmUp half{.value = 3, .steps = 500};
  for (std::uint64_t step = 0; step < 1000; ++step)
    EXPECT_NEAR(one.at(step), half.at(step), 2 * std::numeric_limits<Real>::epsilon() * 3) << step;
}

}  // namespace
}  // namespace elbo
