#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/run_directory.h"

namespace elbo {

/// What is known after an epoch.
struct EpochMetrics {
  std::uint32_t epoch = 0;  // from 1
  Means train;
  std::optional<Means> valid;
  double beta = 1, rate = 0, data_per_second = 0, seconds = 0;
};

/// One JSON object; the ELBO and KL of an autoencoder are null.
std::string to_line(const EpochMetrics&, bool variational);

/// metrics.jsonl and metrics.csv, a line for each epoch; with `tensorboard` also the same numbers
/// as TensorBoard reads them (event_file.h), as train/elbo, valid/elbo, schedule/beta,
/// speed/seconds.
class MetricsFiles {
 public:
  MetricsFiles(const RunDirectory& folder, bool tensorboard)
      : folder_(folder), tensorboard_(tensorboard) {}
  /// Makes all anew from these lines; before any is appended.
  void rewrite(const std::vector<std::string>& lines);
  void append(const std::string& line) const;

 private:
  void rewrite_events(const std::vector<std::string>& lines);

  RunDirectory folder_;
  bool tensorboard_;
  std::string events_;  // the file of events
};

}  // namespace elbo
