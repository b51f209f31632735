#include <cublasLt.h>
#include <dlfcn.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/simt.cuh"
#include "kernels/cuda/tiling.h"
#include "kernels/large_products.h"
#include "kernels/ops.h"

namespace elbo {

namespace {

/// The functions of cuBLASLt.  It is opened and not linked, so that programs start without it; half
/// a second, which runs of small products do not spend.
struct Library {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) words;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) candidates;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  std::string missing;  // why it is not there; empty: it is

  /// Stays open for as long as the program runs.
  static const Library& opened() {
    static const Library library;
    return library;
  }
  void check(cublasStatus_t status, const char* what) const {
    if (status != CUBLAS_STATUS_SUCCESS)
      throw std::runtime_error(std::string("cuBLASLt: ") + what + ": " + words(status));
  }

 private:
  Library() {
    void* library = nullptr;
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
      if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      missing = "neither libcublasLt.so.13 nor libcublasLt.so.12 can be opened";
      return;
    }
    const auto find = [&]<class F>(F& function, const char* name) {
      function = reinterpret_cast<F>(dlsym(library, name));
      if (!function) missing = std::string("libcublasLt has no ") + name;
    };
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(version, "cublasLtGetVersion");
    find(words, "cublasLtGetStatusString");
    find(matmul, "cublasLtMatmul");
    find(candidates, "cublasLtMatmulAlgoGetHeuristic");
    find(create_product, "cublasLtMatmulDescCreate");
    find(destroy_product, "cublasLtMatmulDescDestroy");
    find(set_product, "cublasLtMatmulDescSetAttribute");
    find(create_layout, "cublasLtMatrixLayoutCreate");
    find(destroy_layout, "cublasLtMatrixLayoutDestroy");
    find(create_preference, "cublasLtMatmulPreferenceCreate");
    find(destroy_preference, "cublasLtMatmulPreferenceDestroy");
    find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
  }
};

/// One of the library's descriptors.
template <class Handle>
class Described {
 public:
  Described(Handle handle, cublasStatus_t (*destroy)(Handle))
      : handle_(handle), destroy_(destroy) {}
  ~Described() { destroy_(handle_); }
  Described(const Described&) = delete;
  operator Handle() const { return handle_; }

 private:
  Handle handle_;
  cublasStatus_t (*destroy_)(Handle);
};

struct Event {
  cudaEvent_t event = nullptr;
  Event() { check(cudaEventCreate(&event)); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
};

/// Memory of the device.
class Room {
 public:
  Room() = default;
  explicit Room(std::size_t bytes) : bytes_(bytes) {
    const cudaError_t status = cudaMalloc(&memory_, bytes);
    if (status != cudaSuccess) {
      cudaGetLastError();
      throw std::runtime_error("large products: " + std::to_string(bytes) +
                               " bytes of GPU memory wanted: " + cudaGetErrorString(status));
    }
  }
  ~Room() {
    if (!memory_) return;
    cudaDeviceSynchronize();  // something may still use it
    cudaFree(memory_);
  }
  Room(Room&& other) noexcept { *this = std::move(other); }
  Room& operator=(Room&& other) noexcept {
    std::swap(memory_, other.memory_), std::swap(bytes_, other.bytes_);
    std::swap(recorded, other.recorded);
    return *this;
  }
  void* memory() const { return memory_; }
  std::size_t bytes() const { return bytes_; }
  bool recorded = false;  // a recording holds its address

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

class CublasLt final : public LargeProducts {
 public:
  CublasLt(Precision precision, cudaStream_t stream) : precision_(precision), stream_(stream) {}
  ~CublasLt() override {
    if (handle_) library_->destroy(handle_);
  }

  bool takes(int m, int n, int k) override { return tiling::takes_library(m, n, k) && open(); }

  void multiply(Form form, const Factor& a, const Factor& b, const Matrix& c,
                bool accumulate) override {
    const Call call{*this, form, a, b, c};
    const ProductChoices::Key key{
        form,     c.rows,   c.columns, form == Form::atb ? a.rows : a.columns,
        a.stride, b.stride, c.stride};
    const ProductChoices::Algorithm* chosen = choices_->find(key);
    if (!chosen) chosen = &choices_->set(key, fastest(call, accumulate));
    library_->check(call.run(*chosen, c.data, accumulate), "product");
  }

