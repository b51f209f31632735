// Normalisations, dropout, rates and transforms: every device against plain loops in double.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {

namespace {

struct Size {
  int rows, columns;
};
/// Fewer and more columns than a team of columns, a warp and a long row have; few and many rows.
const Size sizes[] = {{2, 1}, {2, 3}, {33, 33}, {130, 8}, {3, 130}, {40, 1000}, {301, 9}};

const Activation activations[] = {Identity{}, Silu{}, Tanh{}};

/// Noise for shuffled data in the middle of an epoch, in the test's memory.
struct HostNoise {
  std::vector<std::uint32_t> order;
  StepState state{.step = 3, .epoch = 2, .position = 5};
  explicit HostNoise(int rows) {
    for (int r = 0; r < rows + 5; ++r) order.push_back(std::uint32_t(97 * r % 1009));
  }
  Noise noise() const {
    return {.seed = 0x1234567890abcdef,
            .stream = std::uint32_t(Stream::dropout),
            .batch = {order.data(), &state}};
  }
  Noise on(Memory& memory) const {
    Noise there = noise();
    there.batch = {memory.put(order), memory.put(std::vector<StepState>{state})};
    return there;
  }
};

DropoutMask mask_of(double probability, const Noise& noise) {
  return {std::uint32_t(std::ldexp(probability, 32)), Real(1 / (1 - probability)), noise};
}

/// One normalisation: its input, what follows it, and the gradient that comes back.
struct NormCase {
  Size size;
  Activation activation;
  double probability;  // of being dropped
  Values x, gamma, beta, dy;
  Real epsilon = Real(1e-3), momentum = Real(0.01);
  HostNoise host;

  NormCase(Size size, const Activation& activation, double probability, Real shift)
      : size(size),
        activation(activation),
        probability(probability),
        x(uniform(size.rows, size.columns, 1, shift - 2, shift + 2)),
        gamma(uniform(1, size.columns, 2)),
        beta(uniform(1, size.columns, 3)),
        dy(uniform(size.rows, size.columns, 4)),
        host(size.rows) {}

