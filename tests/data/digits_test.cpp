#include "data/digits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr int pixels = 784;

std::vector<std::uint8_t> digit(const Dataset& data, long i) {
  return {data.bytes.begin() + i * pixels, data.bytes.begin() + (i + 1) * pixels};
}

}  // namespace

TEST(Digits, AreTenThousandGreyImagesByDefault) {
  const Dataset data = read_dataset("builtin:digits");
  EXPECT_EQ(data.source, "builtin:digits");
  EXPECT_EQ(data.type, Dataset::Type::u8);
  EXPECT_EQ(data.rows, 10000);
  EXPECT_EQ(data.columns, pixels);
  EXPECT_EQ(data.bytes.size(), 10000u * pixels);
  EXPECT_EQ(data.image_height * data.image_width, pixels);
  EXPECT_FLOAT_EQ(data.scale, 1 / 255.f);
}

TEST(Digits, DependOnSeedAndIndexOnly) {
  const Dataset few = draw_digits(37, 5), many = draw_digits(200, 5);
  EXPECT_EQ(many.slice(0, 37).bytes, few.bytes);
  EXPECT_EQ(many.slice(0, 37).labels, few.labels);
  EXPECT_EQ(read_dataset("builtin:digits?seed=5&n=37").bytes, few.bytes);
}

// A run is resumed on another machine only if its data are the same there.  Where the target has
// fma, digits.cpp must be compiled with -ffp-contract=off.
TEST(Digits, AreTheSameBitsOnEveryMachine) {
  EXPECT_EQ(draw_digits(10000, 0).hash(), "fef915d4fafa5bb6");
}

TEST(Digits, OfAnotherSeedAreOthers) {
  const Dataset a = draw_digits(100, 0), b = draw_digits(100, 1);
  for (long i = 0; i < 100; ++i) EXPECT_NE(digit(a, i), digit(b, i)) << i;
}

TEST(Digits, AreNeverTwiceTheSame) {
  const Dataset data = draw_digits(10000, 0);
  std::set<std::vector<std::uint8_t>> seen;
  for (long i = 0; i < data.rows; ++i) seen.insert(digit(data, i));
  EXPECT_EQ(seen.size(), 10000u);
}

TEST(Digits, HaveBalancedClasses) {
  std::array<int, 10> counts{};
  for (const int label : draw_digits(1000, 3).labels) ++counts.at(std::size_t(label));
  EXPECT_TRUE(std::ranges::all_of(counts, [](int count) { return count == 100; }));
}

TEST(Digits, AreLightOnABlackGroundAndFadeBeforeTheEdge) {
  const Dataset data = draw_digits(2000, 0);
  for (long i = 0; i < data.rows; ++i) {
    const auto image = digit(data, i);
    const long black = std::ranges::count(image, 0);
    EXPECT_GT(black, pixels / 2) << i;
    EXPECT_LT(black, pixels - 25) << i;
    EXPECT_GT(*std::ranges::max_element(image), 150) << i;
    int edge = 0;
    for (int k = 0; k < 28; ++k)
      edge = std::max<int>({edge, image[k], image[27 * 28 + k], image[28 * k], image[28 * k + 27]});
    EXPECT_LT(edge, 64) << i;
  }
}

// A classifier as simple as there is finds the class of most, but not of all: the drawings are
// digits, and they vary.
TEST(Digits, AreMostlyNearestToTheMeanOfTheirClass) {
  const Dataset train = draw_digits(2000, 1), test = draw_digits(500, 2);
  std::array<std::array<double, pixels>, 10> mean{};
  for (long i = 0; i < train.rows; ++i)
    for (int p = 0; p < pixels; ++p) mean[std::size_t(i % 10)][p] += train.value(i, p) / 200;
  int right = 0;
  for (long i = 0; i < test.rows; ++i) {
    const auto distance = [&](const std::array<double, pixels>& to) {
      double sum = 0;
      for (int p = 0; p < pixels; ++p) sum += std::pow(test.value(i, p) - to[p], 2);
      return sum;
    };
    const auto nearest = std::ranges::min_element(mean, {}, distance);
    right += nearest - mean.begin() == test.labels[std::size_t(i)];
  }
  EXPECT_GT(right, 350);
  EXPECT_LT(right, 500);
}

TEST(Digits, NamedWronglyAreAnError) {
  const auto message = [](const std::string& what) {
    return error_of([&] { read_dataset(what); });
  };
  EXPECT_EQ(message("builtin:letters"),
            "builtin:letters: no such built-in data set, expected builtin:digits or "
            "builtin:cell-cycle");
  EXPECT_EQ(message("builtin:digits?size=3"),
            "builtin:digits?size=3: unknown key \"size\", expected n or seed");
  EXPECT_EQ(message("builtin:digits?n=many"),
            "builtin:digits?n=many: n is \"many\", expected a whole number from 0");
  EXPECT_EQ(message("builtin:digits?n=-5"),
            "builtin:digits?n=-5: n is \"-5\", expected a whole number from 0");
  EXPECT_EQ(message("builtin:digits?n=0"), "builtin:digits?n=0: n is 0, expected 1 to 10000000");
  EXPECT_EQ(
      message("builtin:digits?n=99999999999999999999"),
      "builtin:digits?n=99999999999999999999: n is \"99999999999999999999\", expected a whole "
      "number from 0");
  EXPECT_EQ(message("builtin:digits?n"), "builtin:digits?n: \"n\" is not KEY=VALUE");
  EXPECT_EQ(message("builtin:digits?"), "builtin:digits?: \"\" is not KEY=VALUE");
  EXPECT_EQ(message("builtin:digits?n=5&"), "builtin:digits?n=5&: \"\" is not KEY=VALUE");
}
