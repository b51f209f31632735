#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/large_products.h"
#include "tests/tolerance.h"

namespace elbo::test {

/// What stands for a library of products on simt: plain loops, of all products whose sides reach
/// `smallest`.  It "chooses" between two orders of summation, which differ in their last bits.
class HostProducts final : public LargeProducts {
 public:
  enum class Order : std::uint64_t { forward, backward };

  HostProducts(Precision precision, int smallest, Order order = Order::forward,
               const std::string& version = "1")
      : precision_(precision),
        smallest_(smallest),
        order_(order),
        choices_("loops " + version + " on the host") {}

  bool takes(int m, int n, int k) override { return std::min({m, n, k}) >= smallest_; }

  void multiply(Form form, const Factor& a, const Factor& b, const Matrix& c,
                bool accumulate) override {
    ++calls[int(form)];
    const bool a_turned = form == Form::atb, b_turned = form == Form::abt;
    const int depth = a_turned ? a.rows : a.columns;
    EXPECT_EQ(a_turned ? a.columns : a.rows, c.rows);
    EXPECT_EQ(b_turned ? b.rows : b.columns, c.columns);
    EXPECT_EQ(b_turned ? b.columns : b.rows, depth);
    const ProductChoices::Key key{form, c.rows, c.columns, depth, a.stride, b.stride, c.stride};
    const auto* chosen = choices_.find(key);
    if (!chosen) chosen = &choices_.set(key, {std::uint64_t(order_)});
    const bool backward = Order(chosen->front()) == Order::backward;
    const std::vector<Real> x = numbers(a, a_turned), y = numbers(b, !b_turned);
    for (int i = 0; i < c.rows; ++i)
      for (int j = 0; j < c.columns; ++j) {
        const Real *of_x = &x[std::size_t(i) * depth], *of_y = &y[std::size_t(j) * depth];
        Real sum = 0;
        for (int k = 0; k < depth; ++k) {
          const int at = backward ? depth - 1 - k : k;
          sum += of_x[at] * of_y[at];
        }
        c(i, j) = accumulate ? c(i, j) + sum : sum;
      }
  }

  /// NaN everywhere: who reads what was not written shows it.
  void* scratch(Slot slot, std::size_t bytes) override {
    std::vector<Line>& lines = rooms_[int(slot)];
    lines.resize((bytes + sizeof(Line) - 1) / sizeof(Line));
    std::memset(lines.data(), 0xFF, lines.size() * sizeof(Line));
    return lines.data();
  }

  std::string description() const override { return choices_.made_by(); }
  std::string choices() const override { return choices_.text(); }
  std::string choose(const std::string& choices) override { return choices_.take(choices); }

  int calls[3] = {};  // of each form

 private:
  struct alignas(16) Line {
    unsigned char bytes[16];
  };

  /// Row by row, or column by column, as the precision has them.
  std::vector<Real> numbers(const Factor& factor, bool turned) const {
    const auto at = [&](int r, int c) {
      const std::size_t i = std::size_t(r) * factor.stride + c;
#ifndef ELBO_DOUBLE
      if (precision_ == Precision::bf16) {
        const std::uint32_t bits = std::uint32_t(static_cast<const std::uint16_t*>(factor.data)[i])
                                   << 16;
        float x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
      }
#endif
      return tolerance::rounded(static_cast<const Real*>(factor.data)[i], precision_);
    };
    const bool copied = precision_ == Precision::bf16 && sizeof(Real) == 4;
    for (int r = 0; copied && r < factor.rows; ++r)
      for (int c = factor.columns; c < factor.stride; ++c) EXPECT_EQ(at(r, c), 0);
    std::vector<Real> all(std::size_t(factor.rows) * factor.columns);
    for (int r = 0; r < factor.rows; ++r)
      for (int c = 0; c < factor.columns; ++c)
        all[turned ? std::size_t(c) * factor.rows + r : std::size_t(r) * factor.columns + c] =
            at(r, c);
    return all;
  }

  Precision precision_;
  int smallest_;
  Order order_;
  ProductChoices choices_;
  std::vector<Line> rooms_[slots];
};

}  // namespace elbo::test