  Norm on(Memory& memory, Size statistics) const {
    return {.x = memory.put(x),
            .gamma = memory.put(gamma),
            .beta = memory.put(beta),
            .mean = memory.out(statistics.rows, statistics.columns),
            .inverse = memory.out(statistics.rows, statistics.columns),
            .epsilon = epsilon,
            .activation = activation,
            .mask = mask_of(probability, host.on(memory))};
  }
  double factor(int r, int c) const {
    return probability > 0 ? mask_of(probability, host.noise()).row(r).factor(c) : 1;
  }
};

/// The same in double for n entries that share a mean and a variance, and how far a device may be.
struct Group {
  double mean = 0, variance = 0, inverse = 0, sum_g = 0, sum_gx = 0;
  std::vector<double> normal, y, g, dx;
  double error = 0;             // of a normalised entry
  double most_y = 1, most = 1;  // the largest γ and y, and of what the gradient is made
};

/// `at(i)` gives the place of entry i of the group.  `weighted`: γ stands within the sums (rows).
/// mean and variance may be given (the running estimates): then they are constants.
Group exactly(const NormCase& c, int n, const std::function<std::pair<int, int>(int)>& at,
              bool weighted, const double* given = nullptr) {
  Group group;
  double magnitude = 0;
  for (int i = 0; i < n; ++i) {
    const double x = c.x(at(i).first, at(i).second);
    group.mean += x / n, magnitude += std::abs(x);
  }
  for (int i = 0; i < n; ++i)
    group.variance += square(c.x(at(i).first, at(i).second) - group.mean) / n;
  if (given) group.mean = given[0], group.variance = given[1];
  group.inverse = 1 / std::sqrt(group.variance + double(c.epsilon));
  const AnyActivation activation{c.activation};
  double largest = 0, largest_g = 0;
  for (int i = 0; i < n; ++i) {
    const auto [r, k] = at(i);
    const double normal = (c.x(r, k) - group.mean) * group.inverse, gamma = c.gamma(0, k);
    const double u = gamma * normal + c.beta(0, k), y = activation.value(u), m = c.factor(r, k);
    const double g = m * c.dy(r, k) * activation.slope(u, y);
    group.normal.push_back(normal), group.y.push_back(m * y), group.g.push_back(g);
    group.sum_g += (weighted ? gamma : 1) * g, group.sum_gx += (weighted ? gamma : 1) * g * normal;
    largest = std::max(largest, std::abs(normal)), largest_g = std::max(largest_g, std::abs(g));
    group.most_y = std::max({group.most_y, m, std::abs(m * y)});
  }
  for (int i = 0; i < n; ++i) {
    const double gamma = c.gamma(0, at(i).second);
    const double mean = given ? 0 : (group.sum_g + group.normal[i] * group.sum_gx) / n;
    group.dx.push_back(group.inverse *
                       (weighted ? gamma * group.g[i] - mean : gamma * (group.g[i] - mean)));
  }
  // The mean errs by a; so does each centred entry, and therefore σ by as much; then roundings.
  const double a = given ? 0 : tolerance::sum(n, magnitude) / n;
  const double entry = a + tolerance::unit * (std::abs(group.mean) + magnitude / n);
  group.error = 2 * (entry * group.inverse * (1 + largest) +
                     (tolerance::sum(n, 1) + 8 * tolerance::unit) * (1 + largest));
  group.most = (1 + largest_g) * square(1 + largest) * std::max(1.0, 1 / (1 - c.probability));
  return group;
}

/// A gradient is made of at most four factors that each err as a normalised entry does.
void expect_gradients(const Group& g, int i, double scale, double dx) {
  EXPECT_NEAR(dx, g.dx[i], 4 * scale * g.inverse * g.most * g.error) << "dx of entry " << i;
}

void each_case(const std::function<void(const NormCase&)>& body) {
  for (const Size size : sizes)
    for (const Activation& activation : activations)
      for (const double probability : {0.0, 0.3}) {
        SCOPED_TRACE(testing::Message() << size.rows << "x" << size.columns << ", activation "
                                        << activation.index() << ", dropout " << probability);
        body(NormCase(size, activation, probability, Real(0.5)));
      }
  SCOPED_TRACE("a mean 1000 times the deviation");
  body(NormCase({200, 12}, Identity{}, 0, 1000));
}

struct ColumnsOnDevice {
  Values y, mean, variance, dx, dgamma, dbeta;
};
ColumnsOnDevice normalise_columns(Backend& backend, const NormCase& c, bool training) {
  Memory memory(backend);
  const auto [rows, columns] = c.size;
  NormaliseColumns op{.norm = c.on(memory, {1, columns}),
                      .running_mean = memory.put(filled(1, columns, Real(0.25))),
                      .running_variance = memory.put(filled(1, columns, Real(1.5))),
                      .y = memory.out(rows, columns),
                      .momentum = c.momentum,
                      .training = training};
  memory.ops().run(op);
  const NormaliseColumnsGradient back{op.norm,
                                      memory.put(c.dy),
                                      memory.out(rows, columns),
                                      memory.out(1, columns),
                                      memory.out(1, columns),
                                      training};
  memory.ops().run(back);
  return {memory.get(op.y),    memory.get(op.running_mean), memory.get(op.running_variance),
          memory.get(back.dx), memory.get(back.dgamma),     memory.get(back.dbeta)};
}

}  // namespace

TEST(NormaliseColumns, and_its_gradient_equal_plain_loops_in_double) {
  each_case([](const NormCase& c) {
    const auto [rows, columns] = c.size;
    for (const bool training : {true, false})
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(device.name + (training ? ", training" : ", evaluation"));
        const ColumnsOnDevice got = normalise_columns(*device.backend, c, training);
        for (int k = 0; k < columns; ++k) {
          const double estimates[] = {0.25, 1.5};
          const Group g = exactly(
              c, rows, [k](int r) { return std::pair(r, k); }, false,
              training ? nullptr : estimates);
          const double momentum = training ? double(c.momentum) : 0;
          const double mean = 0.25 + momentum * (g.mean - 0.25);
          const double unbiased = g.variance * rows / std::max(1, rows - 1);
          const double variance = 1.5 + momentum * (unbiased - 1.5);
          EXPECT_NEAR(got.mean(0, k), mean,
                      momentum * g.error / g.inverse + tolerance::formula(3, mean));
          EXPECT_NEAR(got.variance(0, k), variance,
                      2 * momentum * unbiased * g.error + tolerance::formula(3, variance));
          double sum = 0;
          for (int r = 0; r < rows; ++r) {
            EXPECT_NEAR(got.y(r, k), g.y[r], 2 * g.most_y * g.error) << r << "," << k;
            expect_gradients(g, r, std::abs(c.gamma(0, k)), got.dx(r, k));
            sum += std::abs(g.g[r]);
          }
          const double each = 2 * g.most * g.error;
          EXPECT_NEAR(got.dbeta(0, k), g.sum_g, rows * each + tolerance::sum(rows, sum));
          EXPECT_NEAR(got.dgamma(0, k), g.sum_gx, rows * each + tolerance::sum(rows, g.most * sum));
        }
      }
  });
}

