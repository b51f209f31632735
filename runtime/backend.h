#pragma once
#include <functional>
#include <memory>
#include <string>

#include "kernels/ops.h"

namespace elbo::cpu {
struct InstructionSet;
}

namespace elbo {

struct Group;
struct DeviceSums;

/// A sequence of operations, recorded once and replayed in one launch.
struct Recording {
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

/// What the runtime needs of a device besides its operations: memory, copies, waiting, recording.
/// Everything but what is aside happens in the order of the calls; only the copies from and to the
/// host and the waits hold it up.
struct Backend {
  virtual ~Backend() = default;
  virtual const Ops& ops() const = 0;
  virtual std::string description() const = 0;

  /// The algorithms chosen for large products (kernels/large_products.h), empty where there are
  /// none; and what a run chose before, put back: returns what the user should know of that.
  virtual std::string choices() const = 0;
  virtual std::string choose(const std::string& choices) = 0;

  /// Zeroed and 256-byte aligned; errors: `elbo::Error` naming the bytes wanted.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void*) noexcept = 0;
  virtual void copy_to_device(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes) = 0;
  virtual void wait() = 0;
  /// Whether there is nothing to wait for.  Errors: what went wrong in it.
  virtual bool idle() = 0;
  /// Bytes that allocations may still take; the largest number where nothing limits them.
  virtual std::size_t free_memory() = 0;

  /// numbers[i] = first + i
  virtual void count_up(std::uint32_t* numbers, std::uint32_t first, std::uint32_t count) = 0;
  /// Sorts numbers in device memory by their keys; those of one key keep their order.
  virtual void shuffle(std::uint32_t* numbers, std::uint32_t count, const ShuffleKey&) = 0;

  /// Host memory that copy_aside reads at full speed, and that operations reach at the same
  /// address: what they write there the host sees while others run.
  virtual void* allocate_staging(std::size_t bytes) = 0;
  virtual void release_staging(void*) noexcept = 0;
  /// Copies on a second queue, beside the operations and from any thread; `from`, which is staging
  /// memory, is read by the time wait_aside returns.
  virtual void copy_aside(void* to, const void* from, std::size_t bytes) = 0;
  /// The second queue goes on only when what the first holds now is done.
  virtual void hold_aside() = 0;
  virtual void wait_aside() = 0;

  /// Sums over the processes by the devices themselves (runtime/nccl.h), which this device
  /// outlives. All of a group call it.
  virtual DeviceSums sums_over(Group&) = 0;

  /// Records what body enqueues, without running it; null where the device does not record.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& body) = 0;
};

/// With the widest instruction set of the processor, or with a given one.
std::unique_ptr<Backend> cpu_backend();
std::unique_ptr<Backend> cpu_backend(const cpu::InstructionSet&);
std::unique_ptr<Backend> simt_backend(Precision, std::shared_ptr<LargeProducts> = nullptr);

/// Errors: `elbo::Error` when this build has no CUDA, or there is no such GPU.
std::unique_ptr<Backend> cuda_backend(int index, Precision);

/// How many GPUs this process can use; 0 without CUDA, a driver or a GPU.
int cuda_devices();

}  // namespace elbo
