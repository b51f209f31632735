#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/cpu/instruction_sets.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/large_products.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "runtime/nccl.h"

namespace elbo {

namespace {

/// The host as a device: operations run at the call, memory is the host's.
class Host final : public Backend {
 public:
  Host(std::unique_ptr<Ops> ops, std::string description,
       std::shared_ptr<LargeProducts> library = nullptr)
      : ops_(std::move(ops)), description_(std::move(description)), library_(std::move(library)) {}

  const Ops& ops() const override { return *ops_; }
  std::string description() const override { return description_; }
  std::string choices() const override { return library_ ? library_->choices() : ""; }
  std::string choose(const std::string& choices) override {
    return library_ ? library_->choose(choices) : "";
  }

  void* allocate(std::size_t bytes) override {
    void* const memory = cpu::allocate(bytes);
    require(memory, "out of memory: ", bytes, " bytes wanted");
    return std::memset(memory, 0, bytes);
  }
  void release(void* memory) noexcept override { std::free(memory); }
  void copy_to_device(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void wait() override {}
  bool idle() override { return true; }
  std::size_t free_memory() override { return std::numeric_limits<std::size_t>::max(); }

  void count_up(std::uint32_t* numbers, std::uint32_t first, std::uint32_t count) override {
    std::iota(numbers, numbers + count, first);
  }
  void shuffle(std::uint32_t* numbers, std::uint32_t count, const ShuffleKey& key) override {
    std::vector<std::uint64_t> places(count);
    for (std::uint32_t i = 0; i < count; ++i) places[i] = std::uint64_t(key(numbers[i])) << 32 | i;
    std::sort(places.begin(), places.end());
    const std::vector<std::uint32_t> before(numbers, numbers + count);
    for (std::uint32_t i = 0; i < count; ++i) numbers[i] = before[std::uint32_t(places[i])];
  }

  void* allocate_staging(std::size_t bytes) override { return allocate(bytes); }
  void release_staging(void* memory) noexcept override { release(memory); }
  void copy_aside(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void hold_aside() override {}
  void wait_aside() override {}

  DeviceSums sums_over(Group& group) override { return sums_by_nccl(group, "", nullptr); }

  std::unique_ptr<Recording> record(const std::function<void()>&) override { return nullptr; }

 private:
  std::unique_ptr<Ops> ops_;
  std::string description_;
  std::shared_ptr<LargeProducts> library_;
};

}  // namespace

std::unique_ptr<Backend> cpu_backend() { return cpu_backend(cpu::instruction_set()); }
std::unique_ptr<Backend> cpu_backend(const cpu::InstructionSet& set) {
  const int threads = cpu::ThreadPool::shared().threads();
  return std::make_unique<Host>(
      set.ops(),
      "cpu, " + std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") + set.name);
}

std::unique_ptr<Backend> simt_backend(Precision precision, std::shared_ptr<LargeProducts> library) {
  return std::make_unique<Host>(simt_ops(precision, library), "simt, CUDA kernels on the host",
                                library);
}

}  // namespace elbo