namespace {

/// A part of a case's rows; of none, one that counts for nothing.
struct Part {
  NormCase c;
  bool counts;
  int first;
  std::unique_ptr<Memory> memory;
  NormaliseColumns op{};
  NormaliseColumnsGradient back{};

  Part(const NormCase& whole, int first, int rows, Backend& backend)
      : c(whole), counts(rows > 0), first(first), memory(std::make_unique<Memory>(backend)) {
    const auto cut = [&](const Values& all) {
      const auto from = all.v.begin() + std::ptrdiff_t(first) * all.columns;
      return Values{std::max(rows, 1), all.columns, {from, from + std::max(rows, 1) * all.columns}};
    };
    c.x = cut(whole.x), c.dy = cut(whole.dy), c.size.rows = c.x.rows;
  }
};

void add(Values& to, const Values& part) {
  for (std::size_t i = 0; i < to.v.size(); ++i) to.v[i] += part.v[i];
}

}  // namespace

TEST(NormaliseColumns, of_the_parts_of_a_batch_are_those_of_the_whole) {
  const std::vector<int> sizes{13, 0, 1, 26};
  for (const Real shift : {Real(0.5), Real(1000)})
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(testing::Message() << device.name << ", shifted by " << shift);
      const NormCase c({40, 19}, Tanh{}, 0, shift);
      const auto [rows, columns] = c.size;
      std::vector<Part> parts;
      int first = 0;
      for (const int n : sizes) parts.emplace_back(c, first, n, *device.backend), first += n;
      Values moments = filled(3 * int(sizes.size()), columns, 0), sums = filled(2, columns, 0);
      for (Part& p : parts) {
        p.op = {.norm = p.c.on(*p.memory, {1, columns}),
                .running_mean = p.memory->put(filled(1, columns, Real(0.25))),
                .running_variance = p.memory->put(filled(1, columns, Real(1.5))),
                .y = p.memory->out(p.c.size.rows, columns),
                .momentum = 1};
        const Matrix own = p.memory->out(moments.rows, columns);
        p.memory->ops().run(ColumnMoments{p.op.norm.x, own, int(&p - parts.data()), p.counts});
        add(moments, p.memory->get(own));
      }
      for (Part& p : parts) {
        p.op.parts = p.memory->put(moments);
        p.memory->ops().run(p.op);
        p.back = {.norm = p.op.norm,
                  .dy = p.memory->put(p.c.dy),
                  .dx = p.memory->out(p.c.size.rows, columns),
                  .dgamma = p.memory->out(1, columns),
                  .dbeta = p.memory->out(1, columns),
                  .sums = p.memory->out(2, columns),
                  .counts = p.counts};
        p.memory->ops().run(p.back);
        add(sums, p.memory->get(p.back.sums));
      }
      for (Part& p : parts) {
        const Norm& norm = p.op.norm;
        p.memory->ops().run(CentreSlopes{norm.x, norm.gamma, norm.mean, norm.inverse, p.op.parts,
                                         p.memory->put(sums), p.back.dx});
        const Values y = p.memory->get(p.op.y), dx = p.memory->get(p.back.dx);
        const Values mean = p.memory->get(p.op.running_mean);
        const Values variance = p.memory->get(p.op.running_variance);
        for (int k = 0; k < columns; ++k) {
          Group g = exactly(
              c, rows, [k](int r) { return std::pair(r, k); }, false);
          g.error *= 2;  // each part's roundings, and those of joining them
          const double unbiased = g.variance * rows / (rows - 1);
          EXPECT_NEAR(mean(0, k), g.mean, g.error / g.inverse);
          EXPECT_NEAR(variance(0, k), unbiased, 2 * unbiased * g.error);
          for (int r = 0; r < (p.counts ? p.c.size.rows : 0); ++r) {
            EXPECT_NEAR(y(r, k), g.y[p.first + r], 2 * g.most_y * g.error) << r << "," << k;
            expect_gradients(g, p.first + r, std::abs(c.gamma(0, k)), dx(r, k));
          }
        }
      }
    }
}

