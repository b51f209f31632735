#include "runtime/device.h"

#include <charconv>

#include "runtime/error.h"

namespace elbo {

Device Device::cpu() { return {"cpu", Precision::fp32, cpu_backend()}; }
Device Device::simt(Precision precision, std::shared_ptr<LargeProducts> library) {
  return {"simt", precision, simt_backend(precision, std::move(library))};
}
Device Device::cuda(int index, Precision precision) {
  return {"cuda:" + std::to_string(index), precision, cuda_backend(index, precision)};
}

Device Device::named(const std::string& name, Precision precision) {
  if (name == "auto") return cuda_devices() > 0 ? cuda(0, precision) : cpu();
  if (name == "cpu") return cpu();
  if (name == "simt") return simt(precision);
  if (name == "cuda") return cuda(0, precision);
  if (name.starts_with("cuda:")) {
    int index = -1;
    const char *first = name.data() + 5, *last = name.data() + name.size();
    if (const auto [end, error] = std::from_chars(first, last, index);
        error == std::errc() && end == last && index >= 0)
      return cuda(index, precision);
  }
  fail("unknown device '", name, "', expected auto, cpu, cuda, cuda:K or simt");
}

}  // namespace elbo
