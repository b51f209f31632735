#include "tests/kernels/simt_bugs.h"

#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/cuda/reduce.cuh"

namespace elbo::inline ELBO_TARGET {

// ---- right -------------------------------------------------------------------------------------

__device__ __forceinline__ float warp_sum(float v) {
  for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
  return v;
}

__global__ void row_sum_kernel(const float* __restrict__ x, float* out, int rows, int columns) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;  // whole warps, and no block barrier follows
  float sum = 0;
  for (int c = lane; c < columns; c += 32) sum += __ldg(&x[size_t(row) * columns + c]);
  sum = warp_sum(sum);
  if (lane == 0) out[row] = sum;
}

struct TeamSums {
  const Real* x;
  Real* out;
  int columns, times;
  __device__ void operator()(int r, const RowTeam& team) const {
    for (int k = 0; k < times; ++k) {
      const auto sum = team.sum(columns, [&](int c) {
        return Vec<1>{{Real(k + 1) * x[std::ptrdiff_t(r) * columns + c]}};
      });
      team.once([&] { out[r * times + k] = sum[0]; });
    }
  }
};

void row_team_sums(const Real* x, Real* out, int rows, int columns, int times) {
  using Work = RowPassWork<TeamSums>;
  const Work work(rows, columns, TeamSums{x, out, columns, times});
  launch(work_kernel<Work>, {unsigned(work.blocks()), unsigned(Work::threads)}, work);
}

template <int threads>
__device__ float block_sum(float v) {
  ELBO_SHARED(part, float[threads / 32]);  // a barrier must lie between two calls
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  __syncthreads();
  v = threadIdx.x < threads / 32 ? part[threadIdx.x] : 0.0f;
  return threadIdx.x < 32 ? warp_sum(v) : 0.0f;  // valid in warp 0
}

