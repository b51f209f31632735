#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/tiling.h"
#include "kernels/cuda/traffic.h"
#include "kernels/simt/executor.h"
#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {

namespace {

struct Shape {
  int rows, columns, depth;
};
// Edges of tiles, of 16-byte pieces and of warps; the last two take the large tile.
const Shape shapes[] = {{1, 1, 1},     {33, 37, 1},   {1, 301, 33},  {37, 5, 301},  {64, 64, 64},
                        {65, 33, 785}, {32, 96, 129}, {20, 40, 400}, {705, 769, 5}, {769, 705, 37}};

const Precision precisions[] = {Precision::fp32, Precision::tf32, Precision::bf16};
const char* name(Precision p) {
  return p == Precision::fp32 ? "fp32" : p == Precision::tf32 ? "tf32" : "bf16";
}

Values rounded(Values values, Precision precision) {
  for (Real& x : values.v) x = tolerance::rounded(x, precision);
  return values;
}

/// a bᵀ entry by entry in double, and Σ |a b| beside it.
struct Exact {
  int columns;
  std::vector<double> sum, magnitude;
  Exact(const Values& a, const Values& b)
      : columns(b.rows), sum(std::size_t(a.rows) * b.rows), magnitude(sum.size()) {
    for (int r = 0; r < a.rows; ++r)
      for (int c = 0; c < b.rows; ++c) {
        double s = 0, m = 0;
        const Real *x = &a.v[std::size_t(r) * a.columns], *y = &b.v[std::size_t(c) * b.columns];
        for (int k = 0; k < a.columns; ++k)
          s += double(x[k]) * y[k], m += std::abs(double(x[k]) * y[k]);
        sum[std::size_t(r) * columns + c] = s, magnitude[std::size_t(r) * columns + c] = m;
      }
  }
};

/// How many tolerances the worst entry is off; a NaN is infinitely many.
class Worst {
 public:
  void see(double got, double wanted, double allowed) {
    const double off = std::abs(got - wanted) / allowed;
    if (!(off <= value_)) value_ = std::isnan(off) ? INFINITY : off;
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

void each_device(const std::function<void(Precision, Backend&)>& body) {
  for (const Precision precision : precisions)
    for (const Named& device : make_backends(precision)) {
      SCOPED_TRACE(device.name + " " + name(precision));
      body(precision, *device.backend);
    }
}

}  // namespace

TEST(Products, equal_the_sums_in_double_of_the_rounded_factors) {
  for (const Shape& shape : shapes)
    for (const bool b_transposed : {false, true}) {
      const Values a = uniform(shape.rows, shape.depth, 1),
                   b = uniform(shape.columns, shape.depth, 2);
      each_device([&](Precision precision, Backend& backend) {
        SCOPED_TRACE(testing::Message() << shape.rows << "x" << shape.columns << "x" << shape.depth
                                        << (b_transposed ? " x Wᵀ" : " dy W"));
        Memory memory(backend);
        const Matrix out = memory.out(shape.rows, shape.columns);
        memory.ops().run(Product{memory.put(a), memory.put(b_transposed ? b : transposed(b)),
                                 b_transposed, Store{.out = out}});
        const Values got = memory.get(out);
        const Exact exact(rounded(a, precision), rounded(b, precision));
        Worst worst;
        for (std::size_t i = 0; i < got.v.size(); ++i)
          worst.see(got.v[i], exact.sum[i],
                    tolerance::product(precision, shape.depth, exact.magnitude[i]));
        EXPECT_LE(worst.value(), 1);
      });
    }
}

TEST(Products, on_tiles_of_bfloat16_stay_within_the_bound_that_their_header_states) {
  bool seen = false;
  for (const Named& device : make_backends(Precision::fp32)) {
    if (device.name != "cpu, amx") continue;
    seen = true;
    for (const Shape& shape : {Shape{17, 50, 20}, {33, 37, 64}, {150, 70, 784}, {64, 592, 4000}})
      for (const bool b_transposed : {false, true}) {
        SCOPED_TRACE(testing::Message() << shape.depth << (b_transposed ? " x Wᵀ" : " dy W"));
        const Values a = uniform(shape.rows, shape.depth, 21),
                     b = uniform(shape.columns, shape.depth, 22),
                     bias = uniform(1, shape.columns, 23, -9, 9);
        Memory memory(*device.backend);
        const Matrix out = memory.out(shape.rows, shape.columns),
                     biased = memory.out(shape.rows, shape.columns);
        Product product{memory.put(a), memory.put(b_transposed ? b : transposed(b)), b_transposed,
                        Store{.out = out}};
        memory.ops().run(product);
        product.epilogue =
            BiasActivate{.bias = memory.put(bias), .out = biased, .activation = Identity{}};
        memory.ops().run(product);
        const Values got = memory.get(out), more = memory.get(biased);
        const Exact exact(a, b);
        const int additions = 6 * ((shape.depth + 31) / 32);
        Worst worst;
        for (std::size_t i = 0; i < got.v.size(); ++i) {
          worst.see(got.v[i], exact.sum[i],
                    (19 + additions) * tolerance::unit * exact.magnitude[i]);
          const double first = bias(0, int(i) % shape.columns);
          worst.see(more.v[i], first + exact.sum[i],
                    tolerance::unit * ((20 + additions) * exact.magnitude[i] +
                                       (1 + additions) * std::abs(first)));
        }
        EXPECT_LE(worst.value(), 1);
      }
  }
  if (!seen) GTEST_SKIP() << "this processor has no such tiles";
}

TEST(Products, of_whole_numbers_on_tiles_take_one_part_of_them_within_the_stated_bound) {
  constexpr Real unit = Real(1) / 255;
  bool seen = false;
  for (const Named& device : make_backends(Precision::fp32)) {
    if (device.name != "cpu, amx") continue;
    seen = true;
    for (const Shape& shape : {Shape{17, 50, 20}, {33, 37, 64}, {150, 70, 784}, {64, 600, 4000}}) {
      SCOPED_TRACE(shape.depth);
      Values whole = uniform(shape.rows, shape.depth, 25), between = whole;
      for (std::size_t i = 0; i < whole.v.size(); ++i) {
        const Real k = i < 2 ? 256 * Real(i) : std::floor(128 + 128 * whole.v[i]);
        whole.v[i] = unit * k, between.v[i] = unit * (k + Real(0.25));
      }
      const Values other = uniform(shape.columns, shape.depth, 26);
      const Exact exact(whole, other);
      const auto check = [&](const Values& got, bool turned) {
        Worst worst;
        for (int r = 0; r < shape.rows; ++r)
          for (int c = 0; c < shape.columns; ++c) {
            const std::size_t i = std::size_t(r) * shape.columns + c;
            worst.see(turned ? got(c, r) : got(r, c), exact.sum[i],
                      (21 + 6 * ((shape.depth + 31) / 32)) * tolerance::unit * exact.magnitude[i]);
          }
        EXPECT_LE(worst.value(), 1);
      };
      Memory memory(*device.backend);
      const auto product = [&](const Values& a, bool b_transposed) {
        const Matrix out = memory.out(shape.rows, shape.columns);
        Product op{memory.put(a), memory.put(b_transposed ? other : transposed(other)),
                   b_transposed, Store{.out = out}};
        op.unit = unit;
        memory.ops().run(op);
        return memory.get(out);
      };
      const auto gradient = [&](const Values& x) {
        const Matrix out = memory.out(shape.columns, shape.rows),
                     bias = memory.out(1, shape.columns);
        WeightGradient layer{memory.put(transposed(other)),
                             memory.put(transposed(x)),
                             {.gradient = out},
                             {.gradient = bias}};
        layer.unit = unit;
        memory.ops().run(WeightGradients{{layer}});
        const Values sums = memory.get(bias);
        for (int c = 0; c < shape.columns; ++c) {
          Real sum = 0;
          for (int k = 0; k < shape.depth; ++k) sum += other(c, k);
          EXPECT_EQ(sums(0, c), sum) << "the other factor's sums, which know no unit";
        }
        return memory.get(out);
      };
      for (const bool b_transposed : {false, true}) {
        const Values got = product(whole, b_transposed);
        check(got, false);
        EXPECT_EQ(got.v, product(between, b_transposed).v) << "the nearest whole number counts";
      }
      const Values got = gradient(whole);
      check(got, true);
      EXPECT_EQ(got.v, gradient(between).v) << "the nearest whole number counts";
    }
  }
  if (!seen) GTEST_SKIP() << "this processor has no such tiles";
}

TEST(Products, carry_what_is_not_finite_to_its_entries_alone) {
  Values a = uniform(37, 70, 23), b = uniform(35, 70, 24);
  for (Real& x : b.v) x = std::abs(x) + Real(0.5);
  a(3, 69) = std::numeric_limits<Real>::quiet_NaN();
  a(20, 5) = std::numeric_limits<Real>::infinity();
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const Matrix out = memory.out(37, 35);
    memory.ops().run(Product{memory.put(a), memory.put(b), true, Store{.out = out}});
    const Values got = memory.get(out);
    for (int r = 0; r < 37; ++r)
      for (int c = 0; c < 35; ++c)
        EXPECT_EQ(std::isfinite(got(r, c)), r != 3 && r != 20) << r << ", " << c;
  }
}

TEST(Products, add_to_what_is_there_when_asked) {
  const Values a = uniform(37, 33, 3), b = uniform(35, 33, 4), there = uniform(37, 35, 5);
  each_device([&](Precision precision, Backend& backend) {
    Memory memory(backend);
    const Matrix out = memory.put(there);
    memory.ops().run(
        Product{memory.put(a), memory.put(b), true, Store{.out = out, .accumulate = true}});
    const Values got = memory.get(out);
    const Exact exact(rounded(a, precision), rounded(b, precision));
    Worst worst;
    for (std::size_t i = 0; i < got.v.size(); ++i)
      worst.see(got.v[i], exact.sum[i] + there.v[i],
                tolerance::product(precision, 34, exact.magnitude[i] + std::abs(there.v[i])));
    EXPECT_LE(worst.value(), 1);
  });
}

TEST(Products, give_the_same_bits_every_time) {
  const Values a = uniform(70, 129, 6), b = uniform(65, 129, 7);
  each_device([&](Precision, Backend& backend) {
    Memory memory(backend);
    const Matrix x = memory.put(a), y = memory.put(b), first = memory.out(70, 65),
                 second = memory.out(70, 65);
    memory.ops().run(Product{x, y, true, Store{.out = first}});
    memory.ops().run(Product{x, y, true, Store{.out = second}});
    EXPECT_EQ(memory.get(first).v, memory.get(second).v);
  });
}

namespace {

/// Of which one number in `of` is not 0.
Values mostly_zero(int rows, int columns, unsigned seed, int of) {
  Values some = uniform(rows, columns, seed);
  std::mt19937 generator(seed);
  for (Real& x : some.v)
    x = generator() % unsigned(of) != 0 ? Real(0) : Real(float(x));
  return some;
}
/// The same as lists on a device that goes through such.
Lists lists_of(Memory& memory, const Values& few) {
  const std::size_t stride = std::size_t(few.columns + 3) / 4 * 4;
  std::vector<float> rows(std::size_t(few.rows) * stride);
  for (int r = 0; r < few.rows; ++r)
    for (int c = 0; c < few.columns; ++c)
      rows[std::size_t(r) * stride + std::size_t(c)] = float(few(r, c));
  Gather gather{.source = {.data = memory.put(rows),
                           .rows = few.rows,
                           .columns = few.columns,
                           .stride = std::int64_t(stride * sizeof(float))},
                .batch = {},
                .out = {nullptr, few.rows, few.columns}};
  const Matrix shape = Lists::memory_of(few.rows, few.columns, false);
  gather.lists = {.memory = memory.out(shape.rows, shape.columns), .columns = few.columns};
  memory.ops().run(gather);
  return gather.lists;
}
/// The columns of `few`, each followed by three others.
Values among_others(const Values& few, unsigned seed) {
  Values all = uniform(few.rows, 4 * few.columns, seed);
  for (int r = 0; r < few.rows; ++r)
    for (int c = 0; c < few.columns; ++c) all(r, 4 * c) = few(r, c);
  return all;
}

}  // namespace

TEST(Products, of_mostly_zeros_equal_the_sums_in_double) {
  for (const Shape& shape : {Shape{37, 49, 785}, Shape{1, 5, 33}, Shape{130, 130, 1601}})
    for (const int of : {10, 50}) {
      const Values a = mostly_zero(shape.rows, shape.depth, 1, of),
                   b = uniform(shape.columns, shape.depth, 2);
      const Exact exact(a, b);
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(testing::Message() << device.name << ", one in " << of << " of " << shape.rows
                                        << "x" << shape.columns << "x" << shape.depth);
        Memory memory(*device.backend);
        const Matrix out = memory.out(shape.rows, shape.columns),
                     gradient = memory.out(shape.columns, shape.rows);
        memory.ops().run(Product{memory.put(a), memory.put(b), true, Store{.out = out}});
        WeightGradients op;
        op.layers.push_back({memory.put(transposed(b)), memory.put(transposed(a)),
                             Sink{.gradient = gradient}, {}});
        memory.ops().run(op);
        const auto expect_exact = [&](const Values& y, const Values& dw) {
          Worst worst;
          for (int r = 0; r < shape.rows; ++r)
            for (int c = 0; c < shape.columns; ++c) {
              const std::size_t i = std::size_t(r) * shape.columns + c;
              const double allowed =
                  tolerance::product(Precision::fp32, shape.depth, exact.magnitude[i]);
              worst.see(y(r, c), exact.sum[i], allowed);
              worst.see(dw(c, r), exact.sum[i], allowed);
            }
          EXPECT_LE(worst.value(), 1);
        };
        const Values got = memory.get(out), also = memory.get(gradient);
        expect_exact(got, also);
        if (memory.ops().lists_up_to() > 0) {  // the same, of lists
          Product product{{nullptr, a.rows, a.columns}, memory.put(b), true, Store{.out = out}};
          product.lists = lists_of(memory, a);
          WeightGradient& layer = op.layers[0];
          layer.lists = lists_of(memory, transposed(a)), layer.x.data = nullptr;
          layer.bias.gradient = memory.out(1, shape.columns);
          memory.ops().run(product), memory.ops().run(op);
          if (device.name != "cpu, amx") {  // which sums others, in another order
            EXPECT_EQ(memory.get(out).v, got.v);
            EXPECT_EQ(memory.get(gradient).v, also.v);
          }
          expect_exact(memory.get(out), memory.get(gradient));
        }
      }
    }
}

