#pragma once
#include "kernels/matrix.h"

namespace elbo::cpu {

/// c [m,n] = op(a) op(b) on the calling thread, op the transpose where asked; strides in numbers.
/// oneDNN's product for float; Eigen's in the double build.
void multiply(bool a_transposed, bool b_transposed, int m, int n, int depth, const Real* a,
              int a_stride, const Real* b, int b_stride, Real* c, int c_stride);

}  // namespace elbo::cpu
