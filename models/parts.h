#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "nn/batches.h"
#include "nn/functions.h"
#include "runtime/step.h"

namespace elbo {

// Passes over data, part by part, by steps that are recorded once for each size of a part.

/// Calls f(first row, rows) for consecutive parts of the data, with the batches standing there.
template <class F>
long each_part(Batches& batches, long limit, int part, F&& f) {
  const long count = limit > 0 ? std::min(limit, batches.rows()) : batches.rows();
  for (long first = 0; first < count; first += part) {
    const long rows = std::min<long>(part, count - first);
    batches.progress().write({0, 0, std::uint32_t(first)});
    batches.provide(first, rows);
    f(first, int(rows));
  }
  return count;
}

/// Steps of one kind, recorded once for each number of rows they are needed for.
template <class Make>
class StepBySize {
 public:
  explicit StepBySize(Make make) : make_(std::move(make)) {}
  auto& operator()(int rows) {
    auto& slot = made_[rows];
    if (!slot) slot = make_(rows);
    return *slot;
  }

 private:
  Make make_;
  std::map<int, decltype(std::declval<Make>()(1))> made_;
};

inline Noise evaluation_noise(Batches& batches, std::uint64_t seed) {
  return {.seed = seed,
          .stream = std::uint32_t(Stream::evaluation),
          .batch = batches.batch(),
          .given = {}};
}

struct Outputs {
  Tensor first, second;
  std::unique_ptr<Step> step;
};

template <class Body>
std::unique_ptr<Outputs> make_outputs(const Device& device, Body&& body) {
  auto made = std::make_unique<Outputs>();
  made->step = std::make_unique<Step>(device, [&] { body(*made); });
  return made;
}

}  // namespace elbo
