#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/commands.h"
#include "bench/cases.h"
#include "bench/ceilings.h"
#include "bench/cost.h"
#include "bench/measurement.h"
#include "bench/synthetic.h"
#include "bench/training.h"
#include "data/atomic_file.h"
#include "models/run_directory.h"
#include "nn/device_rows.h"

namespace elbo {

namespace {

struct BenchCommand {
  std::vector<int> cases{1, 3};  // bench/cases.h
  std::string device = "auto", precision = "auto", plan = "fused", tier = "auto";
  int repeats = 0, steps = 0, batch = 0;  // 0: chosen
  long cells = 1000000;
  bool profile = false;
  std::string json, note;
};

using Json = nlohmann::ordered_json;

/// What timing a case gave, whichever way its steps were run.
struct Timed {
  long rows = 0, parameters = 0;
  int steps_each = 0;
  Tier tier = Tier::graph;
  std::vector<double> seconds;  // a step
  double first_loss = 0, loss = 0;
  std::vector<std::string> operations;
  long launches = 0;
  Cost cost;
  std::vector<double> profile;  // seconds of each operation, where it was asked for
  std::vector<Cost> costs;
};

double seconds_of(const Device& device, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  device.backend().wait();
  const auto start = Clock::now();
  body();
  device.backend().wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool on_gpu(const Device& device) { return device.name().starts_with("cuda"); }

/// On a GPU at least 150 steps, so that seven timings are of a thousand; on the host, where a step
/// may take seconds, one at the least.
int chosen_steps(Training& training, const Device& device) {
  const int least = on_gpu(device) ? 150 : 1;
  const double one = seconds_of(device, [&] { training.run(least); }) / least;
  return int(std::clamp(0.2 / one, double(least), 20000.0));
}

void describe(Timed& timed, const Program& program, std::optional<long> launches, long steps,
              Tier tier) {
  timed.tier = tier;
  std::istringstream plan(program.describe());
  for (std::string line; std::getline(plan, line);) timed.operations.push_back(line);
  timed.cost = cost(program);
  for (const Operation& operation : program.operations) timed.costs.push_back(cost(operation));
  timed.launches = launches              ? *launches / steps
                   : tier == Tier::graph ? long(timed.operations.size())
                                         : 1;
}

Timed time_steps(const Case& which, const Device& device, const BenchCommand& c) {
  const Training::Options options{
      .plan = c.plan == "fused"       ? Program::Plan::fused
              : c.plan == "unchained" ? Program::Plan::unchained
                                      : Program::Plan::composed,
      .tier = tier_named(c.tier)};
  Training training(device, which, options);
  Timed timed{.rows = which.rows, .parameters = training.parameters()};
  const std::optional<long> counted = launches(device, [&] { training.run(1); });
  timed.first_loss = training.loss();
  // The second step is recorded, and then a graph of several; or the fastest tier is found.
  if (on_gpu(device)) training.run(1), training.run(6 * Step::steps_a_trial);
  timed.steps_each = c.steps > 0 ? c.steps : chosen_steps(training, device);
  const int repeats = c.repeats > 0 ? c.repeats : 7;
  training.loss();
  for (int i = 0; i < repeats; ++i)
    timed.seconds.push_back(seconds_of(device, [&] { training.run(timed.steps_each); }) /
                            timed.steps_each);
  timed.loss = training.loss();
  if (c.profile) timed.profile = training.profile(std::max(7, timed.steps_each));
  describe(timed, training.program(), counted, 1, training.tier());
  return timed;
}

double first_loss(Case which, const Device& device) {
  which.rows = which.batch;
  Training training(device, which, {});
  training.run(1);
  return training.loss();
}

Timed time_epochs(const Case& which, const Device& device, const BenchCommand& c) {
  TrainingOptions options = which.options();
  options.tier = tier_named(c.tier);
  const Model model(device, which.model, 0);
  const Dataset data = synthetic_data(which, c.cells);
  Batches batches(device, data, 0);
  Trainer trainer(Trainer::terms_of(model, options), model.parameters(), batches, options);
  Timed timed{.rows = c.cells, .parameters = trained_numbers(model)};
  // A single datum that is left over goes with the batch before it.
  timed.steps_each = int(c.cells / options.batch + (c.cells % options.batch > 1));
  timed.first_loss = first_loss(which, device);
  // Enough of an epoch to have its steps recorded; then from the first again.
  const std::vector<double> none(trainer.totals().size());
  trainer.epoch([](const Means&) { return false; });
  trainer.resume(0, 0, 0, none);
  const int repeats = c.repeats > 0 ? c.repeats : 3;
  std::optional<long> counted;
  for (int i = 0; i < repeats; ++i)
    timed.seconds.push_back(
        seconds_of(
            device,
            [&] { counted = launches(device, [&] { timed.loss = -trainer.epoch().elbo; }); }) /
        timed.steps_each);
  describe(timed, trainer.program(), counted, timed.steps_each, trainer.tier());
  const double listed = double(data.starts.back()) / double(data.rows);
  timed.cost.bytes += RowFormat(data).bytes(0, listed * options.batch);
  return timed;
}

const char* word_for(Precision precision) {
  const char* const words[] = {"fp32", "tf32", "bf16"};
  return words[int(precision)];
}

Json json_of(const Case& which, const Timed& timed, const Device& device, const Ceilings& most,
             const BenchCommand& c) {
  const double middle = median(timed.seconds);
  const auto [least, largest] = std::minmax_element(timed.seconds.begin(), timed.seconds.end());
  const double floor = std::max(timed.cost.flops / most.flops, timed.cost.bytes / most.bandwidth);
  Json json{{"case", which.number},
            {"name", which.name},
            {"batch", which.batch},
            {"rows", timed.rows},
            {"parameters", timed.parameters},
            {"precision", word_for(device.precision())},
            {"plan", c.plan},
            {"tier", tiers[std::size_t(timed.tier)]},
            {"steps_each", timed.steps_each},
            {"seconds", timed.seconds},
            {"median_us", middle * 1e6},
            {"minimum_us", *least * 1e6},
            {"maximum_us", *largest * 1e6},
            {"loss_first", timed.first_loss},
            {"loss", timed.loss},
            {"operations", timed.operations},
            {"launches", timed.launches},
            {"flops", timed.cost.flops},
            {"bytes", timed.cost.bytes},
            {"ceilings", {{"flops", most.flops}, {"bandwidth", most.bandwidth}, {"how", most.how}}},
            {"floor_us", floor * 1e6},
            {"share_of_floor", floor / middle}};
  for (std::size_t i = 0; i < timed.profile.size(); ++i)
    json["profile"].push_back({{"operation", timed.operations[i]},
                               {"median_us", timed.profile[i] * 1e6},
                               {"flops", timed.costs[i].flops},
                               {"bytes", timed.costs[i].bytes}});
  if (which.epoch) {
    json["epoch_seconds"] = middle * timed.steps_each;
    json["data_per_second"] = double(timed.rows) / (middle * timed.steps_each);
  }
  return json;
}

void print(const Json& json) {
  const auto number = [&](const char* name) { return json.at(name).get<double>(); };
  std::cout << fmt::format(
      "case {}  {}, batch {}, {}: {:.1f} us a step ({:.1f} to {:.1f}), {} launches\n"
      "        {:.3f} GFLOP, {:.2f} MB: at least {:.1f} us, {:.1f} % of the time\n",
      json.at("case").get<int>(), json.at("name").get<std::string>(), json.at("batch").get<int>(),
      json.at("precision").get<std::string>(), number("median_us"), number("minimum_us"),
      number("maximum_us"), json.at("launches").get<long>(), number("flops") / 1e9,
      number("bytes") / 1e6, number("floor_us"), 100 * number("share_of_floor"));
  if (json.contains("epoch_seconds"))
    std::cout << fmt::format("        an epoch of {} data in {:.3f} s\n",
                             json.at("rows").get<long>(), number("epoch_seconds"));
  if (json.contains("profile"))
    for (const Json& part : json.at("profile")) {
      const double us = part.at("median_us").get<double>();
      std::cout << fmt::format("{:10.1f} us {:7.1f} GFLOP/s {:7.1f} GB/s  {}\n", us,
                               part.at("flops").get<double>() / us / 1e3,
                               part.at("bytes").get<double>() / us / 1e3,
                               part.at("operation").get<std::string>());
    }
  std::cout << std::flush;
}

int run(const BenchCommand& c) {
  const auto device_for = [&](const Case& which) {
    return c.precision == "auto" ? Device::named(c.device, which.precision)
                                 : device_named(c.device, c.precision);
  };
  Json result{{"elbo", version},
              {"device", processor(device_for(training_case(c.cases.front())))},
              {"compiler", __VERSION__},
              {"note", c.note},
              {"cases", Json::array()}};
  const auto write = [&] {
    if (!c.json.empty()) write_file(c.json, result.dump(1) + '\n');
  };
  write();  // so that a name that cannot be written is known before anything is timed
  std::map<Precision, Ceilings> most;
  for (const int number : c.cases) {
    Case which = training_case(number);
    if (c.batch > 0) which.batch = c.batch;
    const long rows = which.epoch ? c.cells : which.rows;
    require(which.batch <= rows, "case ", number, ": batches of ", which.batch, " from ", rows,
            " data");
    const Device device = device_for(which);
    const auto [found, is_new] = most.try_emplace(device.precision());
    if (is_new) {
      found->second = ceilings(device);
      std::cout << fmt::format("{}, {}: {:.2f} TFLOP/s, {:.1f} GB/s ({})\n", processor(device),
                               word_for(device.precision()), found->second.flops / 1e12,
                               found->second.bandwidth / 1e9, found->second.how)
                << std::flush;
    }
    const Timed timed = which.epoch ? time_epochs(which, device, c) : time_steps(which, device, c);
    require(std::isfinite(timed.first_loss) && std::isfinite(timed.loss), "case ", number,
            ": the loss is not finite");
    result["cases"].push_back(json_of(which, timed, device, found->second, c));
    print(result["cases"].back());
    write();
  }
  return 0;
}

/// Numbers of cases with commas between them, or all.
std::vector<int> case_numbers(const std::string& text) {
  const int most = int(training_cases().size());
  std::vector<int> numbers;
  if (text == "all")
    for (const Case& which : training_cases()) numbers.push_back(which.number);
  std::istringstream parts(text == "all" ? "" : text);
  for (std::string part; std::getline(parts, part, ',');) {
    int number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number < 1 || number > most)
      throw UsageError("--case: '" + part + "' is not the number of a case, 1 to " +
                       std::to_string(most));
    numbers.push_back(number);
  }
  if (numbers.empty()) throw UsageError("--case: '" + text + "' names no case");
  return numbers;
}

void check_cases(BenchCommand& c) {
  for (const int number : c.cases)
    if (training_case(number).epoch && c.plan != "fused")
      throw UsageError("--plan " + c.plan + ": case " + std::to_string(number) +
                       " is run by the trainer, which fuses");
}

}  // namespace

void add_bench(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<BenchCommand>();
  CLI::App* const on = add_command<BenchCommand>(
      app, chosen, "bench", "how fast training steps are on this device", c, check_cases);
  const auto add = [&](const char* name, auto& value, const std::string& what) {
    return on->add_option(name, value, what)->capture_default_str();
  };
  on->add_option_function<std::string>(
        "--case", [c](const std::string& text) { c->cases = case_numbers(text); },
        "numbers of the cases below, such as 1,3; or all")
      ->default_str("1,3");
  add_device(on, c->device);
  add("--precision", c->precision, "of products on a GPU: fp32, tf32, bf16; auto: the case's own")
      ->check(one_of({"auto", "fp32", "tf32", "bf16"}));
  add("--plan", c->plan,
      "fused; unchained: narrow layers in launches of their own; or composed: each operation by "
      "itself, as it was recorded")
      ->check(one_of({"fused", "unchained", "composed"}));
  add("--tier", c->tier,
      "how a GPU launches a step: graph, persistent or cluster (the last two not every case); "
      "auto: as is fastest")
      ->check(one_of(tiers));
  add("--repeats", c->repeats, "timings of each case; 0: 7, and 3 of an epoch")
      ->check(whole_from<int>(0));
  add("--steps", c->steps, "of each timing; 0: as many as give a steady time")
      ->check(whole_from<int>(0));
  add("--batch", c->batch, "data a step; 0: the case's own")->check(whole_from<int>(0));
  add("--cells", c->cells, "data of case 9")->check(whole_from<long>(1));
  on->add_flag("--profile", c->profile,
               "also how long each operation of a step takes; not of case 9");
  on->add_option("--json", c->json, "file for the result, written anew after every case");
  on->add_option("--note", c->note, "a text that the result carries: what else the machine did");
  std::ostringstream help;
  help << "Times training steps (gather, forward, backward, Adam; data on the device), and holds "
          "them\nagainst a floor: what the step must multiply and move, each number once an "
          "operation, by what\nthe device can do, measured in the same run.\n";
  for (const Case& which : training_cases())
    help << "\n  " << which.number << "  " << which.name << ", batch " << which.batch
         << (which.precision == Precision::bf16 ? ", bf16" : "");
  help << "\n\nAll data are synthetic; a case may take a few hundred MB (case 9, whose cells are "
          "lists of counts:\n1.6 kB a cell on the host and 0.6 kB on the device).";
  on->footer(help.str());
}

}  // namespace elbo
