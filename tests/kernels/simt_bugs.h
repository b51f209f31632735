// Kernels that are right, and kernels with one planted bug each, for the host executor's own test.
#pragma once
#include "kernels/cuda/simt.cuh"
#include "kernels/matrix.h"

namespace elbo::inline ELBO_TARGET {

void row_sum(const float* x, float* out, int rows, int columns);
// out(r, k) = (k + 1) times the sum of row r, for k below `times`, by a RowTeam that sums in a
// loop.
void row_team_sums(const Real* x, Real* out, int rows, int columns, int times);
void last_block_sum(const float* x, float* partial, unsigned* counter, float* out, int n,
                    int blocks);
// `steps` times x <- x / (1 + mean(x²)), the grid in step by grid_sync, or by a counter.
void normalise(float* x, float* partial, int n, int steps, int blocks);
void normalise(float* x, float* partial, unsigned* arrived, int n, int steps, int blocks);
// The same of each `n` numbers by a cluster of `blocks`, which keeps in step by cluster_sync.
void normalise_each(float* x, float* partial, int n, int steps, int blocks, int clusters);
// C[M,N] = A[M,K] B[K,N], row-major. tf32: N and K multiples of 4; bf16: M, N, K of 16, 8, 16.
void product_fp32(const float* A, const float* B, float* C, int M, int N, int K);
void product_tf32(const float* A, const float* B, float* C, int M, int N, int K);
void product_bf16(const float* A, const float* B, float* C, int M, int N, int K);
// Counts what differs from the CUDA documentation.
void check_intrinsics(int* errors, int* counters);

// in: n floats, out: n; n is a multiple of 128. Which names exist: simt_bugs.cu.
void run_planted_bug(const char* name, float* out, const float* in, int n);

}  // namespace elbo::inline ELBO_TARGET
