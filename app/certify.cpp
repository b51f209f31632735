#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/train_command.h"
#include "models/certificate.h"

namespace elbo {

namespace {

struct CertifyCommand {
  std::string device = "auto";
  bool full = false, json = false;
};

/// A line for each check, below the heading of its group, as soon as it is made.
struct Table {
  std::string group = {};

  void operator()(const Check& check) {
    if (check.group != group) {
      std::cout << (group.empty() ? "" : "\n")
                << fmt::format("{}\n  {:<45}{:>17}{:>17}{:>9}  {}\n", check.group, "claim",
                               "expected", "got", "within", "holds");
      group = check.group;
    }
    std::cout << fmt::format("  {:<45}{:>17.10g}{:>17.10g}{:>9.2g}  {}\n", check.claim,
                             check.expected, check.got, check.tolerance,
                             check.passed() ? "yes" : "NO")
              << std::flush;
  }
};

nlohmann::ordered_json json_of(const std::vector<Check>& checks, const std::string& device,
                               bool passed) {
  nlohmann::ordered_json json{{"device", device}, {"checks", nlohmann::ordered_json::array()}};
  for (const Check& c : checks)
    json["checks"].push_back({{"group", c.group},
                              {"claim", c.claim},
                              {"expected", c.expected},
                              {"got", c.got},
                              {"tolerance", c.tolerance},
                              {"pass", c.passed()}});
  json["passed"] = passed;
  return json;
}

int run(const CertifyCommand& c) {
  const Device device = Device::named(c.device, Precision::fp32);
  std::function<void(const Check&)> made;
  if (!c.json) made = Table();
  const std::vector<Check> checks =
      certify(device, {.draws = c.full ? 16.0 : 1.0, .full = c.full}, made);
  const long held = std::count_if(checks.begin(), checks.end(), std::mem_fn(&Check::passed));
  const bool passed = held == long(checks.size());
  const std::string description = device.backend().description();
  if (c.json) std::cout << json_of(checks, description, passed).dump(2) << '\n';
  else std::cout << fmt::format("\n{} of {} checks hold on {}\n", held, checks.size(), description);
  return passed ? 0 : 1;
}

}  // namespace

void add_certify(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<CertifyCommand>();
  CLI::App* const on =
      add_command(app, chosen, "certify", "hold this device against known numbers", c);
  add_device(on, c->device);
  on->add_flag("--full", c->full, "16 times the draws, more parameters");
  on->add_flag("--json", c->json, "print JSON");
  on->footer(
      "Likelihoods, scores, bounds, estimators and random numbers, whose exact values are known, "
      "as "
      "this\ndevice computes them in fp32. Exit code 1 if any is off by more than its tolerance.");
}

}  // namespace elbo