TEST(NormaliseRows, and_its_gradient_equal_plain_loops_in_double) {
  each_case([](const NormCase& c) {
    const auto [rows, columns] = c.size;
    std::vector<Group> groups;
    for (int r = 0; r < rows; ++r)
      groups.push_back(exactly(
          c, columns, [r](int k) { return std::pair(r, k); }, true));
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(device.name);
      Memory memory(*device.backend);
      const NormaliseRows op{c.on(memory, {rows, 1}), memory.out(rows, columns)};
      memory.ops().run(op);
      const NormaliseRowsGradient back{op.norm, memory.put(c.dy), memory.out(rows, columns),
                                       memory.out(rows, columns)};
      memory.ops().run(back);
      const SumSlopes sums{back.slope,
                           op.norm.x,
                           op.norm.mean,
                           op.norm.inverse,
                           memory.out(1, columns),
                           memory.out(1, columns)};
      memory.ops().run(sums);
      const Values y = memory.get(op.y), dx = memory.get(back.dx), dgamma = memory.get(sums.dgamma),
                   dbeta = memory.get(sums.dbeta);
      std::vector<double> sum_g(columns), sum_gx(columns), bound(columns);
      for (int r = 0; r < rows; ++r) {
        const Group& g = groups[r];
        for (int k = 0; k < columns; ++k) {
          EXPECT_NEAR(y(r, k), g.y[k], 2 * g.most_y * g.error) << r << "," << k;
          expect_gradients(g, k, 1, dx(r, k));
          sum_g[k] += g.g[k], sum_gx[k] += g.g[k] * g.normal[k];
          bound[k] += 2 * g.most * g.error + tolerance::sum(rows, g.most);
        }
      }
      for (int k = 0; k < columns; ++k) {
        EXPECT_NEAR(dbeta(0, k), sum_g[k], bound[k]);
        EXPECT_NEAR(dgamma(0, k), sum_gx[k], bound[k]);
      }
    }
  });
}

TEST(NormaliseColumns, let_a_nan_through_into_its_own_column_alone) {
  NormCase c({37, 21}, Identity{}, 0, 0);
  c.x(5, 10) = std::numeric_limits<Real>::quiet_NaN();
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    const ColumnsOnDevice got = normalise_columns(*device.backend, c, true);
    for (int k = 0; k < 21; ++k) {
      EXPECT_EQ(std::isnan(got.mean(0, k)), k == 10);
      for (int r = 0; r < 37; ++r) EXPECT_EQ(std::isnan(got.y(r, k)), k == 10);
    }
  }
}

TEST(Drop, keeps_what_the_formula_keeps_on_every_device) {
  for (const auto [rows, columns] : {Size{1, 1}, {33, 37}, {5, 785}}) {
    const HostNoise host(rows);
    const Values in = uniform(rows, columns, 7);
    for (const double p : {0.1, 0.5, 0.9})
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(device.name);
        Memory memory(*device.backend);
        const Drop op{memory.put(in), memory.out(rows, columns), mask_of(p, host.on(memory))};
        memory.ops().run(op);
        const Values got = memory.get(op.out);
        for (int r = 0; r < rows; ++r)
          for (int k = 0; k < columns; ++k) {
            const std::uint32_t word = host.noise().block(r, k).word[k % 4];
            const double kept = double(word) < p * 0x1p32 ? 0 : 1 / (1 - p);
            EXPECT_NEAR(got(r, k), kept * in(r, k), tolerance::formula(2, kept));
          }
      }
  }
}

