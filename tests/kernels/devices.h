#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/instruction_sets.h"
#include "runtime/backend.h"
#include "tests/host_products.h"

namespace elbo::test {

/// Every device that this build and machine can test at that precision (the cpu, in every
/// instruction set, knows fp32 only), made once.
struct Named {
  std::string name;
  std::unique_ptr<Backend> backend;
};
inline const std::vector<Named>& make_backends(Precision precision) {
  static std::map<Precision, std::vector<Named>> all;
  std::vector<Named>& devices = all[precision];
  if (devices.empty()) {
    if (precision == Precision::fp32)
      for (const cpu::InstructionSet& set : cpu::instruction_sets())
        devices.push_back({std::string("cpu, ") + set.name, cpu_backend(set)});
    devices.push_back({"simt", simt_backend(precision)});
    // With a library for products, of which some of the tests' sizes are too small.
    devices.push_back(
        {"simt, library", simt_backend(precision, std::make_shared<HostProducts>(precision, 5))});
#ifdef ELBO_HAS_CUDA
    if (cuda_devices() > 0) devices.push_back({"cuda", cuda_backend(0, precision)});
#endif
  }
  return devices;
}

/// The numbers of a matrix on the host, without padding.
struct Values {
  int rows = 0, columns = 0;
  std::vector<Real> v;
  Real& operator()(int r, int c) { return v[std::size_t(r) * columns + c]; }
  Real operator()(int r, int c) const { return v[std::size_t(r) * columns + c]; }
};

inline Values filled(int rows, int columns, Real value) {
  return {rows, columns, std::vector<Real>(std::size_t(rows) * columns, value)};
}
inline Values uniform(int rows, int columns, unsigned seed, Real low = -1, Real high = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<Real> between(low, high);
  Values out = filled(rows, columns, 0);
  for (Real& x : out.v) x = between(generator);
  return out;
}
inline Values transposed(const Values& values) {
  Values out = filled(values.columns, values.rows, 0);
  for (int r = 0; r < values.rows; ++r)
    for (int c = 0; c < values.columns; ++c) out(c, r) = values(r, c);
  return out;
}

/// Memory on one device for the length of a test.  Paddings hold NaN: who reads them shows it, and
/// who writes them too, since what lies behind a view's columns may be another's.
class Memory {
 public:
  explicit Memory(Backend& backend) : backend_(backend) {}
  ~Memory() {
    try {
      backend_.wait();
    } catch (const std::exception&) {  // of a device that has failed: the test has said so
    }
    for (void* memory : all_) backend_.release(memory);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  template <class T>
  T* put(const std::vector<T>& values) {
    all_.push_back(backend_.allocate(std::max<std::size_t>(1, values.size()) * sizeof(T)));
    backend_.copy_to_device(all_.back(), values.data(), values.size() * sizeof(T));
    return static_cast<T*>(all_.back());
  }
  template <class T>
  std::vector<T> get(const T* from, std::size_t count) {
    std::vector<T> out(count);
    backend_.copy_to_host(out.data(), from, count * sizeof(T));
    backend_.wait();
    return out;
  }
  Matrix put(const Values& values) {
    const int stride = padded(values.columns);
    std::vector<Real> whole(std::size_t(values.rows) * stride, nan);
    for (int r = 0; r < values.rows; ++r)
      for (int c = 0; c < values.columns; ++c) whole[std::size_t(r) * stride + c] = values(r, c);
    return {put(whole), values.rows, values.columns, stride};
  }
  /// For an operation to fill: NaN until it does.
  Matrix out(int rows, int columns) { return put(filled(rows, columns, nan)); }
  Values get(const Matrix& m) {
    const std::vector<Real> whole = get(m.data, std::size_t(m.rows) * m.stride);
    Values values = filled(m.rows, m.columns, 0);
    bool untouched = true;
    for (int r = 0; r < m.rows; ++r)
      for (int c = 0; c < m.stride; ++c) {
        const Real x = whole[std::size_t(r) * m.stride + c];
        if (c < m.columns) values(r, c) = x;
        else untouched = untouched && std::isnan(x);
      }
    EXPECT_TRUE(untouched) << "somebody wrote behind a matrix's columns";
    return values;
  }
  const Ops& ops() const { return backend_.ops(); }
  Backend& backend() { return backend_; }

 private:
  static constexpr Real nan = std::numeric_limits<Real>::quiet_NaN();
  Backend& backend_;
  std::vector<void*> all_;
};

}  // namespace elbo::test
