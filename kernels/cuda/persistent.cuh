#pragma once
#include <algorithm>
#include <variant>

#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/update.cuh"
#include "kernels/ops.h"

// Many steps in one launch: the works of a step, which would be kernels of their own, are phases of
// one kernel.  Its blocks share out a phase's blocks, and meet before the next: all blocks that the
// device holds, of a cooperative launch, at an atomic counter; or those of one cluster, at the
// hardware's barrier (docs/architecture.md says what that is for).
namespace elbo::inline ELBO_TARGET {

template <class Mainloop, bool forward, class Body, class Factor = Operand>
using SmallGemm = GemmWork<tiling::Small, Mainloop, forward, Body, Factor>;

/// What can be a phase: works of 128 threads.
template <class Mainloop>
using PhaseWork = std::variant<
    SmallGemm<Mainloop, true, BiasActivateBody<AnyActivation>, Gather>,
    SmallGemm<Mainloop, true, BiasActivateBody<AnyActivation>>,
    SmallGemm<Mainloop, true, SampleLatentBody>,
    SmallGemm<Mainloop, true, ObserveBody<Bernoulli, 1>>,
    SmallGemm<Mainloop, true, ObserveBody<FixedGaussian, 1>>,
    SmallGemm<Mainloop, true, ObserveBody<Gaussian, 1>>,
    SmallGemm<Mainloop, true, ObserveBody<Gaussian, 2>>,
    SmallGemm<Mainloop, true, ObserveBody<Likelihood, 1>>,
    SmallGemm<Mainloop, true, ObserveBody<Likelihood, 2>>,
    SmallGemm<Mainloop, false, ActivationGradientBody<AnyActivation>>,
    SmallGemm<Mainloop, false, LatentGradientBody>, SmallGemm<Mainloop, false, StoreBody>,
    WeightGradientsWork<tiling::Small, Mainloop>, WeightGradientsWork<tiling::Large, Mainloop>,
    UpdateAllWork, MapWork<GatherBody>, RowPassWork<GatherRowBody>, MapWork<AddBody>,
    MapWork<FillBody>, MapWork<SampleManyGradientBody>, RowSumsWork<RowSumBody>,
    RowSumsWork<SampleManyBody>, RowSumsWork<UnitKlBody>, RowSumsWork<FreeBitsBody>,
    RowPassWork<DropBody>, RowPassWork<ImportanceRowBody>,
    RowPassWork<NormaliseRowsBody<AnyActivation, -1>>,
    RowPassWork<NormaliseRowsGradientBody<AnyActivation, -1>>, RowPassWork<LogTotalsBody>,
    RowPassWork<RatesBody>, RowPassWork<RatesGradientBody>,
    RowPassWork<ObserveRatesBody<ObserveBody<NegativeBinomial, 1>>>,
    RowPassWork<ObserveRatesBody<ObserveBody<NegativeBinomial, 2>>>,
    RowPassWork<ObserveRatesBody<ObserveBody<ZeroInflatedNegativeBinomial, 2>>>,
    RowPassWork<ObserveRatesBody<ObserveBody<ZeroInflatedNegativeBinomial, 3>>>,
    RowPassWork<ObserveRatesBody<ObserveBody<Likelihood, 1>>>,
    ColumnPassWork<NormaliseColumnsBody<AnyActivation, -1>>,
    ColumnPassWork<NormaliseColumnsGradientBody<AnyActivation, -1>>, ColumnPassWork<SumSlopesBody>,
    ColumnSumWork, ImportanceBoundWork>;

/// In whole 16-byte words, as they are copied.
template <class Mainloop>
struct alignas(16) Phase {
  PhaseWork<Mainloop> work;
};

constexpr int persistent_threads = block_threads;

template <class Work, class... Works>
constexpr bool is_one_of(const std::variant<Works...>*) {
  return (std::is_same_v<Work, Works> || ...) && Work::threads == persistent_threads;
}
/// The dynamic shared memory that the largest of the works needs.
template <class... Works>
constexpr std::size_t most_shared(const std::variant<Works...>*) {
  return std::max({Works::shared_bytes...});
}
template <class Mainloop>
constexpr std::size_t persistent_shared =
    most_shared(static_cast<const PhaseWork<Mainloop>*>(nullptr));

/// All blocks of the launch wait for each other.  `arrived` counts them on and on, from launch to
/// launch; a meeting is over when all have come since the last.
struct GridBarrier {
  unsigned* arrived;  // null: the blocks are one cluster
  unsigned after;     // what the counter has then reached