TEST(Products, of_mostly_zeros_have_the_bits_that_they_have_among_others) {
  const Values few = mostly_zero(301, 60, 8, 16), all = among_others(few, 9);
  const Values b = uniform(70, 301, 10), dy = uniform(301, 130, 11);
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const auto product = [&](const Values& x) {
      const Matrix out = memory.out(x.columns, b.rows);
      memory.ops().run(
          Product{memory.put(transposed(x)), memory.put(b), true, Store{.out = out}});
      return memory.get(out);
    };
    const auto gradient = [&](const Values& x) {
      const Matrix out = memory.out(dy.columns, x.columns);
      WeightGradients op;
      op.layers.push_back({memory.put(dy), memory.put(x), Sink{.gradient = out}, {}});
      memory.ops().run(op);
      return memory.get(out);
    };
    const Values y = product(few), y_all = product(all), w = gradient(few), w_all = gradient(all);
    int different = 0;
    for (int i = 0; i < few.columns; ++i) {
      for (int c = 0; c < b.rows; ++c) different += y(i, c) != y_all(4 * i, c);
      for (int o = 0; o < dy.columns; ++o) different += w(o, i) != w_all(o, 4 * i);
    }
    EXPECT_EQ(different, 0);
  }
}

namespace {

/// Layers of one step; more than one launch holds, and one that is wide enough for large tiles.
struct Layer {
  int outputs, inputs;
};

enum class Mode { store, accumulate, adam, sgd, both };

/// One parameter's gradient on its way: what was there, and where it goes.
struct Destination {
  Values gradient, w, m, v;
  Matrix on_gradient, on_w, on_m, on_v;
  Mode mode;
  Adam adam{.decoupled_decay = 0.01};
  Sgd descent{.momentum = Real(0.9)};
  static constexpr Real rate = Real(0.125);