  void* scratch(Slot slot, std::size_t bytes) override {
    Room& room = rooms_[int(slot)];
    const bool now_recording = recording();
    if (bytes > room.bytes()) {
      if (now_recording) throw std::logic_error("a large product was recorded before it ran");
      if (room.recorded) kept_.push_back(std::exchange(room, Room()));
      room = Room();  // frees first, then asks
      room = Room(bytes);
    }
    room.recorded |= now_recording;
    return room.memory();
  }

  std::string description() const override {
    if (!choices_) return "";
    return missing_.empty() ? "large products by cuBLASLt " + version_
                            : "large products without cuBLASLt (" + missing_ + ")";
  }
  std::string choices() const override { return choices_ ? choices_->text() : ""; }
  std::string choose(const std::string& choices) override {
    if (choices.empty()) return "";
    open();
    return choices_->take(choices);
  }

 private:
  static constexpr std::size_t workspace_bytes = std::size_t(32) << 20;
  static constexpr int most_candidates = 16, timings = 5;

  using Layout = Described<cublasLtMatrixLayout_t>;

  /// A product as the library describes it.  Its matrices are stored by columns, so that ours are
  /// their transposes to it: cᵀ = bᵀ aᵀ.
  struct Call {
    const CublasLt& in;
    const Library& lib;
    const void *a, *b;
    std::size_t c_bytes;
    Described<cublasLtMatmulDesc_t> product;
    Layout a_layout, b_layout, c_layout;

    Call(const CublasLt& in, Form form, const Factor& a, const Factor& b, const Matrix& c)
        : in(in),
          lib(*in.library_),
          a(a.data),
          b(b.data),
          c_bytes(sizeof(float) * std::size_t(c.rows) * std::size_t(c.stride)),
          product(in.product(form)),
          a_layout(in.layout(in.factor_type(), a.rows, a.columns, a.stride)),
          b_layout(in.layout(in.factor_type(), b.rows, b.columns, b.stride)),
          c_layout(in.layout(CUDA_R_32F, c.rows, c.columns, c.stride)) {}

    cublasStatus_t run(const ProductChoices::Algorithm& algorithm, float* c,
                       bool accumulate) const {
      cublasLtMatmulAlgo_t how;
      std::copy(algorithm.begin(), algorithm.end(), how.data);
      const float one = 1, before = accumulate ? 1 : 0;
      return lib.matmul(in.handle_, product, &one, b, b_layout, a, a_layout, &before, c, c_layout,
                        c, c_layout, &how, in.workspace_.memory(), workspace_bytes, in.stream_);
    }
  };

