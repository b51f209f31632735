#pragma once
#include <string>

#include "runtime/device.h"

namespace elbo {

/// What the device can do at most, measured in the same run as what is held against it.
struct Ceilings {
  double flops = 0;      // multiplications and additions per second, at the device's precision
  double bandwidth = 0;  // bytes per second of a copy beyond the caches, read and written counted
  std::string how;
};

/// On the CPU: products in registers and a copy, over all threads.  On a GPU: the matrix instruction of
/// that precision (mma.sync; fp32: fused multiply-adds) on registers alone, and a copy by the
/// driver.  wgmma reaches further than mma.sync on sm_90; these kernels do not use it.
Ceilings ceilings(const Device&);

#ifdef ELBO_HAS_CUDA
double cuda_flops(Precision);
double cuda_copy_bandwidth();
#endif

}  // namespace elbo
