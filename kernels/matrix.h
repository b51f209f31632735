#pragma once
#include <cstddef>

#include "kernels/math/numerics.h"

namespace elbo {

/// The K numbers that belong together: the parameters of one observed scalar, μ and log σ² of a
/// latent unit, one entry of a plain matrix.
template <int K, class T = Real>
struct Vec {
  T v[K];
  HD T& operator[](int k) { return v[k]; }
  HD T operator[](int k) const { return v[k]; }
};

/// A view of a row-major matrix in a device's memory.
///
/// Rows start 16-byte aligned (stride is a multiple of 16 bytes), so that every row can be copied
/// in 16-byte pieces; what lies between columns and stride is never read as a value.
/// `tensor` is the identity by which the planner knows the memory; kernels ignore it.
struct Matrix {
  Real* data = nullptr;
  int rows = 0, columns = 0, stride = 0;
  int tensor = 0;

  HD Real& operator()(int r, int c) const { return data[std::ptrdiff_t(r) * stride + c]; }
  HD Real* row(int r) const { return data + std::ptrdiff_t(r) * stride; }
  HD bool present() const { return data != nullptr; }
};

/// The stride of a matrix with that many columns.
HD constexpr int padded(int columns) {
  constexpr int piece = 16 / int(sizeof(Real));
  return (columns + piece - 1) / piece * piece;
}

/// How an operation uses a matrix.
enum class Access { read, write, update };

}  // namespace elbo
