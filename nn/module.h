#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "nn/functions.h"

namespace elbo {

/// A tensor that training changes, by the name that a file gives it.
struct Parameter {
  std::string name;
  Tensor tensor;
  int interleave = 1;  // K: rows (or columns, of a bias) c·K + k here are k·O/K + c in a file
};

/// A module is a struct with a call operator and one line that names its parts:
///
///     void parts(auto visit) { visit("encoder", encoder), visit("decoder", decoder); }
///
/// Counting, saving and optimising all walk that line; there is no base class.  A module that
/// stores its heads interleaved says so by a member `interleave`.
template <class M>
void collect(M& module, const std::string& name, int interleave, std::vector<Parameter>& into) {
  if constexpr (std::is_same_v<std::remove_const_t<M>, Tensor>) {
    if (module) into.push_back({name, module, interleave});
  } else if constexpr (requires { module.parts([](const std::string&, auto&) {}); }) {
    int within = interleave;
    if constexpr (requires { module.interleave; }) within = module.interleave;
    module.parts([&](const std::string& part, auto& child) {
      collect(child, name.empty() ? part : name + "." + part, within, into);
    });
  } else {
    for (std::size_t i = 0; i < module.size(); ++i)
      collect(module[i], name + "." + std::to_string(i), interleave, into);
  }
}

template <class M>
std::vector<Parameter> parameters(M& module) {
  std::vector<Parameter> all;
  collect(module, "", 1, all);
  return all;
}

}  // namespace elbo
