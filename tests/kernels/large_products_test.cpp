// Products that a library takes: on simt loops that stand for it, and cuBLASLt where there is a
// GPU.
#include "kernels/large_products.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/tiling.h"
#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {

namespace {

using Form = LargeProducts::Form;

const ProductChoices::Key key{Form::abt, 2048, 4096, 2050, 2052, 2052, 4096};
const ProductChoices::Algorithm algorithm{1, 2, 3, ~std::uint64_t(0), 5, 6, 7, 8};

}  // namespace

TEST(LargeProducts, are_those_that_repay_a_launch) {
  EXPECT_TRUE(tiling::takes_library(2048, 2048, 2048));
  EXPECT_FALSE(tiling::takes_library(2048, 2048, 2047));
  EXPECT_TRUE(tiling::takes_library(512, 4096, 4096));
  EXPECT_FALSE(tiling::takes_library(511, 1 << 15, 1 << 15));
  EXPECT_TRUE(tiling::takes_library(1 << 20, 1 << 20, 1 << 20));  // no overflow
}

TEST(ProductChoices, come_back_from_their_text) {
  ProductChoices before("library 1"), after("library 1");
  before.set(key, algorithm);
  EXPECT_EQ(after.find(key), nullptr);
  EXPECT_EQ(after.take(before.text()), "");
  ASSERT_NE(after.find(key), nullptr);
  EXPECT_EQ(*after.find(key), algorithm);
  EXPECT_EQ(after.text(), before.text());
  ProductChoices::Key other = key;
  other.form = Form::ab;
  EXPECT_EQ(after.find(other), nullptr);
}

TEST(ProductChoices, of_another_library_are_ignored_with_a_word) {
  ProductChoices before("library 1"), after("library 2");
  before.set(key, algorithm);
  const std::string remark = after.take(before.text());
  EXPECT_NE(remark.find("library 1"), std::string::npos);
  EXPECT_NE(remark.find("library 2"), std::string::npos);
  EXPECT_EQ(after.find(key), nullptr);
}

TEST(ProductChoices, refuse_what_is_no_choice) {
  ProductChoices choices("library 1");
  choices.set(key, algorithm);
  const std::string text = choices.text();
  const auto with = [&](const std::string& before, const std::string& after) {
    std::string changed = text;
    const auto at = changed.find(before);
    EXPECT_NE(at, std::string::npos);
    return changed.replace(at, before.size(), after);
  };
  for (const std::string& wrong :
       {std::string("["), std::string("{}"), with("a bT", "b a"), with("4096", "\"x\"")}) {
    ProductChoices taking("library 1");
    EXPECT_THROW(taking.take(wrong), std::runtime_error) << wrong;
    EXPECT_EQ(taking.find(key), nullptr);
  }
}

TEST(LargeProducts, leave_the_tail_of_a_step_for_last) {
  for (const bool biased : {false, true}) {
    auto library = std::make_shared<HostProducts>(Precision::fp32, 5);
    const auto backend = simt_backend(Precision::fp32, library);
    Memory memory(*backend);
    StepState* const state = memory.put(std::vector<StepState>{{.step = 3, .position = 10}});
    WeightGradients op;
    for (unsigned i = 0; i < 2; ++i) {
      WeightGradient layer{memory.put(uniform(7, 6, i)), memory.put(uniform(7, 9, 2 + i)), {}, {}};
      layer.weight.gradient = memory.out(6, 9);
      if (biased) layer.bias.gradient = memory.out(1, 6);
      op.layers.push_back(layer);
    }
    const Matrix loss = memory.out(1, 1);
    op.tail.objective.terms[0] = memory.put(filled(7, 1, 2));
    op.tail.objective.count = 1;
    op.tail.objective.loss = loss;
    op.tail.advance = {state, 7};
    memory.ops().run(op);
    EXPECT_EQ(library->calls[int(Form::atb)], 2);
    EXPECT_EQ(memory.get(loss)(0, 0), 2);
    const StepState after = memory.get(state, 1)[0];
    EXPECT_EQ(after.step, 4u);
    EXPECT_EQ(after.position, 17u);
    for (const WeightGradient& layer : op.layers)
      for (const Real x : memory.get(layer.weight.gradient).v) EXPECT_TRUE(std::isfinite(x));
  }
}

