// The density of the aggregate posterior against a host computation in double.
#include "kernels/ops/aggregate.h"

#include <gtest/gtest.h>

#include <array>
#include <numbers>

#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {
namespace {

/// log 1/N Σ_n e^{logs_n}, and how far float may be off: the logs' own error, and the sum's.
struct Mixture {
  double value, allowed;
};

/// `sizes` are what the parts of each log amount to; they count as far as the log does.
Mixture mixture(const std::vector<double>& logs, const std::vector<double>& sizes, double terms) {
  const double top = *std::max_element(logs.begin(), logs.end());
  double sum = 0, size = 0;
  for (std::size_t n = 0; n < logs.size(); ++n) {
    sum += std::exp(logs[n] - top);
    size += std::exp(logs[n] - top) * sizes[n];
  }
  size /= sum;
  const double count = double(logs.size()), value = top + std::log(sum) - std::log(count);
  // A log-density rounds about eight times, twice as much where it is squared; the promise of the
  // header lies above that in double, and below the worst case of a long sum in float.
  const double derived = terms * tolerance::formula(16, size / terms) +
                         tolerance::sum(terms, size) + tolerance::sum(count, 1) +
                         tolerance::formula(4, std::abs(value) + std::log(count));
  return {value, std::min(derived, 1e-5 * std::max(1.0, size))};
}

void expect_the_mixture(const Values& z, const Values& q) {
  const int rows = z.rows, count = q.rows, units = z.columns;
  std::vector<Mixture> joint, marginals;
  for (int m = 0; m < rows; ++m) {
    std::vector<double> total(count, 0.0), total_size(count, 0.0);
    for (int d = 0; d < units; ++d) {
      std::vector<double> logs, sizes;
      for (int n = 0; n < count; ++n) {
        const double s = q(n, 2 * d + 1), off = double(z(m, d)) - double(q(n, 2 * d));
        const double peak = -(s + std::log(2 * std::numbers::pi)) / 2;
        const double distance = off * off * std::exp(-s) / 2;
        logs.push_back(peak - distance), sizes.push_back(std::abs(peak) + distance);
        total[n] += logs.back(), total_size[n] += sizes.back();
      }
      marginals.push_back(mixture(logs, sizes, 1));
    }
    joint.push_back(mixture(total, total_size, units));
  }
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const AggregatePosterior op{memory.put(z), memory.put(q), memory.out(rows, 1),
                                memory.out(rows, units)};
    memory.ops().run(op);
    const Values log_q = memory.get(op.log_q), log_marginals = memory.get(op.log_marginals);
    for (int m = 0; m < rows; ++m) {
      ASSERT_NEAR(log_q(m, 0), joint[m].value, joint[m].allowed) << "row " << m;
      for (int d = 0; d < units; ++d) {
        const Mixture& wanted = marginals[m * units + d];
        ASSERT_NEAR(log_marginals(m, d), wanted.value, wanted.allowed)
            << "row " << m << ", unit " << d;
      }
    }
  }
}

/// Posteriors of that log-variance, give or take one.
Values posteriors(int count, int units, Real log_variance) {
  Values q = uniform(count, 2 * units, 51, -2, 2);
  const Values around = uniform(count, units, 52, -1, 1);
  for (int n = 0; n < count; ++n)
    for (int d = 0; d < units; ++d) q(n, 2 * d + 1) = log_variance + around(n, d);
  return q;
}

/// Rows `deviations` away from the means of one posterior after the other, in either direction.
Values near(const Values& q, int rows, Real deviations) {
  const int units = q.columns / 2;
  Values z = uniform(rows, units, 53, -deviations, deviations);
  for (int m = 0; m < rows; ++m)
    for (int d = 0; d < units; ++d) {
      const int n = m * 7 % q.rows;
      z(m, d) = q(n, 2 * d) + std::exp(q(n, 2 * d + 1) / 2) * z(m, d);
    }
  return z;
}

TEST(AggregatePosterior, is_the_mixture_computed_in_double_whatever_the_shape) {
  for (const int rows : {1, 5, 33})
    for (const int count : {1, 7, 1000})
      for (const int units : {1, 3, 20}) {
        SCOPED_TRACE(testing::Message()
                     << rows << " rows, " << count << " posteriors, " << units << " units");
        const Values q = posteriors(count, units, Real(-0.5));
        expect_the_mixture(near(q, rows, 2), q);
      }
}

TEST(AggregatePosterior, is_right_where_posteriors_are_narrow) {
  const Real log_variance = Real(2 * std::log(1e-4));
  for (const auto& [rows, count, units] : {std::array{5, 7, 20}, {9, 300, 3}, {5, 1000, 1}}) {
    SCOPED_TRACE(testing::Message()
                 << rows << " rows, " << count << " posteriors, " << units << " units");
    const Values q = posteriors(count, units, log_variance);
    expect_the_mixture(near(q, rows, 2), q);
  }
}

TEST(AggregatePosterior, is_right_where_every_density_underflows) {
  for (const int units : {1, 20}) {
    const Values q = posteriors(300, units, -1);
    Values z = uniform(5, units, 54, -1, 1);
    // log q is about -½ units (off / σ)² = -1e4
    for (Real& x : z.v) x += Real(std::sqrt(2e4 / units * std::exp(-1.0)));
    expect_the_mixture(z, q);
  }
}

TEST(AggregatePosterior, of_a_row_does_not_depend_on_the_rows_beside_it) {
  const Values q = posteriors(1000, 3, -1), z = near(q, 33, 2);
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const auto run = [&](const Values& rows) {
      const AggregatePosterior op{memory.put(rows), memory.put(q), memory.out(rows.rows, 1),
                                  memory.out(rows.rows, 3)};
      memory.ops().run(op);
      return std::pair(memory.get(op.log_q), memory.get(op.log_marginals));
    };
    const auto [together, marginals_together] = run(z);
    for (int m = 0; m < z.rows; m += 4) {
      const auto [alone, marginals_alone] = run({1, 3, {z(m, 0), z(m, 1), z(m, 2)}});
      EXPECT_EQ(alone(0, 0), together(m, 0));
      for (int d = 0; d < 3; ++d) EXPECT_EQ(marginals_alone(0, d), marginals_together(m, d));
    }
  }
}

TEST(AggregatePosterior, of_one_unit_is_its_marginal) {
  const Values q = posteriors(700, 1, -3), z = near(q, 9, 3);
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const AggregatePosterior op{memory.put(z), memory.put(q), memory.out(9, 1), memory.out(9, 1)};
    memory.ops().run(op);
    const Values log_q = memory.get(op.log_q), marginal = memory.get(op.log_marginals);
    for (int m = 0; m < 9; ++m)
      EXPECT_NEAR(log_q(m, 0), marginal(m, 0), tolerance::formula(2, marginal(m, 0)));
  }
}

TEST(AggregatePosterior, shows_a_number_that_is_none) {
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  Values q = posteriors(40, 2, -1);
  q(17, 0) = nan;
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const AggregatePosterior op{memory.put(uniform(3, 2, 55)), memory.put(q), memory.out(3, 1),
                                memory.out(3, 2)};
    memory.ops().run(op);
    const Values log_q = memory.get(op.log_q), marginals = memory.get(op.log_marginals);
    for (int m = 0; m < 3; ++m) {
      EXPECT_TRUE(std::isnan(log_q(m, 0)) && std::isnan(marginals(m, 0)));
      EXPECT_FALSE(std::isnan(marginals(m, 1)));
    }
  }
}

}  // namespace
}  // namespace elbo::test
