#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>

#include "models/run_directory.h"
#include "runtime/error.h"

namespace elbo {

/// A mistake on the command line or in a config file: exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// One struct for each command, with the defaults that its help shows.
struct TrainCommand {
  std::string data, valid, out, config, preset;
  ModelConfig model;
  std::string objective = "elbo", gradient = "standard";
  int samples = 1;  // draws a datum
  double beta = 1;
  int beta_warmup = 0;  // epochs
  int beta_cycles = 0;
  double free_bits = 0;
  int epochs = 10, batch = 128;
  double rate = 1e-3;
  std::string rate_schedule = "constant", optimizer = "adam";
  double clip = 0;
  std::uint64_t seed = 0;
  std::string device = "auto", precision = "tf32", tier = "graph", data_memory = "auto";
  bool resume = false, force = false;
  std::string line;  // the command as it was typed, for the report
};

struct EvaluateCommand {
  std::string run, data, part, device = "auto";
  int importance_samples = 0;
  long limit = 0;
  bool information = false;
  int information_samples = 0;  // 0: min(N, 2000)
  std::uint64_t seed = 0;
  bool json = false;
};

struct EncodeCommand {
  std::string run, data, out, what = "mean", device = "auto";
  std::uint64_t seed = 0;
};

struct DecodeCommand {
  std::string run, latents, out, device = "auto";
};

struct ReconstructCommand {
  std::string run, data, out, device = "auto";
};

struct SampleCommand {
  std::string run, out, mode = "mean", device = "auto";
  long count = 64;
  std::uint64_t seed = 0;
};

struct InfoCommand {
  std::string run, device = "auto";
  bool plan = false;
};

struct CertifyCommand {
  std::string device = "auto";
  bool full = false, json = false;
};

struct BenchCommand {
  std::vector<int> cases;  // bench/cases.h
  std::string device = "auto", precision = "auto", plan = "fused", tier = "graph";
  int repeats = 0, steps = 0, batch = 0;  // 0: chosen
  long cells = 1000000;
  std::string json, note;
};

/// What --help and --version print.
struct Text {
  std::string text;
};

using Command =
    std::variant<Text, TrainCommand, EvaluateCommand, EncodeCommand, DecodeCommand,
                 ReconstructCommand, SampleCommand, InfoCommand, CertifyCommand, BenchCommand>;

/// The command that the arguments give; for `train`, a flag goes before the config file, the file
/// before the config of the run that is resumed, that before the defaults.
/// Errors: UsageError.
Command parse_command(int argc, const char* const* argv);

/// What decides a training, by the names of the flags; config.toml and the checkpoint hold it.
nlohmann::ordered_json settings(const TrainCommand&);

/// The command that config.toml of a run stands for.  Errors: there is none, or it was changed.
TrainCommand stored_command(const RunDirectory&);

/// A device by name; its precision is that of the training.
/// Errors: runtime/device.h; bf16 on a device that has none.
Device device_named(const std::string& name, const std::string& precision);
inline Device device_named(const std::string& name, const TrainCommand& command) {
  return device_named(name, command.precision);
}
inline Device device_named(const std::string& name, const RunDirectory& folder) {
  return device_named(name, stored_command(folder));
}

/// The bytes that --data-memory gives; nothing for auto.
std::optional<std::size_t> data_memory(const TrainCommand&);

/// What the words mean for a training on so many data.
TrainingOptions training_options(const TrainCommand&, long rows);

int run(const TrainCommand&);
int run(const EvaluateCommand&);
int run(const EncodeCommand&);
int run(const DecodeCommand&);
int run(const ReconstructCommand&);
int run(const SampleCommand&);
int run(const InfoCommand&);
int run(const CertifyCommand&);
int run(const BenchCommand&);

}  // namespace elbo
