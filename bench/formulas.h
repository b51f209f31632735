#pragma once
#include <string>

#include "bench/cost.h"

namespace elbo {

/// A number and how it came about, written and worked out by one expression.
struct Formula {
  std::string text;
  double value = 0;
  bool sum = false;  // a product puts it in brackets

  Formula(double number) : text(std::to_string(long(number))), value(number) {}
  Formula(std::string text, double value, bool sum = false)
      : text(std::move(text)), value(value), sum(sum) {}

  friend Formula operator+(const Formula& a, const Formula& b) {
    return {a.text + " + " + b.text, a.value + b.value, true};
  }
  friend Formula operator*(const Formula& a, const Formula& b) {
    const auto factor = [](const Formula& f) { return f.sum ? "(" + f.text + ")" : f.text; };
    return {factor(a) + ' ' + factor(b), a.value * b.value};
  }
};

/// `f` where its matrix is there, else nothing; the text is the same.
inline Formula where(bool there, const Formula& f) {
  return {"[" + f.text + "]", there ? f.value : 0};
}

/// cost.h, of one operation, in terms of its shapes: `name` is what the kernels are named after
/// too.  Tests, and bench_launches whenever it prints, hold the values against cost().
struct Formulas {
  std::string name;
  Formula flops, bytes;
};
Formulas formulas(const Operation&);

}  // namespace elbo
