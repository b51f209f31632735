// A GPU in place of CUDA's runtime, of as much of it as Elbo calls: device memory is the host's,
// kernels are run by their twins on the host executor.  Linked before the library's own runtime it
// takes that one's place, so that what nvcc compiled for the host runs as on a GPU.
//
// Nothing runs before somebody must wait for it, nor further than he waits: a copy reads its
// source, and a kernel its operands, at the last moment.  What CUDA forbids is an error here too:
// calls while a stream is recorded, launches beyond what a kernel or the GPU has room for, memory
// freed twice or read past its page.
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/stand_in/twin.h"

namespace {

using elbo::test::Arguments;
using elbo::test::TwinLaunch;

constexpr int processors = 5, most_shared = 227 << 10, portable_cluster = 8;
constexpr std::size_t page = 4096, memory_bytes = std::size_t(64) << 30;

using Work = std::function<void()>;
struct Graph {
  std::vector<Work> works;
};
struct Stream {
  std::deque<Work> queue;
  std::unique_ptr<Graph> recorded;
};
struct Event {
  Stream* stream = nullptr;
  long recorded = 0, reached = 0;
};
struct Kernel {
  std::string name;
  std::size_t shared_bytes = 48 << 10;
  int largest_cluster = portable_cluster;
};

std::recursive_mutex one_at_a_time;
using Lock = std::lock_guard<std::recursive_mutex>;
std::set<Stream*> streams;
std::map<char*, std::size_t> allocated;
cudaError_t failed = cudaSuccess;  // a kernel: for good
thread_local cudaError_t last = cudaSuccess;

/// Asked for by constructors of statics.
Kernel& kernel_of(const void* host) {
  static std::map<const void*, Kernel> kernels;
  return kernels[host];
}

cudaError_t refuse(cudaError_t error, const std::string& why) {
  std::fprintf(stderr, "stand-in of CUDA: %s\n", why.c_str());
  return last = error;
}

Stream& stream_of(cudaStream_t stream) {
  static Stream legacy;
  return stream ? *reinterpret_cast<Stream*>(stream) : legacy;
}
void run_first(Stream& stream) {
  const Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  work();
}
void run_all(Stream& stream) {
  while (!stream.queue.empty()) run_first(stream);
}
void run_everything() {
  for (Stream* stream : streams) run_all(*stream);
}
void enqueue(cudaStream_t to, Work work) {
  Stream& stream = stream_of(to);
  if (stream.recorded) stream.recorded->works.push_back(std::move(work));
  else stream.queue.push_back(std::move(work));
}
void reach(Event& event, long time) {
  while (event.reached < time && !event.stream->queue.empty()) run_first(*event.stream);
}

/// Of the one structure that a kernel takes: nobody says how large it is, and it is on the stack.
Arguments structure_at(const void* from) {
  thread_local const char* const end = [] {
    pthread_attr_t attributes;
    void* lowest = nullptr;
    std::size_t bytes = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &lowest, &bytes);
    pthread_attr_destroy(&attributes);
    return static_cast<const char*>(lowest) + bytes;
  }();
  const std::ptrdiff_t there = end - static_cast<const char*>(from);
  Arguments arguments{};
  std::memcpy(arguments.bytes, from,
              there > 0 ? std::min(std::size_t(there), sizeof arguments) : sizeof arguments);
  return arguments;
}

/// The same kernel as the host executor has it.
void* twin_of(std::string name) {
  for (std::size_t at; (at = name.find("7on_cuda")) != name.npos;) name.replace(at, 8, "7on_simt");
  return dlsym(RTLD_DEFAULT, name.c_str());
}

}  // namespace

extern "C" {

// ---- what nvcc's code calls by itself

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  kernel_of(host).name = name;
}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}
unsigned __cudaPushCallConfiguration(dim3, dim3, std::size_t, CUstream_st*) { return 1; }
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) {
  return cudaErrorNotSupported;
}
cudaError_t __cudaGetKernel(cudaKernel_t*, const void*) { return cudaErrorNotSupported; }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, std::size_t, cudaStream_t) {
  return refuse(cudaErrorNotSupported, "a launch by <<<>>>");
}

