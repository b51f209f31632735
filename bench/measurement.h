#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace elbo {

/// Seconds that a call of `body` takes on the device, each time it is asked.
///
/// On the host one call and the clock.  On a GPU a hundred calls, recorded as a graph on a stream
/// of its own and timed by two events, divided by a hundred: what a call costs among others.
/// cold (of a GPU): the median over single launches, each after a sweep over more memory than the
/// L2 holds; a launch's own latency is then part of it.  The host ignores it.
std::function<double()> measurement(const Device&, std::function<void(const Ops&)> body, bool cold);

/// Calls `body`  →  how many kernels it launched, where the device counts them: on simt.
std::optional<long> launches(const Device&, const std::function<void()>& body);

double median(std::vector<double>);

/// The processor's or the GPU's name, as results are filed under.
std::string processor(const Device&);

#ifdef ELBO_HAS_CUDA
std::function<double()> cuda_measurement(Precision, std::function<void(const Ops&)> body,
                                         bool cold);
#endif

}  // namespace elbo
