// Every PTX instruction that kernels use, as a function; inline assembly is here and nowhere else.
// Fragment layouts are those of the PTX ISA, "Matrix Fragments for mma.m16n8k8 / mma.m16n8k16".
// Included by simt.cuh. The host twins are in kernels/simt/warp_instructions.cpp, of barriers in
// kernels/simt/builtins.h.
#pragma once
#include "kernels/cuda/simt.cuh"

namespace elbo::inline ELBO_TARGET {

#ifdef __CUDACC__

__device__ __forceinline__ unsigned shared_address(const void* p) {
  return unsigned(__cvta_generic_to_shared(p));
}

// To the nearest tf32, ties away from zero: the form that mma.tf32 wants.
__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

// Two floats to the nearest bf16, ties to even. The low half is the one with the smaller index.
__device__ __forceinline__ uint32_t to_bf16x2(float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Lane 8i + r passes the address of row r (16 bytes) of the 8x8 matrix i of 16-bit numbers.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

// Starts copying `valid` bytes from global to shared memory and filling up to `bytes` with zeros.
template <int bytes>
__device__ __forceinline__ void cp_async(void* to, const void* from, int valid = bytes) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
  if constexpr (bytes == 16)  // past L1: nobody reads a tile twice
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(__cvta_generic_to_global(from)), "r"(valid)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)),
                 "l"(__cvta_generic_to_global(from)), "n"(bytes), "r"(valid)
                 : "memory");
}

__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most `pending` of this thread's committed groups are still in flight.
template <int pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

__device__ __forceinline__ unsigned ld_acquire(const unsigned* p) {
  unsigned v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
               : "=r"(v)
               : "l"(__cvta_generic_to_global(p))
               : "memory");
  return v;
}

__device__ __forceinline__ void st_release(unsigned* p, unsigned v) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(p)), "r"(v)
               : "memory");
}

__device__ __forceinline__ void red_release_add(unsigned* p, unsigned v) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(p)), "r"(v)
               : "memory");
}

// Seen by the host, it shows all that this thread wrote before.
__device__ __forceinline__ void st_release_system(std::uint64_t* p, std::uint64_t v) {
  asm volatile("st.release.sys.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory");
}

// Waits for the kernels that this one overlaps, until their writes are visible.
__device__ __forceinline__ void griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void griddepcontrol_launch_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// All threads of a cluster's blocks wait for each other; what each wrote before, all see after.
__device__ __forceinline__ void cluster_sync() {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "barrier.cluster.arrive.release.aligned;\n"
      "barrier.cluster.wait.acquire.aligned;" ::
          : "memory");
#else
  __trap();  // a GPU without clusters launches none
#endif
}

#else

uint32_t to_tf32(float x);
uint32_t to_bf16x2(float low, float high);
void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                      simt::Site site = simt::Site::current());
void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                       simt::Site site = simt::Site::current());
void ldmatrix_x4(uint32_t (&r)[4], const void* row, simt::Site site = simt::Site::current());
void ldmatrix_x2(uint32_t (&r)[2], const void* row, simt::Site site = simt::Site::current());
void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, simt::Site site = simt::Site::current());
template <int bytes>
[[gnu::always_inline]] inline void cp_async(void* to, const void* from, int valid = bytes,
                                            simt::Site site = simt::Site::current()) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
  simt::copy_async(to, from, bytes, valid, site);
}
void cp_async_commit();
template <int pending>
void cp_async_wait() {
  simt::wait_async(pending);
}
unsigned ld_acquire(const unsigned* p);
void st_release(unsigned* p, unsigned v);
void red_release_add(unsigned* p, unsigned v);
void st_release_system(std::uint64_t* p, std::uint64_t v);
inline void griddepcontrol_wait() { simt::wait_for_the_kernel_before(); }
inline void griddepcontrol_launch_dependents() {}

#endif

}  // namespace elbo::inline ELBO_TARGET
