#include "runtime/group.h"

namespace elbo {

/// One message for all tensors: what most of them hold is soon sent.
void SumsByHost::run(const GroupSum& op) {
  Backend& backend = device_.backend();
  const auto count = [](const Matrix& m) { return std::size_t(m.rows) * std::size_t(m.stride); };
  std::size_t numbers = 0;
  for (const Matrix& m : op.numbers) numbers += count(m);
  staged_.resize(numbers);
  Real* next = staged_.data();
  for (const Matrix& m : op.numbers) {
    backend.copy_to_host(next, m.data, count(m) * sizeof(Real));
    next += count(m);
  }
  if (numbers > 0) group_.sum(staged_.data(), numbers);
  next = staged_.data();
  for (const Matrix& m : op.numbers) {
    backend.copy_to_device(m.data, next, count(m) * sizeof(Real));
    next += count(m);
  }
  if (op.count == 0) return;
  totals_.resize(op.count);
  backend.copy_to_host(totals_.data(), op.own, op.count * sizeof(double));
  group_.sum(totals_.data(), op.count);
  backend.copy_to_device(op.all, totals_.data(), op.count * sizeof(double));
}

}  // namespace elbo