// ---- kernels

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* shape, const void* host, void** values) {
  const Lock lock(one_at_a_time);
  const Kernel& kernel = kernel_of(host);
  const auto whole = [](unsigned(&to)[3], dim3 from) {
    to[0] = from.x, to[1] = from.y, to[2] = from.z;
  };
  TwinLaunch launch;
  whole(launch.grid, shape->gridDim), whole(launch.block, shape->blockDim);
  launch.shared_bytes = shape->dynamicSmemBytes;
  for (unsigned i = 0; i < shape->numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = shape->attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative) {
      launch.cooperative = attribute.val.cooperative;
    } else if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
      launch.overlap = attribute.val.programmaticStreamSerializationAllowed;
    } else if (attribute.id == cudaLaunchAttributeClusterDimension) {
      launch.cluster = attribute.val.clusterDim.x;
    } else {
      return refuse(cudaErrorInvalidValue, "an attribute of a launch that it does not know");
    }
  }
  if (launch.shared_bytes > kernel.shared_bytes)
    return refuse(cudaErrorInvalidValue, kernel.name + ": more shared memory than it consented to");
  if (launch.cluster > unsigned(kernel.largest_cluster))
    return refuse(cudaErrorInvalidClusterSize, kernel.name + ": too large a cluster");
  if (launch.cooperative && launch.grid[0] > processors)
    return refuse(cudaErrorCooperativeLaunchTooLarge, kernel.name + ": more blocks than fit");
  launch.kernel = twin_of(kernel.name);
  if (!launch.kernel) return refuse(cudaErrorInvalidDeviceFunction, kernel.name + ": no twin");
  launch.persistent = kernel.name.find("persistent_kernel") != kernel.name.npos;
  Arguments arguments{};
  if (launch.persistent)
    for (int i = 0; i < 5; ++i) std::memcpy(arguments.bytes + 8 * i, values[i], 8);
  else arguments = structure_at(values[0]);
  enqueue(shape->stream, [launch, arguments, name = kernel.name] {
    const std::string wrong = run_twin(launch, arguments);
    if (!wrong.empty()) failed = refuse(cudaErrorLaunchFailure, name + ": " + wrong);
  });
  return failed;
}
cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  const Lock lock(one_at_a_time);
  Kernel& kernel = kernel_of(host);
  if (attribute == cudaFuncAttributeNonPortableClusterSizeAllowed) kernel.largest_cluster = 16;
  else if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value > most_shared)
    return last = cudaErrorInvalidValue;
  else kernel.shared_bytes = std::max(kernel.shared_bytes, std::size_t(value));
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) {
  return cudaErrorNotSupported;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int,
                                                                   std::size_t, unsigned) {
  *blocks = 1;
  return cudaSuccess;
}
/// None of 16 blocks, as on a GPU of which some multiprocessors are taken.
cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void*,
                                           const cudaLaunchConfig_t* shape) {
  *clusters = shape->attrs[0].val.clusterDim.x <= portable_cluster;
  return *clusters ? cudaSuccess : last = cudaErrorInvalidClusterSize;
}

// ---- the device

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device ? cudaErrorInvalidDevice : failed; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "stand-in");
  properties->major = 9, properties->multiProcessorCount = processors;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const std::map<cudaDeviceAttr, int> known{{cudaDevAttrMultiProcessorCount, processors},
                                            {cudaDevAttrComputeCapabilityMajor, 9},
                                            {cudaDevAttrComputeCapabilityMinor, 0},
                                            {cudaDevAttrClusterLaunch, 1},
                                            {cudaDevAttrMaxSharedMemoryPerBlockOptin, most_shared}};
  const auto found = known.find(attribute);
  if (found == known.end()) return refuse(cudaErrorInvalidValue, "an attribute of the device");
  *value = found->second;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = failed ? failed : last;
  last = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return failed ? failed : last; }
const char* cudaGetErrorName(cudaError_t) { return "stand-in"; }
const char* cudaGetErrorString(cudaError_t error) {
  thread_local std::string text;
  text = "error " + std::to_string(int(error)) + " of the stand-in";
  return text.c_str();
}

