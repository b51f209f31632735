#pragma once
#include <memory>
#include <ostream>
#include <vector>

#include "kernels/matrix.h"
#include "runtime/device.h"

namespace elbo {

/// Rows and columns of a matrix.
struct Shape {
  int rows, columns;
  bool operator==(const Shape&) const = default;
  friend std::ostream& operator<<(std::ostream& out, Shape s) {
    return out << '[' << s.rows << ',' << s.columns << ']';
  }
};

/// The memory of a tensor.  A permanent one has it from the start; a transient one, made while
/// operations are recorded, gets its place when the program is planned.
struct Storage {
  Device device;
  Matrix matrix;                 // data is null until there is memory
  std::shared_ptr<void> memory;  // alone, or shared with the other transient tensors of a step

  Storage(Device, Shape);
};

/// A matrix on a device that remembers, while operations are recorded, how it was made.
///
/// A handle: copies are the same tensor.  Functions of tensors (nn/functions.h) record operations
/// and return tensors that have their numbers once the program has run: at the next call of the
/// Step that recorded them, or, outside a Step, when a number is read.
class Tensor {
 public:
  Tensor() = default;

  /// A permanent tensor, of zeros or of row-major `values`.
  Tensor(const Device&, Shape);
  Tensor(const Device&, Shape, const std::vector<Real>& values);

  /// A tensor that the operations now recorded will fill.
  static Tensor transient(const Device&, Shape);

  explicit operator bool() const { return node_ != nullptr; }
  Shape shape() const { return {matrix().rows, matrix().columns}; }
  int rows() const { return matrix().rows; }
  int columns() const { return matrix().columns; }
  const Device& device() const { return node_->value->device; }
  const Matrix& matrix() const { return node_->value->matrix; }
  const std::shared_ptr<Storage>& storage() const { return node_->value; }

  /// Asks for gradients with respect to this tensor.
  Tensor& track() { return node_->tracked = true, *this; }
  bool tracked() const { return node_ && node_->tracked; }

  /// What `backward` left here; an empty tensor if nothing did.
  Tensor gradient() const { return node_->gradient ? Tensor(node_->gradient) : Tensor(); }
  void drop_gradient() const { node_->gradient.reset(); }

  /// The numbers, row-major without padding.  Runs what is recorded outside a Step first.
  /// Errors: inside a Step that is being recorded, where there are no numbers yet.
  std::vector<Real> read() const;
  Real item() const;
  /// Overwrites a permanent tensor.  Errors: another count of values.
  void write(const std::vector<Real>& values) const;

 private:
  friend class Autograd;
  struct Node {
    std::shared_ptr<Storage> value, gradient;
    bool tracked = false;
  };
  explicit Tensor(std::shared_ptr<Storage> value)
      : node_(std::make_shared<Node>(Node{std::move(value), nullptr, false})) {}
  std::shared_ptr<Node> node_;
};

}  // namespace elbo
