// Times whole training steps as the planner made them, and holds them against what the device can
// do; bench_step --help says how.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/cost.h"
#include "bench/measurement.h"
#include "bench/training.h"
#include "runtime/error.h"

namespace {

using namespace elbo;
using Json = nlohmann::ordered_json;

struct Options {
  std::string cases = "1,2,3", device = "cpu", precision = "tf32", plan = "fused", json, commit;
  int repeats = 7, steps = 0;
};

/// Ends the program where the command line says so.
Options flags(int argc, char** argv) {
  Options o;
  CLI::App app("Times planned training steps and holds them against what the device can do.");
  app.option_defaults()->always_capture_default();
  app.add_option("--case", o.cases, "numbers of the cases");
  app.add_option("--device", o.device, "cpu, simt, cuda or cuda:K");
  app.add_option("--precision", o.precision, "of products on a GPU")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  app.add_option("--plan", o.plan)->check(CLI::IsMember({"fused", "composed"}));
  app.add_option("--repeats", o.repeats)->check(CLI::PositiveNumber);
  app.add_option("--steps", o.steps, "of each repeat; 0: chosen")->check(CLI::NonNegativeNumber);
  app.add_option("--json", o.json, "file for the result");
  app.add_option("--commit", o.commit, "text for the result");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) ? 2 : 0);
  }
  return o;
}

double seconds(Training& training, const Device& device, int steps) {
  using Clock = std::chrono::steady_clock;
  device.backend().wait();
  const auto start = Clock::now();
  training.run(steps);
  device.backend().wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// At least 200 steps on a GPU and as many as fill a fifth of a second; on the host, where a step
/// of the large batch takes a tenth of a second, those that fill it, but at least three.
int steps_each(Training& training, const Device& device) {
  const bool host = !device.name().starts_with("cuda");
  training.run(3);  // the first runs the operations one by one, the second records them
  const double one = seconds(training, device, host ? 3 : 100) / (host ? 3 : 100);
  return std::clamp(int(0.2 / one), host ? 3 : 200, 20000);
}

Json measure(const Case& which, const Device& device, const Ceilings& most, const Options& o) {
  Training training(device, which,
                    {.plan = o.plan == "fused" ? Program::Plan::fused : Program::Plan::composed});
  const int chosen = steps_each(training, device), steps = o.steps > 0 ? o.steps : chosen;
  std::vector<double> times;
  for (int i = 0; i < o.repeats; ++i) times.push_back(seconds(training, device, steps) / steps);

  const Cost must = cost(training.program());
  const double middle = median(times);
  std::vector<std::string> operations;
  std::istringstream plan(training.program().describe());
  for (std::string line; std::getline(plan, line);) operations.push_back(line);

  std::printf(
      "case %d  %s, batch %d: %.1f us a step (%.1f to %.1f), %zu operations\n"
      "        %.3f GFLOP, %.1f %% of the ceiling; %.2f MB, %.1f %% of the ceiling\n",
      which.number, which.name.c_str(), which.batch, middle * 1e6,
      *std::min_element(times.begin(), times.end()) * 1e6,
      *std::max_element(times.begin(), times.end()) * 1e6, operations.size(), must.flops / 1e9,
      100 * must.flops / middle / most.flops, must.bytes / 1e6,
      100 * must.bytes / middle / most.bandwidth);
  return {{"case", which.number},
          {"name", which.name},
          {"batch", which.batch},
          {"parameters", training.parameters()},
          {"plan", o.plan},
          {"steps_each", steps},
          {"seconds", times},
          {"median_us", middle * 1e6},
          {"minimum_us", *std::min_element(times.begin(), times.end()) * 1e6},
          {"maximum_us", *std::max_element(times.begin(), times.end()) * 1e6},
          {"operations", operations},
          {"flops", must.flops},
          {"bytes", must.bytes},
          {"share_of_flops", must.flops / middle / most.flops},
          {"share_of_bandwidth", must.bytes / middle / most.bandwidth}};
}

int run(int argc, char** argv) {
  const Options o = flags(argc, argv);
  const Precision precision = o.precision == "fp32"   ? Precision::fp32
                              : o.precision == "bf16" ? Precision::bf16
                                                      : Precision::tf32;
  const Device device = Device::named(o.device, precision);
  const Ceilings most = ceilings(device);
  std::printf("%s: %.2f TFLOP/s, %.1f GB/s (%s)\n", processor(device).c_str(), most.flops / 1e12,
              most.bandwidth / 1e9, most.how.c_str());
  Json result{
      {"commit", o.commit},
      {"device", processor(device)},
      {"precision", device.name() == "cpu" ? "fp32" : o.precision},
      {"compiler", __VERSION__},
      {"ceilings", {{"flops", most.flops}, {"bandwidth", most.bandwidth}, {"how", most.how}}},
      {"cases", Json::array()}};
  std::istringstream numbers(o.cases);
  for (std::string number; std::getline(numbers, number, ',');) {
    result["cases"].push_back(measure(training_case(std::stoi(number)), device, most, o));
    std::fflush(stdout);
    if (!o.json.empty()) {  // after every case, so that a run that is cut off leaves something
      std::ofstream out(o.json);
      out << result.dump(1) << '\n';
      require(bool(out), o.json, ": cannot be written");
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_step: %s\n", error.what());
    return 1;
  }
}