TEST(Join, puts_rows_beside_what_is_given_and_columns_takes_them_apart) {
  for (const auto [rows, columns] : {Size{6, 1}, {33 * 6, 37}, {12, 785}})
    for (const int repeat : {1, 3})
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(device.name);
        Memory memory(*device.backend);
        const Values a = uniform(rows, columns, 8), b = uniform(rows / repeat, 5, 9);
        const Join join{memory.put(a), memory.put(b), memory.out(rows, columns + 5), repeat};
        memory.ops().run(join);
        const Columns left{join.out, memory.out(rows, columns)};
        const Columns right{join.out, memory.out(rows, 5), columns};
        memory.ops().run(left), memory.ops().run(right);
        const Values got_a = memory.get(left.out), got_b = memory.get(right.out);
        for (int r = 0; r < rows; ++r) {
          for (int c = 0; c < columns; ++c) EXPECT_EQ(got_a(r, c), a(r, c));
          for (int c = 0; c < 5; ++c) EXPECT_EQ(got_b(r, c), b(r / repeat, c));
        }
      }
}

TEST(HoldSpread, leaves_the_means_and_puts_one_number_for_the_log_variances) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const Values q = uniform(37, 66, 10);
    const HoldSpread op{memory.put(q), memory.out(37, 66), Real(-3)};
    memory.ops().run(op);
    const Values got = memory.get(op.out);
    for (int r = 0; r < 37; ++r)
      for (int c = 0; c < 66; ++c) EXPECT_EQ(got(r, c), c % 2 ? Real(-3) : q(r, c));
  }
}

TEST(DropoutMask, drops_the_share_that_it_should) {
  constexpr int rows = 500, columns = 401;
  const HostNoise host(rows);
  for (const double p : {0.01, 0.1, 0.5, 0.8}) {
    const DropoutMask mask = mask_of(p, host.noise());
    long dropped = 0;
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < columns; ++k) dropped += mask.row(r).factor(k) == 0;
    // Five standard deviations of a binomial: one seed in two million fails, and this one is fixed.
    EXPECT_NEAR(dropped, p * rows * columns, 5 * std::sqrt(p * (1 - p) * rows * columns)) << p;
  }
}

TEST(Rates, and_their_gradient_equal_plain_loops_in_double) {
  for (const auto [rows, scalars] : {Size{1, 1}, {3, 3}, {33, 33}, {5, 130}, {2, 1000}})
    for (const int K : {1, 2, 3})
      for (const bool softmax : {true, false})
        for (const Named& device : make_backends(Precision::fp32)) {
          SCOPED_TRACE(testing::Message() << device.name << ' ' << rows << "x" << scalars << "x"
                                          << K << (softmax ? " softmax" : " size"));
          Memory memory(*device.backend);
          const Values theta = uniform(rows, scalars * K, 11, -90, 90),
                       size = uniform(rows, 1, 12, 0, 12), g = uniform(rows, scalars * K, 13);
          const Rates op{memory.put(theta),
                         memory.put(size),
                         memory.out(rows, 1),
                         memory.out(rows, scalars * K),
                         K,
                         softmax};
          memory.ops().run(op);
          const RatesGradient back{op.theta, op.log_sum, memory.put(g),
                                   memory.out(rows, scalars * K), K};
          if (softmax) memory.ops().run(back);
          const Values got = memory.get(op.out), dtheta = memory.get(back.out);
          for (int r = 0; r < rows; ++r) {
            double largest = -INFINITY, sum = 0, sum_g = 0;
            for (int k = 0; k < scalars; ++k)
              largest = std::max(largest, double(theta(r, k * K))), sum_g += g(r, k * K);
            for (int k = 0; k < scalars; ++k) sum += std::exp(theta(r, k * K) - largest);
            const double log_sum = softmax ? largest + std::log(sum) : 0;
            for (int i = 0; i < scalars * K; ++i) {
              const double a = theta(r, i), share = std::exp(a - log_sum);
              if (i % K == 0)
                EXPECT_NEAR(got(r, i), a - log_sum + size(r, 0),
                            tolerance::formula(3, 180) + tolerance::sum(scalars, 1));
              else EXPECT_EQ(got(r, i), theta(r, i));
              if (!softmax) continue;
              // e^(a - log_sum): an exponent's error is a relative error of the share.
              const double relative = tolerance::formula(3, 180) + tolerance::sum(scalars, 1);
              EXPECT_NEAR(dtheta(r, i), g(r, i) - (i % K == 0 ? share * sum_g : 0),
                          share * (std::abs(sum_g) * relative + tolerance::sum(scalars, scalars)) +
                              tolerance::formula(2, 1));
            }
          }
        }
}

