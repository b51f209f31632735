#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "app/command_line.h"
#include "models/run_directory.h"

namespace elbo {

/// What `elbo train` is asked for, with the defaults that its help shows.
struct TrainCommand {
  std::string data, valid, out, config, preset;
  std::string with, with_valid;  // the second domain's data
  ModelConfig model;
  std::string objective = "elbo", gradient = "standard";
  int samples = 1;  // draws a datum
  double beta = 1;
  int beta_warmup = 0;  // epochs
  int beta_cycles = 0;
  double free_bits = 0;
  double rate_budget = 0;       // nats of KL; 0: none
  std::string target = "none";  // --target-distortion, in nats of -log-likelihood
  std::string target_error =
      "none";  // the same as a squared error, of a Gaussian with a known scale
  std::string corrupt = "none";
  int epochs = 10, batch = 128;
  double rate = 1e-3;
  std::string rate_schedule = "constant", optimizer = "adam";
  double clip = 0;
  std::uint64_t seed = 0;
  std::string device = "auto", precision = "tf32", tier = "auto", data_memory = "auto";
  bool best = false;                   // keep the best epoch's model
  int patience = 0;                    // epochs without a better one; 0: any number
  int checkpoint_every = 0, keep = 3;  // epochs; so many of those checkpoints
  int recover = 0;                     // times to go back when a loss is not finite
  int from_epoch = 0;                  // of a kept checkpoint to resume from; 0: the last
  bool tensorboard = false;
  bool resume = false, force = false;
  std::string line;  // the command as it was typed, for the report
};

/// Adds the options to an app of the command line; finish_train(app, ...) is to follow its parsing.
/// A flag goes before the config file, the file before the config of the run that is resumed, that
/// before the defaults.
void add_train_options(CLI::App*, TrainCommand&);
/// Errors: UsageError.
void finish_train(CLI::App*, TrainCommand&);

/// What decides a training, by the names of the flags; config.toml and the checkpoint hold it.
nlohmann::ordered_json settings(const TrainCommand&);

/// The command that config.toml of a run stands for.  Errors: there is none, or it was changed.
TrainCommand stored_command(const RunDirectory&);

/// A device by name; its precision is that of the training.
inline Device device_named(const std::string& name, const TrainCommand& command) {
  return device_named(name, command.precision);
}
inline Device device_named(const std::string& name, const RunDirectory& folder) {
  return device_named(name, stored_command(folder));
}

/// The bytes that --data-memory gives; nothing for auto.
std::optional<std::size_t> data_memory(const TrainCommand&);

/// What the words mean for a training of that model on so many data.
TrainingOptions training_options(const TrainCommand&, const ModelConfig&, long rows);

/// What gaussian:SIGMA, mask:P or salt:P says; nothing for another word.
std::optional<Corruption> corruption_of(const std::string&);
/// A word for that, or none.
CLI::Validator corruption_or_none();

/// What a program that trains gives in place of what the executable has.
struct TrainingHost {
  std::function<Dataset(const std::string&)> read = read_dataset;  // what the command names
  /// The signal that is to stop the training, or 0; asked a few times a second.  Nothing: Ctrl-C
  /// and SIGTERM are watched for.
  std::function<int()> interrupted = {};
  bool quiet = false;      // nothing goes to standard output and error
  Group* group = nullptr;  // processes that train together, if there are several
  int place = 0;           // of this one among those of its machine: which GPU it takes
};

/// 0, or 128 and the signal that stopped it.
int run(const TrainCommand&, const TrainingHost& = {});

}  // namespace elbo
