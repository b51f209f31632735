#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "elbo/version.h"
#include "models/model.h"
#include "models/trainer.h"
#include "nn/safetensors.h"

namespace elbo {

/// What a model's config.json says beside the config: the shape of an image; 0: not images.
struct StoredModel {
  ModelConfig config;
  int image_height = 0, image_width = 0;
};

/// Where a training stands.  Weights and moments stand beside it in the file.
struct Checkpoint {
  std::uint32_t epochs_done = 0;
  std::uint64_t steps = 0;
  std::uint32_t position = 0;            // data of the running epoch already used
  std::vector<double> totals;            // sums of the running epoch
  double seconds = 0;                    // of the running epoch so far
  std::string data_hash, settings;       // the settings as JSON
  std::vector<std::string> history;      // a line of JSON for each epoch done
  std::optional<Multiplier> multiplier;  // of a budget
  std::optional<std::size_t> streamed;   // Batches::streamed, on which the order depends
  std::string choices;                   // Backend::choices, on which the bits of products depend
  int halvings = 0;                      // of the learning rate, after losses that were not finite
  std::map<std::string, SafeTensors::Array>
      best;  // the weights of the best epoch, if they are kept
};

/// The weights as a file has them.
std::map<std::string, SafeTensors::Array> weights_of(const std::vector<Parameter>&);

/// The folder of a training, and its files.
class RunDirectory {
 public:
  static constexpr const char* config_toml = "config.toml";
  static constexpr const char* config_json = "config.json";
  static constexpr const char* weights = "model.safetensors";
  static constexpr const char* checkpoint = "checkpoint/state.safetensors";
  static constexpr const char* metrics_jsonl = "metrics.jsonl";
  static constexpr const char* metrics_csv = "metrics.csv";
  static constexpr const char* samples = "samples.png";
  static constexpr const char* reconstructions = "reconstructions.png";
  static constexpr const char* report = "report.html";
  static constexpr const char* events = "tensorboard/events.out.tfevents.";  // and what follows
  static constexpr const char* event = "blackbox/event.json";
  static constexpr const char* event_batch = "blackbox/batch.npy";
  static constexpr const char* event_state = "blackbox/state.safetensors";

  explicit RunDirectory(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path path(const char* name) const { return folder_ / name; }
  bool has(const char* name) const { return std::filesystem::exists(path(name)); }

  /// Errors: the folder holds something, or is a file.
  void require_empty() const;
  /// Makes the folder, or removes the files above from it, and no others.
  void clear() const;
  /// Those that there are of `events`.
  std::vector<std::filesystem::path> event_files() const;
  /// Removes what killed trainings left of such files under temporary names.
  void remove_leftovers() const;

  void save(const StoredModel&) const;
  StoredModel stored_model() const;
  /// model.safetensors, in PyTorch's layout, under the parameters' names.
  void save(const Model&) const;
  /// The trained model.  Errors: no run, not trained to its end, a file that does not fit.
  Model load_model(const Device&) const;

  /// Writes `checkpoint`, or another file of that kind.
  /// Errors: NotFinite: a weight or moment that is, before anything is written.
  void save(const Checkpoint&, const Optimizer&, const char* file = checkpoint) const;
  Checkpoint load_checkpoint(const std::string& file = checkpoint) const;
  /// Errors: arrays that do not fit the parameters.
  void restore(const Optimizer&, const std::string& file = checkpoint) const;
  /// Keeps the checkpoint as it is now as that of an epoch, and of all so kept the last `most`.
  void keep_checkpoint(int epoch, int most) const;
  /// The name of the checkpoint that is kept of an epoch.  Errors: there is none, naming those
  /// that are.
  std::string kept_checkpoint(int epoch) const;
  /// The epochs of which checkpoints are kept, ascending.
  std::vector<int> kept_epochs() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace elbo