  Destination(int rows, int columns, Mode mode, unsigned seed)
      : gradient(uniform(rows, columns, seed)),
        w(uniform(rows, columns, seed + 1)),
        m(uniform(rows, columns, seed + 2)),
        v(uniform(rows, columns, seed + 3, 1, 2)),
        mode(mode) {}

  bool updates() const { return mode == Mode::adam || mode == Mode::sgd || mode == Mode::both; }
  bool stores() const {
    return mode == Mode::store || mode == Mode::accumulate || mode == Mode::both;
  }

  Sink sink(Memory& memory, const StepState* state) {
    Sink out;
    if (stores()) out.gradient = on_gradient = memory.put(gradient);
    out.accumulate = mode == Mode::accumulate;
    out.updates = updates();
    if (updates()) {
      on_w = memory.put(w), on_m = memory.put(m), on_v = memory.put(v);
      out.update =
          Update{.w = on_w, .m = on_m, .v = on_v, .rate = {.factor = rate, .state = state}};
      if (mode == Mode::sgd) out.update.rule = descent;
      else out.update.rule = adam;
    }
    return out;
  }

  /// The rule as it is written, in Real, from gradient g.
  std::array<double, 3> after(std::size_t i, double g, std::uint64_t step) const {
    Real new_w = w.v[i], new_m = m.v[i], new_v = v.v[i];
    if (mode == Mode::sgd) descent.step(descent.now(rate, step + 1), Real(g), new_w, new_m, new_v);
    else adam.step(adam.now(rate, step + 1), Real(g), new_w, new_m, new_v);
    return {new_w, new_m, new_v};
  }

