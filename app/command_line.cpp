#include "app/command_line.h"

#include <algorithm>
#include <cmath>

namespace elbo {

/// A finite number that is at least (or above) `least`.
CLI::Validator number_from(double least, bool or_equal) {
  std::ostringstream wanted;
  wanted << "a number " << (or_equal ? ">= " : "> ") << least;
  return CLI::Validator(
      [=, wanted = wanted.str()](std::string& text) -> std::string {
        double value = 0;
        const char *first = text.data(), *last = text.data() + text.size();
        const auto [end, error] = std::from_chars(first, last, value);
        const bool fits = error == std::errc() && end == last && std::isfinite(value) &&
                          (or_equal ? value >= least : value > least);
        return fits ? "" : "'" + text + "' is not " + wanted;
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](std::string& text) -> std::string {
        std::string all;
        for (const std::string& word : words) {
          if (text == word) return "";
          all += (all.empty() ? "" : ", ") + word;
        }
        return "'" + text + "' is none of " + all;
      },
      "");
}

void add_device(CLI::App* command, std::string& device) {
  const auto known = [](const std::string& name) -> std::string {
    const bool numbered = name.starts_with("cuda:") && name.size() > 5 &&
                          name.find_first_not_of("0123456789", 5) == std::string::npos;
    if (numbered || name == "auto" || name == "cpu" || name == "cuda" || name == "simt") return "";
    return "'" + name + "' is none of auto, cpu, cuda, cuda:K, simt";
  };
  command->add_option("--device", device, "auto (a GPU if there is one), cpu, cuda, cuda:K, simt")
      ->check(CLI::Validator(known, ""))
      ->capture_default_str();
}

void add_seed(CLI::App* command, std::uint64_t& seed, const std::string& what) {
  // TOML's whole numbers end at 2^63 - 1.
  command->add_option("--seed", seed, what)->check(whole_from<long>(0))->capture_default_str();
}

Device device_named(const std::string& name, const std::string& word) {
  const Precision precision = word == "fp32"   ? Precision::fp32
                              : word == "bf16" ? Precision::bf16
                                               : Precision::tf32;
  const Device device = Device::named(name, precision);
  require(precision != Precision::bf16 || device.name() != "cpu",
          "--precision bf16: the cpu computes in fp32 only");
  return device;
}

const std::vector<std::string> tiers{"auto", "graph", "persistent", "cluster"};

Tier tier_named(const std::string& word) {
  return Tier(std::find(tiers.begin(), tiers.end(), word) - tiers.begin());
}

}  // namespace elbo
