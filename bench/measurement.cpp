#include "bench/measurement.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "kernels/simt/executor.h"

namespace elbo {

std::function<double()> measurement(const Device& device, std::function<void(const Ops&)> body,
                                    [[maybe_unused]] bool cold) {
  device.backend().wait();
#ifdef ELBO_HAS_CUDA
  if (device.name().starts_with("cuda")) return cuda_measurement(device.precision(), body, cold);
#endif
  return [device, body] {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    body(device.backend().ops());
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
}

std::optional<long> launches(const Device& device, const std::function<void()>& body) {
  simt::clear_launches();
  body();
  if (device.name() != "simt") return {};
  return long(simt::launches().size());
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

std::string processor(const Device& device) {
  const std::string described = device.backend().description();
  if (device.name().starts_with("cuda")) return described;
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);)
    if (const auto colon = line.find(": ");
        line.starts_with("model name") && colon != std::string::npos)
      return described + ", " + line.substr(colon + 2);
  return described;
}

}  // namespace elbo
