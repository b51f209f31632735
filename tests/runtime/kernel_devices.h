#pragma once
#include <vector>

#include "runtime/device.h"

namespace elbo {

/// The devices that run the CUDA kernels: the host executor, and a GPU where there is one.
inline std::vector<Device> kernel_devices(Precision precision = Precision::fp32) {
  std::vector<Device> devices{Device::simt(precision)};
  if (cuda_devices() > 0) devices.push_back(Device::cuda(0, precision));
  return devices;
}

}  // namespace elbo
