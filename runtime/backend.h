#pragma once
#include <functional>
#include <memory>
#include <string>

#include "kernels/ops.h"

namespace elbo {

/// A sequence of operations, recorded once and replayed in one launch.
struct Recording {
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

/// What the runtime needs of a device besides its operations: memory, copies, waiting, recording.
/// Everything happens in the order of the calls; only copy_to_host and wait hold up the host.
struct Backend {
  virtual ~Backend() = default;
  virtual const Ops& ops() const = 0;
  virtual std::string description() const = 0;

  /// Zeroed and 256-byte aligned; errors: `elbo::Error` naming the bytes wanted.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void*) noexcept = 0;
  virtual void copy_to_device(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes) = 0;
  virtual void wait() = 0;

  /// Records what body enqueues, without running it; null where the device does not record.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& body) = 0;
};

std::unique_ptr<Backend> cpu_backend();
std::unique_ptr<Backend> simt_backend(Precision);

/// Errors: `elbo::Error` when this build has no CUDA, or there is no such GPU.
std::unique_ptr<Backend> cuda_backend(int index, Precision);

/// How many GPUs this process can use; 0 without CUDA, a driver or a GPU.
int cuda_devices();

}  // namespace elbo
