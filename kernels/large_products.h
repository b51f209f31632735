#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "kernels/matrix.h"

namespace elbo {

/// Products so large that a library's kernels are worth a launch of their own; Skeletons
/// (kernels/cuda/skeletons.cuh) brings the factors and runs what follows.
///
/// A library has several algorithms for a product, which round in different orders.  Which one
/// takes which product is timed once and kept as text, so that a run goes on with the same bits.
struct LargeProducts {
  /// c [m,n] is  abt: a bᵀ, a [m,k] b [n,k];  ab: a b, a [m,k] b [k,n];  atb: aᵀ b, a [k,m] b
  /// [k,n].
  enum class Form { abt, ab, atb };
  /// Row-major; Real, or bf16 where that is the precision.  Rows start 16-byte aligned.
  struct Factor {
    const void* data;
    int rows, columns, stride;
  };
  /// Memory that is good until the slot is asked for again.
  enum class Slot { a, b, product };
  static constexpr int slots = 3;

  virtual ~LargeProducts() = default;
  /// Whether such a product is the library's: the same answer every time.
  virtual bool takes(int m, int n, int k) = 0;
  /// c = the product, or c += it.  The first of its shape must not be part of a recording: that is
  /// when algorithms are timed.
  virtual void multiply(Form, const Factor& a, const Factor& b, const Matrix& c,
                        bool accumulate) = 0;
  /// Grows outside recordings only, and what a recording was given stays its own.
  virtual void* scratch(Slot, std::size_t bytes) = 0;

  /// What multiplies, for descriptions of the device; empty while no product was large enough.
  virtual std::string description() const = 0;
  /// The algorithms chosen so far; empty while no product was large enough.
  virtual std::string choices() const = 0;
  /// Puts back what choices() said, before the first product; returns what the user should know:
  /// that they were made elsewhere and are ignored.  Errors: not such a text.
  virtual std::string choose(const std::string& choices) = 0;
};

/// Which algorithm takes which product, as text (JSON) for a checkpoint.
class ProductChoices {
 public:
  struct Key {
    LargeProducts::Form form;
    int m, n, k, a_stride, b_stride, c_stride;
    auto operator<=>(const Key&) const = default;
  };
  using Algorithm = std::array<std::uint64_t, 8>;  // as a library describes it

  /// `made_by`: library, its version, device, precision: all that the meaning of an algorithm
  /// depends on.
  explicit ProductChoices(std::string made_by) : made_by_(std::move(made_by)) {}

  const std::string& made_by() const { return made_by_; }
  const Algorithm* find(const Key&) const;
  const Algorithm& set(const Key&, const Algorithm&);

  std::string text() const;
  /// See LargeProducts::choose.
  std::string take(const std::string& text);

 private:
  std::string made_by_;
  std::map<Key, Algorithm> all_;
};

}  // namespace elbo
