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

/// metrics.jsonl and metrics.csv, a line for each epoch.
class MetricsFiles {
 public:
  explicit MetricsFiles(const RunDirectory& folder) : folder_(folder) {}
  /// Makes both anew from these lines.
  void rewrite(const std::vector<std::string>& lines) const;
  void append(const std::string& line) const;

 private:
  RunDirectory folder_;
};

}  // namespace elbo
