#pragma once
#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/step.h"

namespace elbo {

/// A mistake on the command line or in a config file: exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// What the arguments ask for; it gives the exit code.
using Run = std::function<int()>;

/// A subcommand whose options are to fill *command; where it is the one that is given, `chosen`
/// becomes finish(*command), then run(*command).
template <class C>
CLI::App* add_command(CLI::App& app, Run& chosen, const std::string& name, const std::string& what,
                      const std::shared_ptr<C>& command, std::function<void(C&)> finish = {}) {
  CLI::App* const on = app.add_subcommand(name, what);
  on->callback([&chosen, command, finish] {
    if (finish) finish(*command);
    chosen = [command] { return run(*command); };
  });
  return on;
}

/// Validators whose complaints say what was found and what is expected.
CLI::Validator number_from(double least, bool or_equal);
CLI::Validator one_of(std::vector<std::string> words);
/// A whole number from `least` that fits its type.
template <class Integer>
CLI::Validator whole_from(Integer least) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        Integer value = 0;
        const char *first = text.data(), *last = text.data() + text.size();
        const auto [end, error] = std::from_chars(first, last, value);
        const bool fits = error == std::errc() && end == last && value >= least;
        return fits ? "" : "'" + text + "' is not a whole number >= " + std::to_string(least);
      },
      "");
}

void add_device(CLI::App* command, std::string& device);
void add_seed(CLI::App* command, std::uint64_t& seed, const std::string& what);

/// A device by name, and by the word for the precision of its products.
/// Errors: runtime/device.h; bf16 on a device that has none.
Device device_named(const std::string& name, const std::string& precision);

/// How steps are launched: the words of `--tier`, in the order of Tier, and what one of them means.
extern const std::vector<std::string> tiers;
Tier tier_named(const std::string& word);

}  // namespace elbo
