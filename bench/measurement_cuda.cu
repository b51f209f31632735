#include <algorithm>
#include <memory>
#include <vector>

#include "bench/measurement.h"
#include "kernels/cuda/simt.cuh"

namespace elbo {

namespace {

constexpr int calls = 100, cold_calls = 30;
constexpr std::size_t sweep_bytes = 128 << 20;  // the largest L2 so far holds 60 MB of an H200

/// A stream with operations of its own, two events, and what is replayed between them.
struct Recorded {
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr, end = nullptr;
  cudaGraphExec_t graph = nullptr;
  void* sweep = nullptr;
  std::unique_ptr<Ops> ops;

  explicit Recorded(Precision precision) {
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    check(cudaEventCreate(&start));
    check(cudaEventCreate(&end));
    ops = cuda_ops(precision, stream);
  }
  ~Recorded() {
    cudaStreamSynchronize(stream);
    if (graph) cudaGraphExecDestroy(graph);
    cudaFree(sweep);
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    cudaStreamDestroy(stream);
  }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  double seconds_between() const {
    check(cudaEventSynchronize(end));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end));
    return milliseconds / 1e3;
  }
};

}  // namespace

std::function<double()> cuda_measurement(Precision precision, std::function<void(const Ops&)> body,
                                         bool cold) {
  const auto recorded = std::make_shared<Recorded>(precision);
  body(*recorded->ops);  // loads the kernels, which may not happen while a graph is recorded
  check(cudaStreamSynchronize(recorded->stream));

  if (cold) {
    check(cudaMalloc(&recorded->sweep, sweep_bytes));
    return [recorded, body] {
      std::vector<double> times;
      for (int i = 0; i < cold_calls; ++i) {
        check(cudaMemsetAsync(recorded->sweep, i, sweep_bytes, recorded->stream));
        check(cudaEventRecord(recorded->start, recorded->stream));
        body(*recorded->ops);
        check(cudaEventRecord(recorded->end, recorded->stream));
        times.push_back(recorded->seconds_between());
      }
      return median(times);
    };
  }

  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(recorded->stream, cudaStreamCaptureModeRelaxed));
  for (int i = 0; i < calls; ++i) body(*recorded->ops);
  check(cudaStreamEndCapture(recorded->stream, &graph));
  check(cudaGraphInstantiate(&recorded->graph, graph, 0));
  check(cudaGraphDestroy(graph));
  check(cudaGraphLaunch(recorded->graph, recorded->stream));  // the first replay is a warm-up
  return [recorded] {
    check(cudaEventRecord(recorded->start, recorded->stream));
    check(cudaGraphLaunch(recorded->graph, recorded->stream));
    check(cudaEventRecord(recorded->end, recorded->stream));
    return recorded->seconds_between() / calls;
  };
}

}  // namespace elbo
