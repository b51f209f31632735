#pragma once
#include <memory>
#include <string>

#include "runtime/backend.h"

namespace elbo {

/// Where tensors live and operations run.  A handle: copies are the same device.
class Device {
 public:
  static Device cpu();
  static Device simt(Precision = Precision::fp32, std::shared_ptr<LargeProducts> = nullptr);
  static Device cuda(int index = 0, Precision = Precision::tf32);

  /// "auto" (a GPU if there is one, else the CPU), "cpu", "simt", "cuda", "cuda:1".
  /// Errors: an unknown name; a GPU that is not there.
  static Device named(const std::string& name, Precision);

  Backend& backend() const { return *backend_; }
  const std::string& name() const { return name_; }
  Precision precision() const { return precision_; }
  bool operator==(const Device& other) const { return backend_ == other.backend_; }

 private:
  Device(std::string name, Precision precision, std::shared_ptr<Backend> backend)
      : name_(std::move(name)), precision_(precision), backend_(std::move(backend)) {}

  std::string name_;
  Precision precision_;
  std::shared_ptr<Backend> backend_;
};

/// An array in a device's memory that holds numbers other than Real: counters, indices, data.
template <class T>
class DeviceArray {
 public:
  DeviceArray(Device device, std::size_t count)
      : device_(std::move(device)),
        count_(count),
        data_(static_cast<T*>(device_.backend().allocate(count * sizeof(T)))) {}
  ~DeviceArray() { device_.backend().release(data_); }
  DeviceArray(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  void write(const T* from, std::size_t count) {
    device_.backend().copy_to_device(data_, from, count * sizeof(T));
  }
  void read(T* to, std::size_t count) const {
    device_.backend().copy_to_host(to, data_, count * sizeof(T));
  }

 private:
  Device device_;
  std::size_t count_;
  T* data_;
};

}  // namespace elbo