TEST(LogTotals, leave_missing_entries_out_and_take_an_empty_row_as_one) {
  for (const auto [rows, columns] : {Size{1, 1}, {3, 3}, {33, 130}, {2, 1000}})
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(device.name);
      Values x = uniform(rows, columns, 17, 0, 9);
      for (int r = 0; r < rows; ++r)
        for (int k = 0; k < columns; ++k)
          if ((r + k) % 3 == 2) x(r, k) = std::numeric_limits<Real>::quiet_NaN();
      for (int k = 0; k < columns; ++k) x(0, k) = k % 2 ? 0 : x(0, k) * 0;
      Memory memory(*device.backend);
      const LogTotals op{memory.put(x), memory.out(rows, 1)};
      memory.ops().run(op);
      const Values got = memory.get(op.out);
      EXPECT_EQ(got(0, 0), 0);
      for (int r = 1; r < rows; ++r) {
        double sum = 0;
        for (int k = 0; k < columns; ++k)
          if (!std::isnan(x(r, k))) sum += x(r, k);
        EXPECT_NEAR(got(r, 0), std::log(sum),
                    tolerance::sum(columns, 1) + tolerance::formula(2, std::log(sum)));
      }
    }
}

TEST(Transform, gives_the_numbers_of_an_entry_side_by_side_and_zeros_for_a_missing_one) {
  constexpr int rows = 5, columns = 37;
  Values x = filled(rows, columns, 0);
  for (int i = 0; i < rows * columns; ++i) x.v[i] = Real(i % 7 == 6 ? NAN : i % 7 - 1);
  x(0, 0) = Real(0.5), x(0, 1) = 65504, x(0, 2) = Real(1e-6);
  const std::vector<InputTransform> kinds{Log1p{}, OneHot{4}, OneHot{1}, Affine{Real(2) / 255, -1}};
  for (const InputTransform& kind : kinds)
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(device.name + ", kind " + std::to_string(kind.index()));
      const int width = width_of(kind);
      Memory memory(*device.backend);
      const Transform op{memory.put(x), memory.out(rows, columns * width), kind};
      memory.ops().run(op);
      const Values got = memory.get(op.out);
      for (int r = 0; r < rows; ++r)
        for (int i = 0; i < columns * width; ++i) {
          const double v = x(r, i / width);
          double wanted = kind.index() == 0   ? std::log1p(v)
                          : kind.index() == 1 ? double(v == i % width)
                                              : double(Real(2) / 255) * v - 1;
          if (std::isnan(v)) wanted = 0;
          if (std::isinf(wanted)) EXPECT_EQ(got(r, i), wanted);
          else EXPECT_NEAR(got(r, i), wanted, tolerance::formula(2, wanted)) << v;
        }
    }
}

TEST(Log1p, is_good_to_two_units_in_the_last_place) {
  const auto check = [](Real x) {
    const double wanted = std::log1p(double(x));
    EXPECT_NEAR(elbo::log1p(x), wanted, 4 * tolerance::unit * std::abs(wanted)) << x;
  };
  for (double x = 1e-30; x < 1e30; x *= 1.0137) check(Real(x));
  for (double x = 1e-9; x < 0.9999; x *= 1.0137) check(Real(-x));
  for (int count = 0; count < 3000; ++count) check(Real(count));
  EXPECT_EQ(elbo::log1p(Real(INFINITY)), Real(INFINITY));
  EXPECT_EQ(elbo::log1p(Real(-1)), Real(-INFINITY));
  EXPECT_TRUE(std::isnan(elbo::log1p(Real(-2))));
  EXPECT_TRUE(std::isnan(elbo::log1p(Real(NAN))));
}

}  // namespace elbo::test
