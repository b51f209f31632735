// CUDA's names for a host compiler.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/simt/executor.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static_assert(false, "use ELBO_SHARED or ELBO_DYNAMIC_SHARED");

namespace elbo::inline on_simt {

using cudaStream_t = struct CUstream_st*;
using simt::Site;

inline __thread uint3 threadIdx, blockIdx;  // set at every switch of fibers
inline __thread dim3 blockDim, gridDim;
constexpr int warpSize = 32;

inline void __syncthreads(Site site = Site::current()) { simt::barrier("__syncthreads", 0, site); }
inline int __syncthreads_count(int holds, Site site = Site::current()) {
  return simt::barrier("__syncthreads_count", holds != 0, site);
}
inline int __syncthreads_or(int holds, Site site = Site::current()) {
  return simt::barrier("__syncthreads_or", holds != 0, site) != 0;
}
inline int __syncthreads_and(int holds, Site site = Site::current()) {
  return simt::barrier("__syncthreads_and", holds == 0, site) == 0;
}
inline void grid_sync(Site site = Site::current()) { simt::grid_barrier(site); }

inline void __syncwarp(unsigned mask = ~0u, Site site = Site::current()) {
  simt::warp_meet(mask, "__syncwarp", nullptr, nullptr, site);
}
template <class T>
T __shfl_sync(unsigned mask, T v, int lane, int width = 32, Site site = Site::current()) {
  T out;
  simt::shuffle(simt::Shuffle::index, mask, &v, &out, sizeof v, lane, width, site);
  return out;
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, Site site = Site::current()) {
  T out;
  simt::shuffle(simt::Shuffle::up, mask, &v, &out, sizeof v, by, width, site);
  return out;
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, Site site = Site::current()) {
  T out;
  simt::shuffle(simt::Shuffle::down, mask, &v, &out, sizeof v, by, width, site);
  return out;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32, Site site = Site::current()) {
  T out;
  simt::shuffle(simt::Shuffle::exclusive_or, mask, &v, &out, sizeof v, with, width, site);
  return out;
}
inline unsigned __ballot_sync(unsigned mask, int holds, Site site = Site::current()) {
  return simt::ballot("__ballot_sync", mask, holds, site);
}
inline int __any_sync(unsigned mask, int holds, Site site = Site::current()) {
  return simt::ballot("__any_sync", mask, holds, site) != 0;
}
inline int __all_sync(unsigned mask, int holds, Site site = Site::current()) {
  return simt::ballot("__all_sync", mask, !holds, site) == 0;
}
inline unsigned __activemask() { return simt::active_mask(); }

inline void __threadfence() { simt::fence(); }
inline void __threadfence_system() { simt::fence(); }
inline void __threadfence_block() { simt::sync_point(); }
inline void __nanosleep(unsigned) { simt::yield(); }
inline void __trap() { simt::fail("__trap()"); }

template <class T>
[[gnu::always_inline]] inline T atomicAdd(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return T(old + v); });
}
template <class T>
[[gnu::always_inline]] inline T atomicSub(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return T(old - v); });
}
template <class T>
[[gnu::always_inline]] inline T atomicExch(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T) { return v; });
}
template <class T>
[[gnu::always_inline]] inline T atomicMin(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return v < old ? v : old; });
}
template <class T>
[[gnu::always_inline]] inline T atomicMax(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return old < v ? v : old; });
}
template <class T>
[[gnu::always_inline]] inline T atomicAnd(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return T(old & v); });
}
template <class T>
[[gnu::always_inline]] inline T atomicOr(T* p, std::type_identity_t<T> v) {
  return simt::atomic(p, [v](T old) { return T(old | v); });
}
template <class T>
[[gnu::always_inline]] inline T atomicCAS(T* p, std::type_identity_t<T> expected,
                                          std::type_identity_t<T> v) {
  return simt::atomic(p, [=](T old) { return old == expected ? v : old; });
}

template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcg(T* p, std::type_identity_t<T> v) {
  *p = v;
}
template <class T>
void __stcs(T* p, std::type_identity_t<T> v) {
  *p = v;
}

// As CUDA has them: of two types, the common one; a NaN loses against a number.
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmin(T(a), T(b));
  return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmax(T(a), T(b));
  return T(a) < T(b) ? T(b) : T(a);
}
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(std::uint64_t(a) * b >> 32); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }

}  // namespace elbo::inline on_simt
