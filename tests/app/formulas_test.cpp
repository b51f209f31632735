#include "bench/formulas.h"

#include <gtest/gtest.h>

#include "bench/training.h"

namespace elbo {
namespace {

TEST(Formulas, say_how_a_product_and_its_cost_come_about) {
  std::vector<Real> a(3 * 8), b(2 * 8), c(3 * 4);
  const Matrix x{a.data(), 3, 5, 8}, w{b.data(), 2, 5, 8}, y{c.data(), 3, 2, 4};
  const Formulas of = formulas(Product{x, w, true, Store{{}, y}});
  EXPECT_EQ(of.flops.text, "2 m n k");
  EXPECT_EQ(of.flops.value, 2 * 3 * 2 * 5);
  EXPECT_EQ(of.bytes.text, "w (m k + n k + m n + [m n]) + [m (4 + row)]");
  EXPECT_EQ(of.bytes.value, sizeof(Real) * (3 * 5 + 2 * 5 + 3 * 2));
}

TEST(Formulas, give_what_cost_counts_of_every_operation_of_a_step) {
  for (const Program::Plan plan : {Program::Plan::fused, Program::Plan::composed})
    for (const int number : {1, 3, 4, 5, 6}) {
      Case which = training_case(number);
      which.batch = 4, which.rows = 4;
      const Training training(Device::simt(), which, {.plan = plan});
      const Program& program = training.program();
      for (std::size_t i = 0; i < program.operations.size(); ++i) {
        SCOPED_TRACE("case " + std::to_string(number) + ": " + program.describe(int(i)));
        const Formulas of = formulas(program.operations[i]);
        const Cost counted = cost(program.operations[i]);
        EXPECT_EQ(of.flops.value, counted.flops);
        EXPECT_EQ(of.bytes.value, counted.bytes);
      }
    }
}

}  // namespace
}  // namespace elbo