// ---- memory, which is not zeroed: all bits are set, as in a NaN

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const Lock lock(one_at_a_time);
  const std::size_t whole = (bytes + page - 1) / page * page;
  void* const all = bytes > memory_bytes ? MAP_FAILED
                                         : mmap(nullptr, whole + 2 * page, PROT_NONE,
                                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return last = cudaErrorMemoryAllocation;
  char* const inside = static_cast<char*>(all) + page;  // a page on either side is nobody's
  mprotect(inside, whole, PROT_READ | PROT_WRITE);
  std::memset(inside, 0xFF, whole);
  allocated[inside] = whole;
  *memory = inside;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  const Lock lock(one_at_a_time);
  if (!memory) return cudaSuccess;
  const auto found = allocated.find(static_cast<char*>(memory));
  if (found == allocated.end()) return refuse(cudaErrorInvalidValue, "freed twice");
  munmap(found->first - page, found->second + 2 * page);
  allocated.erase(found);
  return failed;
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  *memory = std::calloc(1, bytes);
  return *memory ? cudaSuccess : last = cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* memory) {
  const Lock lock(one_at_a_time);
  run_everything();  // as the call waits
  std::free(memory);
  return failed;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = memory_bytes;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  const Lock lock(one_at_a_time);
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return failed;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const Lock lock(one_at_a_time);
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return failed;
}

// ---- streams and events

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const Lock lock(one_at_a_time);
  *stream = reinterpret_cast<cudaStream_t>(*streams.insert(new Stream).first);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(one_at_a_time);
  run_all(stream_of(stream));
  streams.erase(&stream_of(stream));
  delete &stream_of(stream);
  return failed;
}
/// Each question lets one work more be done.
cudaError_t cudaStreamQuery(cudaStream_t of) {
  const Lock lock(one_at_a_time);
  Stream& stream = stream_of(of);
  if (stream.recorded) return refuse(cudaErrorStreamCaptureUnsupported, "a query while recording");
  if (!stream.queue.empty()) run_first(stream);
  return failed || stream.queue.empty() ? failed : cudaErrorNotReady;
}
cudaError_t cudaStreamSynchronize(cudaStream_t of) {
  const Lock lock(one_at_a_time);
  Stream& stream = stream_of(of);
  if (stream.recorded) return refuse(cudaErrorStreamCaptureUnsupported, "a wait while recording");
  run_all(stream);
  return failed;
}
cudaError_t cudaDeviceSynchronize() {
  const Lock lock(one_at_a_time);
  run_everything();
  return failed;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(one_at_a_time);
  run_everything();
  delete reinterpret_cast<Event*>(event);
  return failed;
}
cudaError_t cudaEventRecord(cudaEvent_t of, cudaStream_t stream) {
  const Lock lock(one_at_a_time);
  Event& event = *reinterpret_cast<Event*>(of);
  if (stream_of(stream).recorded) return refuse(cudaErrorNotSupported, "an event in a recording");
  event.stream = &stream_of(stream);
  enqueue(stream, [&event, time = ++event.recorded] { event.reached = time; });
  return failed;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t of, unsigned) {
  const Lock lock(one_at_a_time);
  Event& event = *reinterpret_cast<Event*>(of);
  if (event.stream) enqueue(stream, [&event, time = event.recorded] { reach(event, time); });
  return failed;
}
cudaError_t cudaEventSynchronize(cudaEvent_t of) {
  const Lock lock(one_at_a_time);
  Event& event = *reinterpret_cast<Event*>(of);
  if (event.stream) reach(event, event.recorded);
  return failed;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return failed;
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t of, cudaStreamCaptureMode) {
  const Lock lock(one_at_a_time);
  Stream& stream = stream_of(of);
  if (!of || stream.recorded)
    return refuse(cudaErrorStreamCaptureUnsupported, "a second recording");
  stream.recorded = std::make_unique<Graph>();
  return failed;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(one_at_a_time);
  *graph = reinterpret_cast<cudaGraph_t>(stream_of(stream).recorded.release());
  return *graph ? failed : refuse(cudaErrorIllegalState, "the end of no recording");
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(one_at_a_time);
  *status =
      stream_of(stream).recorded ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return failed;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  auto* const shared = new std::shared_ptr<const Graph>(
      std::make_shared<const Graph>(*reinterpret_cast<const Graph*>(graph)));
  *executable = reinterpret_cast<cudaGraphExec_t>(shared);
  return failed;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return failed; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Lock lock(one_at_a_time);
  const auto graph = *reinterpret_cast<const std::shared_ptr<const Graph>*>(executable);
  for (const Work& work : graph->works) enqueue(stream, work);
  return failed;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<std::shared_ptr<const Graph>*>(executable);
  return cudaSuccess;
}

}  // extern "C"
