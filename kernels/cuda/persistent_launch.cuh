#pragma once
#include "kernels/cuda/persistent.cuh"

// The body of run_persistent, for the two files that compile the kernel: it holds every work of a
// step and takes longer than all others together.
namespace elbo::inline ELBO_TARGET {

template <class Mainloop>
int run_persistent(const Phase<Mainloop>* phases, int count, int steps, unsigned* arrived,
                   unsigned before, cudaStream_t stream) {
  const unsigned blocks = arrived ? persistent_grid<Mainloop>() : persistent_cluster<Mainloop>();
  Launch shape{dim3(blocks), dim3(unsigned(persistent_threads))};
  shape.shared_bytes = persistent_shared<Mainloop>, shape.stream = stream;
  shape.cooperative = arrived != nullptr, shape.cluster = arrived ? 0 : blocks;
  launch(persistent_kernel<Mainloop>, shape, phases, count, steps, arrived, before);
  return int(blocks);
}

template <class Mainloop>
unsigned persistent_grid() {
  return unsigned(
      blocks_at_once(persistent_kernel<Mainloop>, persistent_threads, persistent_shared<Mainloop>));
}
template <class Mainloop>
unsigned persistent_cluster() {
  return largest_cluster_of(persistent_kernel<Mainloop>, persistent_threads,
                            persistent_shared<Mainloop>);
}

template int run_persistent(const Phase<Fma>*, int, int, unsigned*, unsigned, cudaStream_t);
template unsigned persistent_grid<Fma>();
template unsigned persistent_cluster<Fma>();
#ifndef ELBO_DOUBLE
template int run_persistent(const Phase<Tf32>*, int, int, unsigned*, unsigned, cudaStream_t);
template unsigned persistent_grid<Tf32>();
template unsigned persistent_cluster<Tf32>();
#endif

}  // namespace elbo::inline ELBO_TARGET