  cudaDataType_t factor_type() const {
    return precision_ == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
  }
  Described<cublasLtMatmulDesc_t> product(Form form) const {
    const Library& lib = *library_;
    cublasLtMatmulDesc_t handle = nullptr;
    lib.check(lib.create_product(
                  &handle,
                  precision_ == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                  CUDA_R_32F),
              "description of a product");
    const cublasOperation_t of_b = form == Form::abt ? CUBLAS_OP_T : CUBLAS_OP_N,
                            of_a = form == Form::atb ? CUBLAS_OP_T : CUBLAS_OP_N;
    const auto set = [&](cublasLtMatmulDescAttributes_t which, cublasOperation_t operation) {
      lib.check(lib.set_product(handle, which, &operation, sizeof operation), "transposition");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, of_b), set(CUBLASLT_MATMUL_DESC_TRANSB, of_a);
    return {handle, lib.destroy_product};
  }
  Layout layout(cudaDataType_t type, int rows, int columns, int stride) const {
    cublasLtMatrixLayout_t handle = nullptr;
    library_->check(
        library_->create_layout(&handle, type, std::uint64_t(columns), std::uint64_t(rows), stride),
        "description of a matrix");
    return {handle, library_->destroy_layout};
  }
  Described<cublasLtMatmulPreference_t> preference() const {
    const Library& lib = *library_;
    cublasLtMatmulPreference_t handle = nullptr;
    lib.check(lib.create_preference(&handle), "preference");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      lib.check(lib.set_preference(handle, which, &value, sizeof value), "preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t(workspace_bytes));
    // Parts of a sum meet in the workspace, never in the result in the order of their arrival.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    for (const auto which :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set(which, std::uint32_t(16));  // kernels/matrix.h
    return {handle, lib.destroy_preference};
  }

  bool recording() const {
    cudaStreamCaptureStatus status;
    check(cudaStreamIsCapturing(stream_, &status));
    return status != cudaStreamCaptureStatusNone;
  }

  /// Opens the library, once; whether it is there.
  bool open() {
    if (choices_) return missing_.empty();
    library_ = &Library::opened();
    missing_ = library_->missing;
    if (missing_.empty()) {
      const cublasStatus_t status = library_->create(&handle_);
      if (status != CUBLAS_STATUS_SUCCESS)
        missing_ = std::string("it does not start: ") + library_->words(status);
    }
    if (!missing_.empty()) {
      choices_.emplace("Elbo's kernels");
      return false;
    }
    workspace_ = Room(workspace_bytes);
    const std::size_t v = library_->version();  // 10000 · major + 100 · minor + patch
    version_ = std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
               std::to_string(v % 100);
    int device = 0;
    cudaDeviceProp properties;
    check(cudaGetDevice(&device));
    check(cudaGetDeviceProperties(&properties, device));
    constexpr const char* precisions[] = {"fp32", "tf32", "bf16"};
    choices_.emplace("cuBLASLt " + version_ + " on " + properties.name + " (" +
                     std::to_string(properties.multiProcessorCount) + " multiprocessors), " +
                     precisions[int(precision_)]);
    return true;
  }

  /// The candidates come in the order in which the library expects them to be fast, the same every
  /// time; a later one must be faster by more than timings differ, so that most runs agree.
  ProductChoices::Algorithm fastest(const Call& call, bool accumulate) {
    if (recording()) throw std::logic_error("a large product was recorded before it ran");
    const Library& lib = *library_;
    const auto preferred = preference();
    cublasLtMatmulHeuristicResult_t found[most_candidates] = {};
    int count = 0;
    lib.check(lib.candidates(handle_, call.product, call.b_layout, call.a_layout, call.c_layout,
                             call.c_layout, preferred, most_candidates, found, &count),
              "algorithms for a product");
    const Room target(call.c_bytes);  // the result must be added to once
    float* const c = static_cast<float*>(target.memory());
    const Event start, end;
    ProductChoices::Algorithm best{};
    float shortest = 0;
    bool any = false;
    for (int i = 0; i < count; ++i) {
      ProductChoices::Algorithm algorithm;
      std::copy_n(found[i].algo.data, algorithm.size(), algorithm.begin());
      if (found[i].state != CUBLAS_STATUS_SUCCESS || found[i].workspaceSize > workspace_bytes ||
          call.run(algorithm, c, accumulate) != CUBLAS_STATUS_SUCCESS)
        continue;
      float least = 0;
      for (int t = 0; t < timings; ++t) {
        check(cudaEventRecord(start.event, stream_));
        lib.check(call.run(algorithm, c, accumulate), "product");
        check(cudaEventRecord(end.event, stream_));
        check(cudaEventSynchronize(end.event));
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, start.event, end.event));
        least = t == 0 ? milliseconds : std::min(least, milliseconds);
      }
      if (any && least > 0.97f * shortest) continue;
      best = algorithm, shortest = least, any = true;
    }
    if (!any) throw std::runtime_error("cuBLASLt: no algorithm for a product");
    return best;
  }

  Precision precision_;
  cudaStream_t stream_;
  const Library* library_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  std::string missing_, version_;
  std::optional<ProductChoices> choices_;  // once a product was large enough
  Room workspace_, rooms_[slots];
  std::vector<Room> kept_;  // recordings hold them
};

}  // namespace

std::shared_ptr<LargeProducts> cublaslt_products(Precision precision, void* stream) {
  return std::make_shared<CublasLt>(precision, static_cast<cudaStream_t>(stream));
}

}  // namespace elbo
