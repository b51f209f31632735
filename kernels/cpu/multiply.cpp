#include "kernels/cpu/multiply.h"

#ifdef ELBO_DOUBLE
#include <Eigen/Core>
#else
#include <dnnl.h>

#include <stdexcept>
#endif

namespace elbo::cpu {

#ifdef ELBO_DOUBLE
void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride) {
  using RowMajor = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto view = [](auto* data, int rows, int columns, int stride) {
    using Stored = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(data)>>,
                                      const RowMajor, RowMajor>;
    return Eigen::Map<Stored, 0, Eigen::OuterStride<>>(data, rows, columns,
                                                       Eigen::OuterStride<>(stride));
  };
  auto out = view(c, m, n, c_stride);
  const auto left = view(a, a_transposed ? depth : m, a_transposed ? m : depth, a_stride);
  const auto right = view(b, b_transposed ? n : depth, b_transposed ? depth : n, b_stride);
  if (a_transposed && b_transposed) out.noalias() = left.transpose() * right.transpose();
  else if (a_transposed) out.noalias() = left.transpose() * right;
  else if (b_transposed) out.noalias() = left * right.transpose();
  else out.noalias() = left * right;
}
#else
void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride) {
  if (dnnl_sgemm(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', m, n, depth, 1, a, a_stride, b,
                 b_stride, 0, c, c_stride) != dnnl_success)
    throw std::runtime_error("oneDNN refused a matrix product");
}
#endif

}  // namespace elbo::cpu
