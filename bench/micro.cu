// What a GPU charges for what training steps are built from, apart from any model: kernel after
// kernel, barriers, bandwidths, peak rates.
// bench_micro [--json FILE]; bench_micro --name prints the GPU's name, or why there is none.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/ceilings.h"
#include "kernels/cuda/simt.cuh"

namespace elbo::inline ELBO_TARGET {

namespace {

using Json = nlohmann::ordered_json;

/// The median of several timings of `body` on a stream of its own, in seconds.
class Timer {
 public:
  Timer() {
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    check(cudaEventCreate(&start_));
    check(cudaEventCreate(&end_));
  }
  ~Timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  double operator()(const std::function<void()>& body) const {
    std::vector<float> times;
    for (int i = 0; i < 12; ++i) {
      float milliseconds = 0;
      check(cudaEventRecord(start_, stream));
      body();
      check(cudaEventRecord(end_, stream));
      check(cudaEventSynchronize(end_));
      check(cudaEventElapsedTime(&milliseconds, start_, end_));
      if (i > 0) times.push_back(milliseconds);  // the first one warms up
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] / 1e3;
  }

  cudaStream_t stream = nullptr;

 private:
  cudaEvent_t start_ = nullptr, end_ = nullptr;
};

struct Gpu {
  cudaDeviceProp properties{};
  int processors = 0, clock_kilohertz = 0;
  Gpu() {
    check(cudaGetDeviceProperties(&properties, 0));
    processors = properties.multiProcessorCount;
    check(cudaDeviceGetAttribute(&clock_kilohertz, cudaDevAttrClockRate, 0));
  }
};

// ---- kernel after kernel

__global__ void follow(unsigned* counter) {
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();
  if (blockIdx.x == 0 && threadIdx.x == 0) ++*counter;  // each needs what the one before it wrote
}

/// Microseconds from one kernel of a graph to the next.
double gap(const Timer& timer, unsigned* counter, unsigned blocks, bool overlap) {
  constexpr int kernels = 400;
  launch(follow, {blocks, 128, 0, timer.stream},
         counter);  // its code is there before it is recorded
  check(cudaStreamBeginCapture(timer.stream, cudaStreamCaptureModeRelaxed));
  for (int i = 0; i < kernels; ++i)
    launch(follow, {blocks, 128, 0, timer.stream, false, overlap}, counter);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  check(cudaStreamEndCapture(timer.stream, &graph));
  check(cudaGraphInstantiate(&executable, graph, 0));
  const double seconds = timer([&] { check(cudaGraphLaunch(executable, timer.stream)); });
  check(cudaGraphExecDestroy(executable));
  check(cudaGraphDestroy(graph));
  return seconds / kernels * 1e6;
}

double gap_in_stream(const Timer& timer, unsigned* counter, unsigned blocks) {
  constexpr int kernels = 400;
  return timer([&] {
           for (int i = 0; i < kernels; ++i)
             launch(follow, {blocks, 128, 0, timer.stream}, counter);
         }) /
         kernels * 1e6;
}

// ---- barriers

__global__ void atomic_barriers(unsigned* arrived, int barriers) {
  for (int i = 0; i < barriers; ++i) {
    __syncthreads();
    if (threadIdx.x == 0) {
      // The counter only grows, so that a barrier needs no reset.
      const unsigned goal = (unsigned(i) + 1) * gridDim.x;
      red_release_add(arrived, 1);
      while (ld_acquire(arrived) < goal) {
      }
    }
    __syncthreads();
  }
}

__global__ void library_barriers(int barriers) {
  for (int i = 0; i < barriers; ++i) grid_sync();
}

__global__ void cluster_barriers(int barriers) {
  for (int i = 0; i < barriers; ++i) cluster_sync();
}

/// Microseconds a barrier, from the difference between many and few, which frees it of the launch.
double each(const Timer& timer, const std::function<void(int)>& with) {
  constexpr int few = 100, many = 1100;
  const double less = timer([&] { with(few); }), more = timer([&] { with(many); });
  return (more - less) / (many - few) * 1e6;
}

double cluster_barrier(const Timer& timer, unsigned blocks) {
  return each(timer, [&](int barriers) {
    launch(cluster_barriers, {blocks, 128, 0, timer.stream, false, false, blocks}, barriers);
  });
}

// ---- bandwidths

__global__ void read_again(const float4* from, std::size_t count, int passes, float* out,
                           bool never) {
  float4 sum{};
  for (int pass = 0; pass < passes; ++pass) {
#pragma unroll 4
    for (std::size_t i = blockIdx.x * std::size_t(blockDim.x) + threadIdx.x; i < count;
         i += std::size_t(gridDim.x) * blockDim.x) {
      const float4 v = __ldcg(from + i);  // past L1
      sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
    }
  }
  if (never) *out = sum.x + sum.y + sum.z + sum.w;
}

/// Bytes per second of reading so much memory over and over.
double read_bandwidth(const Timer& timer, const Gpu& gpu, std::size_t bytes, int passes) {
  float4* from = nullptr;
  check(cudaMalloc(&from, bytes));
  check(cudaMemsetAsync(from, 0, bytes, timer.stream));
  const double seconds = timer([&] {
    launch(read_again, {unsigned(gpu.processors) * 2, 1024, 0, timer.stream}, from,
           bytes / sizeof(float4), passes, static_cast<float*>(nullptr), false);
  });
  check(cudaFree(from));
  return double(bytes) * passes / seconds;
}

int say_name() {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, 0);
  if (status == cudaSuccess) std::puts(properties.name);
  else std::fprintf(stderr, "%s\n", cudaGetErrorString(status));
  return status != cudaSuccess;
}

Json measure() {
  const Gpu gpu;
  const Timer timer;
  const unsigned all = unsigned(gpu.processors);
  unsigned* counter = nullptr;
  check(cudaMalloc(&counter, sizeof(unsigned)));
  check(cudaMemset(counter, 0, sizeof(unsigned)));
  check(cudaDeviceSynchronize());
  const std::string wide = std::to_string(all) + "_blocks";

  Json result;
  result["device"] = gpu.properties.name;
  result["compute_capability"] = gpu.properties.major * 10 + gpu.properties.minor;
  result["processors"] = gpu.processors;
  result["clock_mhz"] = gpu.clock_kilohertz / 1e3;
  result["l2_bytes"] = gpu.properties.l2CacheSize;
  Json& gaps = result["microseconds_from_kernel_to_kernel"];
  gaps["graph, 1 block"] = gap(timer, counter, 1, false);
  gaps["graph, " + wide] = gap(timer, counter, all, false);
  gaps["graph, " + wide + ", programmatic"] = gap(timer, counter, all, true);
  gaps["stream, " + wide] = gap_in_stream(timer, counter, all);

  Json& barriers = result["microseconds_of_a_barrier"];
  for (const unsigned blocks : {all, 2 * all})
    barriers["atomic, " + std::to_string(blocks) + "_blocks"] = each(timer, [&](int n) {
      check(cudaMemsetAsync(counter, 0, sizeof(unsigned), timer.stream));
      launch(atomic_barriers, {blocks, 128, 0, timer.stream, true}, counter, n);
    });
  barriers["grid.sync, " + wide] = each(timer, [&](int n) {
    launch(library_barriers, {all, 128, 0, timer.stream, true}, n);
  });
  for (unsigned blocks = largest_cluster_of(cluster_barriers, 128, 0); blocks >= portable_cluster;
       blocks /= 2)
    barriers["cluster of " + std::to_string(blocks)] = cluster_barrier(timer, blocks);

  Json& bandwidths = result["bytes_per_second"];
  bandwidths["read, 16 MiB again and again (L2)"] =
      read_bandwidth(timer, gpu, std::size_t(16) << 20, 50);
  bandwidths["read, 2 GiB"] = read_bandwidth(timer, gpu, std::size_t(2) << 30, 1);
  bandwidths["copy, 1 GiB, read and written"] = cuda_copy_bandwidth();

  Json& rates = result["flops"];
  rates["fp32, fused multiply-adds"] = cuda_flops(Precision::fp32);
  rates["tf32, mma.sync"] = cuda_flops(Precision::tf32);
  rates["bf16, mma.sync"] = cuda_flops(Precision::bf16);
  check(cudaFree(counter));
  return result;
}

}  // namespace

}  // namespace elbo::inline ELBO_TARGET

int main(int argc, char** argv) {
  try {
    if (argc == 2 && std::string(argv[1]) == "--name") return elbo::say_name();
    const nlohmann::ordered_json result = elbo::measure();
    std::puts(result.dump(1).c_str());
    if (argc == 3 && std::string(argv[1]) == "--json")
      std::ofstream(argv[2]) << result.dump(1) << '\n';
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_micro: %s\n", error.what());
    return 1;
  }
}
