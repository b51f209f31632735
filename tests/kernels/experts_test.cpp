// What two domains share: every device against plain loops in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {

namespace {

struct Size {
  int rows, units;
};
const Size sizes[] = {{1, 1}, {4, 3}, {33, 33}, {130, 8}, {3, 130}, {301, 9}};

/// Two experts of which rows lack the first, the second, or both, in turn.
struct Panel {
  Values a, b, there_a, there_b;
  explicit Panel(const Size& size)
      : a(uniform(size.rows, 2 * size.units, 1, -6, 6)),
        b(uniform(size.rows, 2 * size.units, 2, -6, 6)),
        there_a(filled(size.rows, 1, 7)),
        there_b(filled(size.rows, 1, 1)) {
    for (int r = 0; r < size.rows; ++r) {
      if (r % 4 == 1 || r % 4 == 3) there_a(r, 0) = 0;
      if (r % 4 == 2 || r % 4 == 3) there_b(r, 0) = 0;
    }
    // Where the first is absent, what stands in its place must not matter.
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    if (size.rows > 1) a(1, 0) = a(1, 1) = nan;
    // As sure as an expert can be, and as unsure.
    b(0, 1) = -200, a(size.rows - 1, 2 * size.units - 1) = 200;
  }
};

struct Product {
  double p_a, p_b, mean, log_variance, spread;  // spread: Σ |p_i μ_i|
};

Product exactly(const Panel& panel, int r, int unit) {
  const auto precision = [&](const Values& q, const Values& there) {
    return there(r, 0) > 0 ? std::exp(std::min(60.0, -double(q(r, 2 * unit + 1)))) : 0.0;
  };
  const double ta = precision(panel.a, panel.there_a), tb = precision(panel.b, panel.there_b);
  const double total = 1 + ta + tb;
  const double a = ta > 0 ? ta / total * panel.a(r, 2 * unit) : 0;
  const double b = tb > 0 ? tb / total * panel.b(r, 2 * unit) : 0;
  return {ta / total, tb / total, a + b, -std::log(total), std::abs(a) + std::abs(b)};
}

// A precision, a share of their sum, a product, and two sums of them: twelve roundings at most.
constexpr double roundings = 12;
// What is smaller than that underflows.
constexpr double least = std::numeric_limits<Real>::min();

TEST(Experts, agree_as_plain_loops_in_double_say_also_where_some_are_absent) {
  for (const Size& size : sizes) {
    const Panel panel(size);
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(testing::Message() << device.name << ' ' << size.rows << "x" << size.units);
      Memory memory(*device.backend);
      const Experts op{memory.put(panel.a), memory.put(panel.b), memory.put(panel.there_a),
                       memory.put(panel.there_b), memory.out(size.rows, 2 * size.units)};
      memory.ops().run(op);
      const Values got = memory.get(op.out);
      for (int r = 0; r < size.rows; ++r)
        for (int u = 0; u < size.units; ++u) {
          const Product p = exactly(panel, r, u);
          EXPECT_NEAR(got(r, 2 * u), p.mean, 2 * roundings * tolerance::unit * p.spread + least);
          EXPECT_NEAR(got(r, 2 * u + 1), p.log_variance,
                      tolerance::formula(roundings, p.log_variance));
          if (r % 4 == 3) {
            EXPECT_EQ(got(r, 2 * u), 0) << "nobody speaks: the prior";
            EXPECT_EQ(got(r, 2 * u + 1), 0) << "nobody speaks: the prior";
          }
        }
    }
  }
}

TEST(Experts, have_the_gradient_of_plain_loops_in_double_and_none_where_they_are_absent) {
  for (const Size& size : sizes) {
    const Panel panel(size);
    const Values g = uniform(size.rows, 2 * size.units, 3);
    Values product = filled(size.rows, 2 * size.units, 0);
    for (int r = 0; r < size.rows; ++r)
      for (int u = 0; u < size.units; ++u) {
        const Product p = exactly(panel, r, u);
        product(r, 2 * u) = Real(p.mean), product(r, 2 * u + 1) = Real(p.log_variance);
      }
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(testing::Message() << device.name << ' ' << size.rows << "x" << size.units);
      Memory memory(*device.backend);
      const ExpertsGradient op{memory.put(g),
                               memory.put(panel.a),
                               memory.put(panel.b),
                               memory.put(panel.there_a),
                               memory.put(panel.there_b),
                               memory.put(product),
                               memory.out(size.rows, 2 * size.units),
                               memory.out(size.rows, 2 * size.units)};
      memory.ops().run(op);
      const Values da = memory.get(op.da), db = memory.get(op.db);
      for (int r = 0; r < size.rows; ++r)
        for (int u = 0; u < size.units; ++u) {
          const Product p = exactly(panel, r, u);
          const auto check = [&](const Values& q, const Values& dq, double share) {
            const double g_mean = g(r, 2 * u), g_log = g(r, 2 * u + 1);
            const double off = share > 0 ? double(q(r, 2 * u)) - product(r, 2 * u) : 0;
            const double slope = share * (g_log - off * g_mean);
            const double made_of =
                share * (std::abs(g_log) +
                         (std::abs(off) + std::abs(double(product(r, 2 * u)))) * std::abs(g_mean));
            EXPECT_NEAR(dq(r, 2 * u), share * g_mean,
                        2 * roundings * tolerance::unit * share * std::abs(g_mean) + least);
            EXPECT_NEAR(dq(r, 2 * u + 1), slope, 2 * roundings * tolerance::unit * made_of + least);
          };
          check(panel.a, da, p.p_a), check(panel.b, db, p.p_b);
        }
    }
  }
}

TEST(CountPresent, counts_what_is_no_nan_on_every_device) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 3}, {33, 130}, {2, 1000}, {301, 9}}) {
    Values x = uniform(rows, columns, 4);
    std::vector<int> there(std::size_t(rows), columns);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c)
        if (r % 3 == 1 || (r % 3 == 2 && c % 5 == 0))
          x(r, c) = std::numeric_limits<Real>::quiet_NaN(), --there[std::size_t(r)];
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(testing::Message() << device.name << ' ' << rows << "x" << columns);
      Memory memory(*device.backend);
      const CountPresent op{memory.put(x), memory.out(rows, 1)};
      memory.ops().run(op);
      const Values got = memory.get(op.out);
      for (int r = 0; r < rows; ++r) EXPECT_EQ(got(r, 0), there[std::size_t(r)]) << r;
    }
  }
}

}  // namespace

}  // namespace elbo::test