  /// An update may be off by what it makes of the gradient's tolerance, and its own roundings.
  double worst(Memory& memory, const std::vector<double>& sum, const std::vector<double>& allowed,
               std::uint64_t step) const {
    Worst worst;
    if (stores()) {
      const Values got = memory.get(on_gradient);
      for (std::size_t i = 0; i < sum.size(); ++i)
        worst.see(got.v[i], sum[i] + (mode == Mode::accumulate ? gradient.v[i] : 0),
                  allowed[i] + tolerance::formula(1, sum[i]));
    }
    if (updates()) {
      const Values got[] = {memory.get(on_w), memory.get(on_m), memory.get(on_v)};
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const auto wanted = after(i, sum[i], step), above = after(i, sum[i] + allowed[i], step),
                   below = after(i, sum[i] - allowed[i], step);
        for (int k = 0; k < 3; ++k)
          worst.see(got[k].v[i], wanted[k],
                    std::abs(above[k] - below[k]) + tolerance::formula(10, wanted[k]));
      }
    }
    return worst.value();
  }
};

void check_weight_gradients(const std::vector<Layer>& layers, int batch, Mode mode) {
  each_device([&](Precision precision, Backend& backend) {
    SCOPED_TRACE(testing::Message() << "batch " << batch << ", mode " << int(mode));
    Memory memory(backend);
    const StepState* const state = memory.put(std::vector<StepState>{{.step = 6}});
    std::vector<Values> dys, xs;
    std::vector<Destination> weights, biases;
    WeightGradients op;
    for (unsigned i = 0; i < layers.size(); ++i) {
      const auto [outputs, inputs] = layers[i];
      dys.push_back(uniform(batch, outputs, 10 * i)),
          xs.push_back(uniform(batch, inputs, 10 * i + 1));
      weights.emplace_back(outputs, inputs, mode, 10 * i + 2);
      biases.emplace_back(1, outputs, mode, 10 * i + 6);
      op.layers.push_back(
          {memory.put(dys[i]), memory.put(xs[i]), weights[i].sink(memory, state), {}});
      if (i % 3 != 2) op.layers[i].bias = biases[i].sink(memory, state);
    }
    memory.ops().run(op);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      SCOPED_TRACE(testing::Message() << layers[i].outputs << "x" << layers[i].inputs);
      const Exact exact(rounded(transposed(dys[i]), precision),
                        rounded(transposed(xs[i]), precision));
      std::vector<double> allowed;
      for (const double m : exact.magnitude)
        allowed.push_back(tolerance::product(precision, batch, m));
      EXPECT_LE(weights[i].worst(memory, exact.sum, allowed, 6), 1);
      if (i % 3 == 2) continue;
      const Exact sums(transposed(dys[i]), filled(1, batch, 1));  // of dy as it is, not rounded
      allowed.clear();
      for (const double m : sums.magnitude) allowed.push_back(tolerance::sum(batch, m));
      EXPECT_LE(biases[i].worst(memory, sums.sum, allowed, 6), 1) << "bias";
    }
  });
}

}  // namespace

