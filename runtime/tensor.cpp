#include "runtime/tensor.h"

#include <atomic>

#include "runtime/error.h"
#include "runtime/program.h"

namespace elbo {

Storage::Storage(Device on, Shape shape) : device(std::move(on)) {
  static std::atomic<int> made = 0;
  matrix = {nullptr, shape.rows, shape.columns, padded(shape.columns), ++made};
}

Tensor::Tensor(const Device& device, Shape shape) {
  require(shape.rows > 0 && shape.columns > 0, "tensor: shape ", shape, " has no numbers");
  const auto storage = std::make_shared<Storage>(device, shape);
  Backend* const backend = &device.backend();
  storage->memory = {
      backend->allocate(std::size_t(shape.rows) * storage->matrix.stride * sizeof(Real)),
      [device](void* memory) { device.backend().release(memory); }};
  storage->matrix.data = static_cast<Real*>(storage->memory.get());
  *this = Tensor(storage);
}

Tensor::Tensor(const Device& device, Shape shape, const std::vector<Real>& values)
    : Tensor(device, shape) {
  write(values);
}

Tensor Tensor::transient(const Device& device, Shape shape) {
  return Tensor(Program::current(device).transient(shape));
}

std::vector<Real> Tensor::read() const {
  require(node_ != nullptr, "read: the tensor is empty");
  if (!Program::recording()) flush(device());
  const Matrix& m = matrix();
  require(m.data && !Program::recording(),
          "read: a tensor has no numbers before the step that makes it has run");
  std::vector<Real> rows(std::size_t(m.rows) * m.stride), values(std::size_t(m.rows) * m.columns);
  device().backend().copy_to_host(rows.data(), m.data, rows.size() * sizeof(Real));
  for (int r = 0; r < m.rows; ++r)
    std::copy_n(&rows[std::size_t(r) * m.stride], m.columns, &values[std::size_t(r) * m.columns]);
  return values;
}

Real Tensor::item() const {
  require(shape() == Shape{1, 1}, "item: the tensor is ", shape(), ", expected [1,1]");
  return read()[0];
}

void Tensor::write(const std::vector<Real>& values) const {
  const Matrix& m = matrix();
  require(values.size() == std::size_t(m.rows) * m.columns, "write: ", values.size(),
          " values for a tensor of shape ", shape());
  require(m.data, "write: a tensor has no memory before the step that makes it has run");
  std::vector<Real> rows(std::size_t(m.rows) * m.stride);
  for (int r = 0; r < m.rows; ++r)
    std::copy_n(&values[std::size_t(r) * m.columns], m.columns, &rows[std::size_t(r) * m.stride]);
  device().backend().copy_to_device(m.data, rows.data(), rows.size() * sizeof(Real));
}

}  // namespace elbo
