#include <cuda_runtime.h>

#include <source_location>
#include <utility>

#include "kernels/large_products.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "runtime/nccl.h"
#include "runtime/order_cuda.h"

namespace elbo {

namespace {

void check(cudaError_t status, std::source_location site = std::source_location::current()) {
  if (status != cudaSuccess)
    fail(site.file_name(), ":", site.line(), ": CUDA: ", cudaGetErrorString(status));
}

/// A stream of its own, so that recordings and other libraries' work do not wait for each other.
struct Stream {
  cudaStream_t stream = nullptr;
  explicit Stream(int device) {
    check(cudaSetDevice(device));
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

/// Lets one stream wait for another.
struct Event {
  cudaEvent_t event = nullptr;
  Event() { check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
};

/// Memory that work on a stream may use for as long as a call's work lasts, kept from call to call.
class Scratch {
 public:
  explicit Scratch(cudaStream_t stream) : stream_(stream) {}
  ~Scratch() {
    cudaStreamSynchronize(stream_);
    cudaFree(memory_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* of(std::size_t bytes) {
    if (bytes <= bytes_) return memory_;
    check(cudaStreamSynchronize(stream_));
    check(cudaFree(std::exchange(memory_, nullptr)));
    bytes_ = 0;
    check(cudaMalloc(&memory_, bytes));
    bytes_ = bytes;
    return memory_;
  }

 private:
  cudaStream_t stream_;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A captured sequence of launches, replayed as one graph.
class Graph final : public Recording {
 public:
  Graph(std::shared_ptr<Stream> stream, cudaGraph_t graph) : stream_(std::move(stream)) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(status);
    check(cudaGraphUpload(executable_, stream_->stream));
  }
  ~Graph() override {
    cudaStreamSynchronize(stream_->stream);  // a replay may still be under way
    cudaGraphExecDestroy(executable_);
  }
  void replay() override { check(cudaGraphLaunch(executable_, stream_->stream)); }

 private:
  std::shared_ptr<Stream> stream_;
  cudaGraphExec_t executable_ = nullptr;
};

class Cuda final : public Backend {
 public:
  Cuda(int index, Precision precision)
      : index_(index),
        stream_(std::make_shared<Stream>(index)),
        aside_(index),
        scratch_(stream_->stream),
        library_(cublaslt_products(precision, stream_->stream)),
        ops_(cuda_ops(precision, stream_->stream, library_)) {}

  const Ops& ops() const override {
    here();  // launches go to the thread's current device
    return *ops_;
  }

  std::string description() const override {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, index_));
    const std::string library = library_->description();
    return "cuda:" + std::to_string(index_) + ", " + properties.name + ", sm_" +
           std::to_string(properties.major) + std::to_string(properties.minor) +
           (library.empty() ? "" : ", " + library);
  }
  std::string choices() const override { return library_->choices(); }
  std::string choose(const std::string& choices) override {
    here();
    return library_->choose(choices);
  }

  void* allocate(std::size_t bytes) override {
    here();
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes ? bytes : 1);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // not sticky: forget it
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total));
      fail("out of GPU memory: ", bytes, " bytes wanted, ", free, " of ", total, " free");
    }
    check(status);
    check(cudaMemsetAsync(memory, 0, bytes ? bytes : 1, stream_->stream));
    return memory;
  }

  /// Work that still uses the memory ends first.
  void release(void* memory) noexcept override {
    cudaStreamSynchronize(stream_->stream);
    cudaFree(memory);
  }

  /// Waits, because a copy from pageable memory need not have read it when the call returns.
  void copy_to_device(void* to, const void* from, std::size_t bytes) override {
    here();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_->stream));
    check(cudaStreamSynchronize(stream_->stream));
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes) override {
    here();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_->stream));
    check(cudaStreamSynchronize(stream_->stream));
  }
  void wait() override { check(cudaStreamSynchronize(stream_->stream)); }
  bool idle() override {
    const cudaError_t status = cudaStreamQuery(stream_->stream);
    if (status == cudaErrorNotReady) return false;
    check(status);
    return true;
  }
  std::size_t free_memory() override {
    here();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total));
    return free;
  }

  void count_up(std::uint32_t* numbers, std::uint32_t first, std::uint32_t count) override {
    here();
    elbo::count_up(stream_->stream, numbers, first, count);
  }
  void shuffle(std::uint32_t* numbers, std::uint32_t count, const ShuffleKey& key) override {
    here();
    elbo::shuffle(stream_->stream, numbers, count, key,
                  [&](std::size_t bytes) { return scratch_.of(bytes); });
  }

  void* allocate_staging(std::size_t bytes) override {
    here();
    void* memory = nullptr;  // one address for host and device: unified addressing
    check(cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocMapped | cudaHostAllocPortable));
    return memory;
  }
  void release_staging(void* memory) noexcept override { cudaFreeHost(memory); }
  void copy_aside(void* to, const void* from, std::size_t bytes) override {
    here();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, aside_.stream));
  }
  void hold_aside() override {
    here();
    check(cudaEventRecord(held_.event, stream_->stream));
    check(cudaStreamWaitEvent(aside_.stream, held_.event));
  }
  void wait_aside() override { check(cudaStreamSynchronize(aside_.stream)); }

  DeviceSums sums_over(Group& group) override {
    here();
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, index_));
    return sums_by_nccl(group, std::string(properties.uuid.bytes, sizeof properties.uuid.bytes),
                        stream_->stream);
  }

  /// Relaxed: what other threads do meanwhile is none of the recording's business.
  std::unique_ptr<Recording> record(const std::function<void()>& body) override {
    here();
    check(cudaStreamBeginCapture(stream_->stream, cudaStreamCaptureModeRelaxed));
    cudaGraph_t graph = nullptr;
    try {
      body();
    } catch (...) {
      cudaStreamEndCapture(stream_->stream, &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream_->stream, &graph));
    return std::make_unique<Graph>(stream_, graph);
  }

 private:
  void here() const { check(cudaSetDevice(index_)); }

  int index_;
  std::shared_ptr<Stream> stream_;
  Stream aside_;
  Event held_;
  Scratch scratch_;
  std::shared_ptr<LargeProducts> library_;
  std::unique_ptr<Ops> ops_;
};

}  // namespace

std::unique_ptr<Backend> cuda_backend(int index, Precision precision) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  require(status == cudaSuccess, "--device cuda: no usable GPU: ", cudaGetErrorString(status));
  require(index >= 0 && index < count, "--device cuda:", index, ": this machine has ", count,
          count == 1 ? " GPU" : " GPUs");
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
  require(major >= 8, "--device cuda:", index, ": compute capability ", major,
          ".x, the kernels need 8.0 or later");
  return std::make_unique<Cuda>(index, precision);
}

int cuda_devices() {
  int count = 0;
  const bool usable = cudaGetDeviceCount(&count) == cudaSuccess;
  cudaGetLastError();
  return usable ? count : 0;
}

}  // namespace elbo
