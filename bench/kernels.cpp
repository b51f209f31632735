// Times the operations that training steps consist of, one by one, on the device given by
// --device cpu|cuda (--precision fp32|tf32|bf16, --cold): those of a planned step, those of a
// step that clips (stored gradients, one update of everything), and the unfused ones.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <set>
#include <sstream>

#include "bench/ceilings.h"
#include "bench/cost.h"
#include "bench/measurement.h"
#include "bench/training.h"
#include "kernels/cuda/traffic.h"
#include "runtime/error.h"

namespace {

using namespace elbo;

struct Options {
  std::string device = "cpu", precision = "tf32";
  bool cold = false;
};

/// Takes the program's own flags out of argv and leaves Google Benchmark's.
Options own_flags(int& argc, char** argv) {
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool named = word == "--device" || word == "--precision";
    require(!named || i + 1 < argc, word, ": a value is missing");
    if (word == "--device") options.device = argv[++i];
    else if (word == "--precision") options.precision = argv[++i];
    else if (word == "--cold") options.cold = true;
    else argv[kept++] = argv[i];
  }
  argc = kept;
  return options;
}

Precision precision_named(const std::string& name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "tf32") return Precision::tf32;
  require(name == "bf16", "--precision ", name, ": expected fp32, tf32 or bf16");
  return Precision::bf16;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

/// What the CUDA kernels of an operation ask of memory, tile by tile; 0 where it is not declared.
double asked(const Operation& operation) {
  return std::visit(
      [](const auto& o) -> double {
        if constexpr (requires { traffic(o); }) {
          const auto t = traffic(o);
          return t.read + t.written;
        }
        return 0;
      },
      operation);
}

void time_operation(benchmark::State& state, const Device& device, Training& training,
                    const Operation& operation, const Ceilings& most, bool cold) {
  training.rewind();
  const auto seconds = measurement(
      device, [&](const Ops& ops) { std::visit([&](const auto& o) { ops.run(o); }, operation); },
      cold);
  seconds();
  std::vector<double> times;
  for (auto _ : state) {
    times.push_back(seconds());
    state.SetIterationTime(times.back());
  }
  const double middle = median(times);
  const Cost must = cost(operation);
  state.counters["median_us"] = middle * 1e6;
  state.counters["flops"] = must.flops;
  state.counters["bytes"] = must.bytes;
  if (device.name() != "cpu") state.counters["bytes_asked"] = asked(operation);
  state.counters["share_of_flops"] = must.flops / middle / most.flops;
  state.counters["share_of_bandwidth"] = must.bytes / middle / most.bandwidth;
}

int run(int argc, char** argv) {
  const Options options = own_flags(argc, argv);
  const Device device = Device::named(options.device, precision_named(options.precision));
  const Ceilings most = ceilings(device);
  benchmark::AddCustomContext("device_description", processor(device));
  benchmark::AddCustomContext("precision", device.name() == "cpu" ? "fp32" : options.precision);
  benchmark::AddCustomContext("caches", options.cold ? "cold" : "warm");
  benchmark::AddCustomContext("ceiling_flops", std::to_string(most.flops));
  benchmark::AddCustomContext("ceiling_bandwidth", std::to_string(most.bandwidth));
  benchmark::AddCustomContext("ceilings", most.how);

  std::vector<std::unique_ptr<Training>> trainings;
  for (int number : {1, 2}) {
    std::set<std::string> names;
    for (const Training::Options& how :
         {Training::Options{.rate = 0}, Training::Options{.rate = 0, .clip = 1},
          Training::Options{.plan = Program::Plan::composed, .rate = 0}}) {
      Training& training =
          *trainings.emplace_back(std::make_unique<Training>(device, training_case(number), how));
      training.run(1);  // so that the operations find numbers such as training has
      const std::vector<std::string> described = lines(training.program().describe());
      for (std::size_t i = 0; i < described.size(); ++i) {
        const std::string name =
            "batch " + std::to_string(training_case(number).batch) + ": " + described[i];
        if (!names.insert(name).second) continue;
        const Operation& operation = training.program().operations[i];
        auto* const registered = benchmark::RegisterBenchmark(
            name.c_str(), [&, cold = options.cold](benchmark::State& state) {
              time_operation(state, device, training, operation, most, cold);
            });
        registered->UseManualTime()->Unit(benchmark::kMicrosecond);
        // On a GPU one iteration is already a hundred calls (or thirty cold ones).
        if (device.name() != "cpu") registered->Iterations(30);
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return 1;
  }
}