TEST(WeightGradients, equal_plain_loops_in_double) {
  const std::vector<Layer> layers = {{37, 301}, {1, 1}, {40, 33}, {5, 64}, {301, 3}};
  for (const Mode mode : {Mode::store, Mode::accumulate, Mode::adam, Mode::sgd, Mode::both})
    for (const int batch : {1, 33, 130}) check_weight_gradients(layers, batch, mode);
}
TEST(WeightGradients, hold_for_more_layers_than_one_launch) {
  check_weight_gradients(std::vector<Layer>(19, {6, 9}), 17, Mode::adam);
}
TEST(WeightGradients, hold_for_the_large_tile) {
  check_weight_gradients({{705, 769}, {33, 37}}, 37, Mode::both);
}

TEST(Traffic, is_what_the_kernels_ask_of_memory) {
  if (!simt::bytes_are_counted()) GTEST_SKIP() << "bytes are counted in the race build alone";
  for (const Shape& shape : {Shape{65, 33, 785}, {128, 100, 301}, {705, 769, 5}}) {
    const Values a = uniform(shape.rows, shape.depth, 1),
                 b = uniform(shape.columns, shape.depth, 2);
    for (const Named& device : make_backends(Precision::fp32)) {
      if (device.name != "simt") continue;
      Memory memory(*device.backend);
      const Matrix x = memory.put(a), w = memory.put(b),
                   bias = memory.put(uniform(1, shape.columns, 3)),
                   y = memory.put(uniform(shape.rows, shape.columns, 4)),
                   out = memory.out(shape.rows, shape.columns),
                   back = memory.out(shape.rows, shape.depth);
      const std::vector<Product> products = {
          {x, w, true, Store{.out = out}},
          {x, w, true, BiasActivate{.bias = bias, .out = out, .activation = Relu{}}},
          {y, w, false, ActivationGradient{.y = x, .out = back, .activation = Tanh{}}},
          {x, w, true,
           Observe{.bias = bias,
                   .x = y,
                   .terms = memory.out(shape.rows, 32),
                   .score = out,
                   .law = Bernoulli{}}}};
      const auto compare = [&](const Traffic& wanted) {
        const auto records = simt::launches();
        ASSERT_EQ(records.size(), 1u);
        EXPECT_NEAR(double(records[0].bytes_read) / wanted.read, 1, 0.05);
        EXPECT_NEAR(double(records[0].bytes_written) / wanted.written, 1, 0.05);
      };
      for (const Product& product : products) {
        SCOPED_TRACE(testing::Message() << shape.rows << "x" << shape.columns << "x" << shape.depth
                                        << ", epilogue " << product.epilogue.index());
        simt::clear_launches();
        memory.ops().run(product);
        compare(traffic(product));
      }
      for (const Mode mode : {Mode::store, Mode::adam}) {
        Destination weight(shape.columns, shape.depth, mode, 5), b(1, shape.columns, mode, 9);
        const StepState* const state = memory.put(std::vector<StepState>{{}});
        const WeightGradients op{{{y, x, weight.sink(memory, state), b.sink(memory, state)}}};
        SCOPED_TRACE(testing::Message() << "weight gradients, mode " << int(mode));
        simt::clear_launches();
        memory.ops().run(op);
        compare(traffic(op));
      }
    }
  }
}

}  // namespace elbo::test