  /// The block has met since any of its threads wrote what others are to read.
  __device__ void meet() {
    if (!arrived) return cluster_sync();
    after += gridDim.x;
    if (threadIdx.x == 0) {
      red_release_add(arrived, 1u);
      while (int(ld_acquire(arrived) - after) < 0) __nanosleep(20);
    }
    __syncthreads();
  }
};

/// Runs the phases `steps` times.  A phase's arguments, which never change, come to shared memory
/// before the blocks meet at the end of the one before.
template <class Mainloop>
__global__ void __launch_bounds__(persistent_threads, 2)
    persistent_kernel(const Phase<Mainloop>* phases, int count, int steps, unsigned* arrived,
                      unsigned before) {
  constexpr int words = int(sizeof(Phase<Mainloop>) / 16);
  ELBO_SHARED(slots, uint4[2][words]);
  const auto bring = [&](int phase, int slot) {
    const auto* const from = reinterpret_cast<const uint4*>(phases + phase);
    for (int i = int(threadIdx.x); i < words; i += persistent_threads) slots[slot][i] = from[i];
  };
  GridBarrier barrier{arrived, before};
  bring(0, 0);
  __syncthreads();
  int slot = 0;
  for (int step = 0; step < steps; ++step)
    for (int p = 0; p < count; ++p, slot ^= 1) {
      open(reinterpret_cast<const Phase<Mainloop>*>(slots[slot])->work, [&](const auto& work) {
        for (int i = int(blockIdx.x); i < work.blocks(); i += int(gridDim.x)) {
          work.block(i);
          __syncthreads();  // the next one's shared memory
        }
      });
      bring(p + 1 < count ? p + 1 : 0, slot ^ 1);
      barrier.meet();
    }
}

/// The works of a step, in the order in which Skeletons would launch them.
template <class Mainloop>
struct PhaseList {
  std::vector<Phase<Mainloop>> phases;
  bool complete = true;

  template <class Work>
  void add(const Work& work) {
    if constexpr (is_one_of<Work>(static_cast<const PhaseWork<Mainloop>*>(nullptr)))
      phases.push_back({work});
    else complete = false;
  }
};

#ifdef ELBO_DOUBLE
using AnyPhaseList = std::variant<std::monostate, PhaseList<Fma>*>;
#else
using AnyPhaseList = std::variant<std::monostate, PhaseList<Fma>*, PhaseList<Tf32>*>;
#endif

/// Launches the kernel, as many blocks of it as the device holds at once or, if `arrived` is null,
/// holds as one cluster; returns how many came.  Defined for Fma and (of floats) Tf32 in
/// persistent_cuda.cu, persistent_simt.cpp.
template <class Mainloop>
int run_persistent(const Phase<Mainloop>* phases, int count, int steps, unsigned* arrived,
                   unsigned before, cudaStream_t);
/// The blocks that the device holds at once, and those of the largest cluster; 0: it has no room
/// for one, it has no clusters.
template <class Mainloop>
unsigned persistent_grid();
template <class Mainloop>
unsigned persistent_cluster();

/// A step's phases on the host: their bytes are to be copied to the device.
template <class Mainloop>
class PhasesOf final : public Phases {
 public:
  PhasesOf(std::vector<Phase<Mainloop>> phases, cudaStream_t stream)
      : phases_(std::move(phases)), stream_(stream) {}
  const void* data() const override { return phases_.data(); }
  std::size_t bytes() const override { return phases_.size() * sizeof(Phase<Mainloop>); }
  bool grids() const override { return persistent_grid<Mainloop>() > 0; }
  bool clusters() const override { return persistent_cluster<Mainloop>() > 0; }
  void run(const void* table, unsigned* arrived, int steps) override {
    const int count = int(phases_.size());
    const int blocks = run_persistent(static_cast<const Phase<Mainloop>*>(table), count, steps,
                                      arrived, before_, stream_);
    if (arrived) before_ += unsigned(blocks) * unsigned(count) * unsigned(steps);
  }

 private:
  std::vector<Phase<Mainloop>> phases_;
  unsigned before_ = 0;  // what the counter has reached
  cudaStream_t stream_;
};

}  // namespace elbo::inline ELBO_TARGET
