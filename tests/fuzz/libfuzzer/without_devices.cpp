// Beside its reader nn/safetensors.cpp moves parameters to and from devices, which no reader does.
#include <cstdlib>

#include "runtime/tensor.h"

namespace elbo {

std::vector<Real> Tensor::read() const { std::abort(); }
void Tensor::write(const std::vector<Real>&) const { std::abort(); }

}  // namespace elbo
