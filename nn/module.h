#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "nn/functions.h"

namespace elbo {

/// A tensor that belongs to a model, by the name that a file gives it.
struct Parameter {
  std::string name;
  Tensor tensor;
  int interleave = 1;   // K: rows (or columns, of a bias) c·K + k here are k·O/K + c in a file
  bool trained = true;  // else a buffer: saved with the model, never changed by an optimiser
  bool flat = false;    // one dimension in a file, whatever its name
};

/// A module is a struct with a call operator and one line that names its parts:
///
///     void parts(auto visit) { visit("encoder", encoder), visit("decoder", decoder); }
///
/// Counting, saving and optimising all walk that line; there is no base class.  A module that
/// stores its heads interleaved says so by a member `interleave`, one whose weight is a row by a
/// member `flat`; what is not tracked is a buffer.
template <class M>
void collect(M& module, const std::string& name, int interleave, bool flat,
             std::vector<Parameter>& into) {
  if constexpr (std::is_same_v<std::remove_const_t<M>, Tensor>) {
    if (module) into.push_back({name, module, interleave, module.tracked(), flat});
  } else if constexpr (requires { module.parts([](const std::string&, auto&) {}); }) {
    int within = interleave;
    if constexpr (requires { module.interleave; }) within = module.interleave;
    constexpr bool rows = requires { M::flat; };
    module.parts([&](const std::string& part, auto& child) {
      collect(child, name.empty() ? part : name + "." + part, within, rows, into);
    });
  } else {
    for (std::size_t i = 0; i < module.size(); ++i)
      collect(module[i], name + "." + std::to_string(i), interleave, flat, into);
  }
}

template <class M>
std::vector<Parameter> parameters(M& module) {
  std::vector<Parameter> all;
  collect(module, "", 1, false, all);
  return all;
}

}  // namespace elbo