namespace {

/// The numbers of some rows, entry by entry in double, and Σ |a b| beside them.
struct Sampled {
  std::vector<int> rows;
  std::vector<double> sum, magnitude;
};
/// a [m,k] by rows, b [n,k] by rows.
Sampled sampled(const Values& a, const Values& b, Precision precision) {
  Sampled all;
  for (const int r : {0, a.rows / 3, a.rows - 1}) {
    all.rows.push_back(r);
    for (int c = 0; c < b.rows; ++c) {
      double sum = 0, magnitude = 0;
      for (int k = 0; k < a.columns; ++k) {
        const double p =
            double(tolerance::rounded(a(r, k), precision)) * tolerance::rounded(b(c, k), precision);
        sum += p, magnitude += std::abs(p);
      }
      all.sum.push_back(sum), all.magnitude.push_back(magnitude);
    }
  }
  return all;
}

/// A library may cut a factor to tf32 where we round: up to 2⁻¹⁰ of each factor between the two.
double allowed(Precision precision, int depth, double magnitude) {
  const double cut = precision == Precision::tf32 && sizeof(Real) == 4 ? std::ldexp(2, -10) : 0;
  return tolerance::product(precision, depth, magnitude) + cut * magnitude;
}

void expect_near(const Values& got, const Sampled& wanted, Precision precision, int depth,
                 const Values& bias = {}) {
  std::size_t i = 0;
  for (const int r : wanted.rows)
    for (int c = 0; c < got.columns; ++c, ++i) {
      const double plus = bias.columns ? bias(0, c) : 0;
      ASSERT_NEAR(got(r, c), wanted.sum[i] + plus,
                  allowed(precision, depth, wanted.magnitude[i] + std::abs(plus)))
          << r << ' ' << c;
    }
}

/// Backends of one kind, and the size from which their library multiplies.
struct Libraries {
  std::string name;
  std::function<std::unique_ptr<Backend>(Precision)> make;
  int m, n, k;
};
std::vector<Libraries> libraries() {
  std::vector<Libraries> all = {
      {"simt", [](Precision p) { return simt_backend(p, std::make_shared<HostProducts>(p, 30)); },
       33, 70, 41}};
#ifdef ELBO_HAS_CUDA
  if (cuda_devices() > 0)
    all.push_back({"cuda", [](Precision p) { return cuda_backend(0, p); }, 2050, 2061, 2053});
#endif
  return all;
}

}  // namespace

TEST(LargeProducts, equal_the_sums_in_double_of_the_rounded_factors) {
  for (const Libraries& library : libraries())
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      SCOPED_TRACE(testing::Message() << library.name << ", precision " << int(precision));
      const auto backend = library.make(precision);
      Memory memory(*backend);
      const auto [name, make, m, n, k] = library;
      const Values a = uniform(m, k, 1), b = uniform(n, k, 2), bias = uniform(1, n, 3),
                   there = uniform(m, n, 4);
      const Matrix on_a = memory.put(a), on_b = memory.put(b), on_bias = memory.put(bias),
                   on_turned = memory.put(transposed(b)), out = memory.out(m, n),
                   biased = memory.out(m, n), added = memory.put(there);
      const Product forward{on_a, on_b, true,
                            BiasActivate{.bias = on_bias, .out = biased, .activation = Identity{}}};
      const int parts = memory.ops().term_columns(forward);  // opens the library
      if (backend->description().find("without cuBLASLt") == std::string::npos) {
        EXPECT_EQ(parts, 1);
      }
      memory.ops().run(forward);
      memory.ops().run(Product{on_a, on_turned, false, Store{.out = out}});
      memory.ops().run(Product{on_a, on_b, true, Store{.out = added, .accumulate = true}});
      const Sampled exact = sampled(a, b, precision);
      expect_near(memory.get(out), exact, precision, k);
      expect_near(memory.get(biased), exact, precision, k + 1, bias);
      const Values sums = memory.get(added);
      for (std::size_t i = 0, at = 0; i < exact.rows.size(); ++i)
        for (int c = 0; c < n; ++c, ++at)
          ASSERT_NEAR(sums(exact.rows[i], c), exact.sum[at] + there(exact.rows[i], c),
                      allowed(precision, k + 1, exact.magnitude[at] + 1));

      // dyᵀ x with outputs m, inputs n, batch k: the factors lie turned.
      WeightGradient layer{memory.put(transposed(a)), on_turned, {}, {}};
      const Matrix gradient = layer.weight.gradient = memory.out(m, n);
      memory.ops().run(WeightGradients{{layer}});
      expect_near(memory.get(gradient), exact, precision, k);
    }
}

TEST(LargeProducts, give_the_same_bits_again_and_by_the_choices_elsewhere) {
  for (const Libraries& library : libraries())
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      SCOPED_TRACE(testing::Message() << library.name << ", precision " << int(precision));
      const Values a = uniform(library.m, library.k, 1), b = uniform(library.n, library.k, 2);
      const auto product = [&](Backend& backend, bool recorded) {
        Memory memory(backend);
        const Matrix out = memory.out(library.m, library.n);
        const Operation op = Product{memory.put(a), memory.put(b), true, Store{.out = out}};
        const auto run = [&] { backend.ops().run(std::get<Product>(op)); };
        run();
        if (recorded)
          if (const auto recording = backend.record(run)) {
            recording->replay();
            backend.wait();
          }
        return memory.get(out).v;
      };
      const auto first = library.make(precision), second = library.make(precision);
      const std::vector<Real> once = product(*first, false);
      EXPECT_EQ(product(*first, true), once);
      ASSERT_FALSE(first->choices().empty());
      EXPECT_EQ(second->choose(first->choices()), "");
      EXPECT_EQ(product(*second, true), once);
      EXPECT_EQ(second->choices(), first->choices());
    }
}

}  // namespace elbo::test