template <int threads>
__global__ void last_block_sum_kernel(const float* __restrict__ x, float* partial,
                                      unsigned* counter, float* out, int n) {
  ELBO_SHARED(last, bool);
  float sum = 0;
  for (int i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) sum += x[i];
  sum = block_sum<threads>(sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicAdd(counter, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  sum = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += threads) sum += __ldcg(&partial[i]);
  sum = block_sum<threads>(sum);
  if (threadIdx.x == 0) *out = sum;
}

struct GridSync {
  __device__ void operator()() { grid_sync(); }
};

struct CountedBarrier {
  unsigned* arrived;
  unsigned round = 0;
  __device__ void operator()() {
    __syncthreads();
    ++round;
    if (threadIdx.x == 0) {
      red_release_add(arrived, 1);
      while (ld_acquire(arrived) < round * gridDim.x) __nanosleep(20);
    }
    __syncthreads();
  }
};

template <int threads, class Barrier>
__global__ void normalise_kernel(float* x, float* partial, int n, int steps, Barrier barrier) {
  ELBO_SHARED(scale, float);
  const int first = blockIdx.x * threads + threadIdx.x, stride = gridDim.x * threads;
  for (int s = 0; s < steps; ++s) {
    float sum = 0;
    for (int i = first; i < n; i += stride) sum += x[i] * x[i];
    sum = block_sum<threads>(sum);
    if (threadIdx.x == 31) partial[blockIdx.x] = sum;  // not the thread that fences
    barrier();
    if (threadIdx.x == 31) {
      float total = 0;
      for (unsigned b = 0; b < gridDim.x; ++b) total += partial[b];
      scale = 1.0f / (1.0f + total / n);
    }
    __syncthreads();
    for (int i = first; i < n; i += stride) x[i] *= scale;
    barrier();
  }
}

template <int threads>
__global__ void normalise_each_kernel(float* x, float* partial, int n, int steps, int blocks) {
  ELBO_SHARED(scale, float);
  const int cluster = int(blockIdx.x) / blocks, rank = int(blockIdx.x) % blocks;
  float *const own = x + cluster * n, *const parts = partial + cluster * blocks;
  for (int s = 0; s < steps; ++s) {
    float sum = 0;
    for (int i = rank * threads + threadIdx.x; i < n; i += blocks * threads) sum += own[i] * own[i];
    sum = block_sum<threads>(sum);
    if (threadIdx.x == 31) parts[rank] = sum;
    cluster_sync();
    if (threadIdx.x == 31) {
      float total = 0;
      for (int b = 0; b < blocks; ++b) total += parts[b];
      scale = 1.0f / (1.0f + total / n);
    }
    __syncthreads();
    for (int i = rank * threads + threadIdx.x; i < n; i += blocks * threads) own[i] *= scale;
    cluster_sync();
  }
}

template <int tile, int depth>
__global__ void product_fp32_kernel(const float* __restrict__ A, const float* __restrict__ B,
                                    float* C, int M, int N, int K) {
  constexpr int threads = 256, own = tile * tile / threads;
  ELBO_SHARED(As, float[2][depth][tile + 1]);
  ELBO_SHARED(Bs, float[2][depth][tile]);
  const int thread = threadIdx.x, column = thread % tile, row = thread / tile * own;
  const int m0 = blockIdx.y * tile, n0 = blockIdx.x * tile;
  const auto load = [&](int buffer, int k0) {
    for (int i = thread; i < tile * depth; i += threads) {
      const int m = i / depth, k = i % depth;
      const bool inside = m0 + m < M && k0 + k < K;
      As[buffer][k][m] = inside ? A[size_t(m0 + m) * K + k0 + k] : 0.0f;
    }
    for (int i = thread; i < depth * tile; i += threads) {
      const int k = i / tile, n = i % tile;
      const bool inside = k0 + k < K && n0 + n < N;
      Bs[buffer][k][n] = inside ? B[size_t(k0 + k) * N + n0 + n] : 0.0f;
    }
  };
  float sums[own] = {};
  load(0, 0);
  __syncthreads();
  for (int k0 = 0, buffer = 0; k0 < K; k0 += depth, buffer ^= 1) {
    if (k0 + depth < K) load(buffer ^ 1, k0 + depth);
    for (int k = 0; k < depth; ++k)
      for (int i = 0; i < own; ++i)
        sums[i] = fmaf(As[buffer][k][row + i], Bs[buffer][k][column], sums[i]);
    __syncthreads();
  }
  for (int i = 0; i < own; ++i)
    if (m0 + row + i < M && n0 + column < N) C[size_t(m0 + row + i) * N + n0 + column] = sums[i];
}

// 64 x 64 outputs by 4 warps of 32 x 32; rows are padded against bank conflicts.
constexpr int tile = 64, depth = 16, a_stride = depth + 4, b_stride = tile + 8;

__global__ void __launch_bounds__(128)
    product_tf32_kernel(const float* __restrict__ A, const float* __restrict__ B, float* C, int M,
                        int N, int K) {
  ELBO_DYNAMIC_SHARED(shared, float);
  float* const As = shared;                        // [2][tile][a_stride]
  float* const Bs = shared + 2 * tile * a_stride;  // [2][depth][b_stride]
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int g = lane / 4, t = lane % 4, warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  const int m0 = blockIdx.y * tile, n0 = blockIdx.x * tile;
  const auto load = [&](int buffer, int k0) {
    for (int i = thread; i < tile * depth / 4; i += 128) {
      const int m = i / (depth / 4), k = i % (depth / 4) * 4;
      const bool inside = m0 + m < M && k0 + k < K;
      cp_async<16>(&As[(buffer * tile + m) * a_stride + k],
                   inside ? &A[size_t(m0 + m) * K + k0 + k] : A, inside ? 16 : 0);
    }
    for (int i = thread; i < depth * tile / 4; i += 128) {
      const int k = i / (tile / 4), n = i % (tile / 4) * 4;
      const bool inside = k0 + k < K && n0 + n < N;
      cp_async<16>(&Bs[(buffer * depth + k) * b_stride + n],
                   inside ? &B[size_t(k0 + k) * N + n0 + n] : B, inside ? 16 : 0);
    }
    cp_async_commit();
  };
  float sums[2][4][4] = {};
  load(0, 0);
  for (int k0 = 0, buffer = 0; k0 < K; k0 += depth, buffer ^= 1) {
    if (k0 + depth < K) {
      load(buffer ^ 1, k0 + depth);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < depth; k += 8) {
      uint32_t a[2][4], b[4][2];
      for (int i = 0; i < 2; ++i) {
        // An 8x8 matrix of 16-bit numbers holds 8x4 floats.
        const int row = warp_row + i * 16 + lane % 16, column = k + lane / 16 * 4;
        ldmatrix_x4(a[i], &As[(buffer * tile + row) * a_stride + column]);
        for (int j = 0; j < 4; ++j) a[i][j] = to_tf32(__uint_as_float(a[i][j]));
      }
      for (int j = 0; j < 4; ++j)
        for (int h = 0; h < 2; ++h)
          b[j][h] =
              to_tf32(Bs[(buffer * depth + k + t + 4 * h) * b_stride + warp_column + j * 8 + g]);
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) mma_m16n8k8_tf32(sums[i][j], a[i], b[j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int e = 0; e < 4; ++e) {
        const int row = m0 + warp_row + i * 16 + g + e / 2 * 8;
        const int column = n0 + warp_column + j * 8 + 2 * t + e % 2;
        if (row < M && column < N) C[size_t(row) * N + column] = sums[i][j][e];
      }
}

// One warp per 16 x 8 tile.
__global__ void product_bf16_kernel(const float* __restrict__ A, const float* __restrict__ B,
                                    float* C, int N, int K) {
  ELBO_SHARED(As, uint32_t[16][12]);
  ELBO_SHARED(Bs, uint32_t[16][4]);
  const int lane = threadIdx.x, m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  float sums[4] = {};
  for (int k0 = 0; k0 < K; k0 += 16) {
    for (int i = lane; i < 16 * 8; i += 32) {
      const float* a = &A[size_t(m0 + i / 8) * K + k0 + i % 8 * 2];
      As[i / 8][i % 8] = to_bf16x2(a[0], a[1]);
    }
    for (int i = lane; i < 16 * 4; i += 32) {
      const float* b = &B[size_t(k0 + i / 4) * N + n0 + i % 4 * 2];
      Bs[i / 4][i % 4] = to_bf16x2(b[0], b[1]);
    }
    __syncwarp();
    uint32_t a[4], b[2];
    ldmatrix_x4(a, &As[lane % 16][lane / 16 * 4]);
    ldmatrix_x2_trans(b, &Bs[lane % 16][0]);
    mma_m16n8k16_bf16(sums, a, b);
    __syncwarp();
  }
  for (int e = 0; e < 4; ++e)
    C[size_t(m0 + lane / 4 + e / 2 * 8) * N + n0 + 2 * (lane % 4) + e % 2] = sums[e];
}

struct Check {
  int* errors;
  __device__ void operator()(bool holds, int line) const {
    if (holds) return;
    atomicAdd(errors, 1);
    printf("simt_bugs.cu:%d does not hold in thread %d\n", line, int(threadIdx.x));
  }
};

__global__ void warp_intrinsics_kernel(int* errors) {
  const Check check{errors};
  const unsigned full = 0xffffffffu;
  const int lane = threadIdx.x % 32;
  check(__shfl_sync(full, lane * 1.5, 7) == 7 * 1.5, __LINE__);
  check(__shfl_xor_sync(full, lane * 1e300, 1) == (lane ^ 1) * 1e300, __LINE__);
  check(__shfl_sync(full, lane, lane + 1) == (lane + 1) % 32, __LINE__);
  check(__shfl_sync(full, lane, 2, 8) == lane / 8 * 8 + 2, __LINE__);
  check(__shfl_up_sync(full, lane, 3) == (lane < 3 ? lane : lane - 3), __LINE__);
  check(__shfl_up_sync(full, lane, 3, 8) == (lane % 8 < 3 ? lane : lane - 3), __LINE__);
  check(__shfl_down_sync(full, lane, 5) == (lane + 5 > 31 ? lane : lane + 5), __LINE__);
  check(__shfl_down_sync(full, lane, 5, 16) == (lane % 16 + 5 > 15 ? lane : lane + 5), __LINE__);
  check(__shfl_xor_sync(full, lane, 16) == (lane ^ 16), __LINE__);
  const int other = lane ^ 12;
  check(__shfl_xor_sync(full, lane, 12, 8) == (other / 8 > lane / 8 ? lane : other), __LINE__);
  check(__ballot_sync(full, lane % 3 == 0) == 0x49249249u, __LINE__);
  check(__any_sync(full, lane == 31) && !__any_sync(full, lane == 32), __LINE__);
  check(__all_sync(full, lane < 32) && !__all_sync(full, lane < 31), __LINE__);
  if (lane < 12) {  // the two parts of a split warp meet on their own
    check(__shfl_xor_sync(0xfffu, lane, 1) == (lane ^ 1), __LINE__);
    check(__ballot_sync(0xfffu, 1) == 0xfffu, __LINE__);
  } else {
    check(__shfl_sync(0xfffff000u, lane, 20) == 20, __LINE__);
  }
  check(__popc(0xf0f0u) == 8 && __clz(1) == 31 && __ffs(8) == 4, __LINE__);
  check(__float_as_uint(1.0f) == 0x3f800000u && __umulhi(1u << 31, 6) == 3, __LINE__);
  check(max(1, 2) == 2 && min(1u, 2u) == 1u && max(1.5f, 0.5f) == 1.5f, __LINE__);
  // Half way between two bf16: to the even one. Half way between two tf32: away from zero.
  check(to_bf16x2(1.00390625f, 1.01171875f) == 0x3f823f80u, __LINE__);
  check(to_tf32(-__uint_as_float(0x3f801000u)) == 0xbf802000u, __LINE__);
}

__global__ void block_intrinsics_kernel(int* errors, int* counters) {  // the last warp: 16 lanes
  const Check check{errors};
  const int t = int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  check(__syncthreads_count(t % 2) == 40, __LINE__);
  check(__syncthreads_or(t == 79) != 0 && __syncthreads_or(0) == 0, __LINE__);
  check(__syncthreads_and(t < 80) != 0 && __syncthreads_and(t != 3) == 0, __LINE__);
  atomicAdd(&counters[0], t);
  atomicMax(&counters[1], t);
  atomicMin(&counters[2], t);
  atomicOr(&counters[3], int(1u << t % 32));
  int old = 0;
  for (int seen; (seen = atomicCAS(&counters[4], old, old + 2)) != old;) old = seen;
  ELBO_SHARED(histogram, double[4]);
  if (t < 4) histogram[t] = 0;
  __syncthreads();
  atomicAdd(&histogram[t % 4], 0.5);
  __syncthreads();
  check(histogram[t % 4] == 10, __LINE__);
}

void row_sum(const float* x, float* out, int rows, int columns) {
  launch(row_sum_kernel, {dim3((rows + 3) / 4), dim3(128)}, x, out, rows, columns);
}
void last_block_sum(const float* x, float* partial, unsigned* counter, float* out, int n,
                    int blocks) {
  launch(last_block_sum_kernel<128>, {dim3(blocks), dim3(128)}, x, partial, counter, out, n);
}
void normalise(float* x, float* partial, int n, int steps, int blocks) {
  launch(normalise_kernel<128, GridSync>, {dim3(blocks), dim3(128), 0, nullptr, true}, x, partial,
         n, steps, GridSync{});
}
void normalise(float* x, float* partial, unsigned* arrived, int n, int steps, int blocks) {
  launch(normalise_kernel<128, CountedBarrier>, {dim3(blocks), dim3(128), 0, nullptr, true}, x,
         partial, n, steps, CountedBarrier{arrived});
}
void normalise_each(float* x, float* partial, int n, int steps, int blocks, int clusters) {
  Launch shape{dim3(blocks * clusters), dim3(128)};
  shape.cluster = unsigned(blocks);
  launch(normalise_each_kernel<128>, shape, x, partial, n, steps, blocks);
}
void product_fp32(const float* A, const float* B, float* C, int M, int N, int K) {
  launch(product_fp32_kernel<32, 16>, {dim3((N + 31) / 32, (M + 31) / 32), dim3(256)}, A, B, C, M,
         N, K);
}
void product_tf32(const float* A, const float* B, float* C, int M, int N, int K) {
  const size_t bytes = 2 * (tile * a_stride + depth * b_stride) * sizeof(float);
  launch(product_tf32_kernel, {dim3((N + 63) / 64, (M + 63) / 64), dim3(128), bytes}, A, B, C, M, N,
         K);
}
void product_bf16(const float* A, const float* B, float* C, int M, int N, int K) {
  launch(product_bf16_kernel, {dim3(N / 8, M / 16), dim3(32)}, A, B, C, N, K);
}
void check_intrinsics(int* errors, int* counters) {
  launch(warp_intrinsics_kernel, {dim3(2), dim3(96)}, errors);
  launch(block_intrinsics_kernel, {dim3(3), dim3(5, 8, 2)}, errors, counters);
}

// ---- wrong: one bug each, marked BUG -----------------------------------------------------------

constexpr int T = 128;

__global__ void missing_syncthreads(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[T - 1 - threadIdx.x];  // BUG: no barrier before
}
__global__ void missing_syncthreads_in_a_loop(float* out, const float* in, int n) {
  ELBO_SHARED(tile, float[T]);
  float sum = 0;
  for (int i = 0; i < n; i += T) {
    tile[threadIdx.x] = in[i + threadIdx.x];  // BUG: no barrier since the last round read it
    __syncthreads();
    sum += tile[T - 1 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}
__global__ void missing_syncwarp(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[threadIdx.x ^ 1];  // BUG: the lanes of a warp are not in lockstep
}
__global__ void shuffle_for_a_syncwarp(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  tile[threadIdx.x] = in[threadIdx.x];
  const float own = __shfl_sync(0xffffffffu, in[threadIdx.x], threadIdx.x % 32);
  out[threadIdx.x] = tile[threadIdx.x ^ 1] + 0 * own;  // BUG: a shuffle does not order memory
}
__global__ void uninitialised_shared_memory(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T + 1]);
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x + 1];  // BUG: tile[T] was never written
}
__global__ void missing_cp_async_wait(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  cp_async<4>(&tile[threadIdx.x], &in[threadIdx.x]);
  cp_async_commit();
  __syncthreads();
  out[threadIdx.x] = tile[T - 1 - threadIdx.x];  // BUG: the copies need not have landed
  cp_async_wait<0>();
}
__global__ void read_before_cp_async_wait(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  cp_async<4>(&tile[threadIdx.x], &in[threadIdx.x]);
  cp_async_commit();
  out[threadIdx.x] = tile[threadIdx.x];  // BUG: not even this thread's own copy has landed
  cp_async_wait<0>();
}
__global__ void cp_async_never_waited_for(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  cp_async<4>(&tile[threadIdx.x], &in[threadIdx.x]);
  cp_async_commit();
  out[threadIdx.x] = 0;  // BUG: ends with a copy in flight
}
__global__ void write_past_static_shared_memory(float* out, const float* in, int) {
  ELBO_SHARED(tile, float[T]);
  tile[threadIdx.x + 1] = in[threadIdx.x];  // BUG: tile[T]
  __syncthreads();
  out[threadIdx.x] = threadIdx.x ? tile[threadIdx.x] : 0;
}
__global__ void write_past_dynamic_shared_memory(float* out, const float* in, int) {
  ELBO_DYNAMIC_SHARED(tile, float);
  tile[threadIdx.x] = in[threadIdx.x];  // BUG: the launch gives room for T - 1
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void write_past_global_memory(float* out, const float* in, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) out[i] = in[i < n ? i : 0];  // BUG: <=
}
__global__ void misaligned_vector_access(float* out, const float* in, int) {
  const auto v = *reinterpret_cast<const float4*>(in + 1 + 4 * (threadIdx.x % 8));  // BUG: + 1
  out[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void divergent_barrier(float* out, const float* in, int n) {
  ELBO_SHARED(tile, float[T]);
  tile[threadIdx.x] = in[threadIdx.x];
  if (int(threadIdx.x) < n / 4) __syncthreads();  // BUG: not all threads
  out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void barrier_at_two_sites(float* out, const float* in, int n) {
  if (int(threadIdx.x) < n / 4) {
    out[threadIdx.x] = in[threadIdx.x];
    __syncthreads();  // BUG: not the same barrier for all
  } else {
    __syncthreads();
  }
}
__global__ void mask_of_absent_lanes(float* out, const float* in, int) {
  float v = in[threadIdx.x];
  if (threadIdx.x % 32 < 16) v = __shfl_xor_sync(0xffffffffu, v, 1);  // BUG: half never come
  out[threadIdx.x] = v;
}
__global__ void mask_without_the_caller(float* out, const float* in, int) {
  out[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, in[threadIdx.x], 1);  // BUG: in lanes 16 to 31
}
__global__ void different_warp_operations(float* out, const float* in, int) {
  float v = in[threadIdx.x];
  if (threadIdx.x % 2) v = __shfl_xor_sync(0xffffffffu, v, 1);  // BUG: the other lanes vote
  else v = float(__ballot_sync(0xffffffffu, 1));
  out[threadIdx.x] = v;
}
__global__ void update_by_all_threads(float* out, const float*, int) {
  out[0] += 1.0f;  // BUG: not atomic
}
__global__ void update_by_all_blocks(float* out, const float*, int) {
  if (threadIdx.x == 0) out[0] += 1.0f;  // BUG: not atomic
}
__global__ void missing_threadfence(float* out, const float* in, int) {
  if (threadIdx.x) return;
  auto* const flag = reinterpret_cast<unsigned*>(out + T - 1);
  if (blockIdx.x == 0) {
    out[0] = in[0];
    atomicExch(flag, 1u);  // BUG: no fence before
  } else {
    while (atomicAdd(flag, 0u) != 1u) __nanosleep(20);
    __threadfence();
    out[1] = out[0];
  }
}
__global__ void livelock(float* out, const float*, int) {
  if (threadIdx.x == 0)
    while (ld_acquire(reinterpret_cast<unsigned*>(out)) != 42u) __nanosleep(100);  // BUG
}
__global__ void grid_sync_in_a_plain_launch(float*, const float*, int) {
  grid_sync();  // BUG: the launch is not cooperative
}

__global__ void missing_griddepcontrol_wait(float* out, const float*, int) {
  if (threadIdx.x > 0) griddepcontrol_wait();  // BUG: not all threads
  else out[0] = 1;
}
__global__ void read_before_griddepcontrol_wait(float* out, const float* in, int) {
  const float x = in[threadIdx.x];  // BUG: the kernel before may not have written it
  griddepcontrol_wait();
  out[threadIdx.x] = x;
}

__global__ void cluster_sync_in_a_plain_launch(float*, const float*, int) {
  cluster_sync();  // BUG: the blocks are of no cluster
}
__global__ void missing_cluster_sync(float* out, const float* in, int) {
  if (threadIdx.x == 0) out[blockIdx.x] = in[blockIdx.x];
  if (threadIdx.x == 1) out[blockIdx.x + 2] = out[blockIdx.x ^ 1];  // BUG: no barrier before
}
__global__ void cluster_sync_between_clusters(float* out, const float* in, int) {
  if (threadIdx.x == 0) out[blockIdx.x] = in[blockIdx.x];
  cluster_sync();
  if (threadIdx.x == 1) out[blockIdx.x + 4] = out[blockIdx.x ^ 2];  // BUG: of the other cluster
}
__global__ void divergent_cluster_sync(float* out, const float* in, int) {
  out[blockIdx.x * T + threadIdx.x] = in[threadIdx.x];
  if (blockIdx.x == 0) cluster_sync();  // BUG: not all blocks
}
__global__ void cluster_sync_at_two_sites(float*, const float*, int) {
  if (blockIdx.x == 0) cluster_sync();  // BUG: not the same barrier for all
  else cluster_sync();
}

void run_planted_bug(const char* name, float* out, const float* in, int n) {
  struct Bug {
    const char* name;
    void (*kernel)(float*, const float*, int);
    Launch launch;
  };
  const auto in_clusters = [](unsigned blocks) {
    Launch shape{blocks, T};
    shape.cluster = 2;
    return shape;
  };
  Launch overlapping{1, T};
  overlapping.overlap = true;
  const Bug bugs[] = {
      {"missing_syncthreads", missing_syncthreads, {1, T}},
      {"missing_syncthreads_in_a_loop", missing_syncthreads_in_a_loop, {1, T}},
      {"missing_syncwarp", missing_syncwarp, {1, T}},
      {"shuffle_for_a_syncwarp", shuffle_for_a_syncwarp, {1, T}},
      {"uninitialised_shared_memory", uninitialised_shared_memory, {1, T}},
      {"missing_cp_async_wait", missing_cp_async_wait, {1, T}},
      {"read_before_cp_async_wait", read_before_cp_async_wait, {1, T}},
      {"cp_async_never_waited_for", cp_async_never_waited_for, {1, T}},
      {"write_past_static_shared_memory", write_past_static_shared_memory, {1, T}},
      {"write_past_dynamic_shared_memory",
       write_past_dynamic_shared_memory,
       {1, T, (T - 1) * sizeof(float)}},
      {"write_past_global_memory", write_past_global_memory, {unsigned(n / T + 1), T}},
      {"misaligned_vector_access", misaligned_vector_access, {1, T}},
      {"divergent_barrier", divergent_barrier, {1, T}},
      {"barrier_at_two_sites", barrier_at_two_sites, {1, T}},
      {"mask_of_absent_lanes", mask_of_absent_lanes, {1, T}},
      {"mask_without_the_caller", mask_without_the_caller, {1, T}},
      {"different_warp_operations", different_warp_operations, {1, T}},
      {"update_by_all_threads", update_by_all_threads, {1, T}},
      {"update_by_all_blocks", update_by_all_blocks, {8, T}},
      {"missing_threadfence", missing_threadfence, {2, T, 0, nullptr, true}},
      {"livelock", livelock, {1, T}},
      {"grid_sync_in_a_plain_launch", grid_sync_in_a_plain_launch, {2, T}},
      {"missing_griddepcontrol_wait", missing_griddepcontrol_wait, overlapping},
      {"read_before_griddepcontrol_wait", read_before_griddepcontrol_wait, overlapping},
      {"cluster_sync_in_a_plain_launch", cluster_sync_in_a_plain_launch, {2, T}},
      {"missing_cluster_sync", missing_cluster_sync, in_clusters(2)},
      {"cluster_sync_between_clusters", cluster_sync_between_clusters, in_clusters(4)},
      {"divergent_cluster_sync", divergent_cluster_sync, in_clusters(2)},
      {"cluster_sync_at_two_sites", cluster_sync_at_two_sites, in_clusters(2)},
  };
  for (const auto& bug : bugs)
    if (!std::strcmp(bug.name, name)) return launch(bug.kernel, bug.launch, out, in, n);
  throw std::invalid_argument(name);
}

}  // namespace elbo::inline ELBO_TARGET
