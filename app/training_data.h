#pragma once
#include <optional>

#include "app/train_command.h"

namespace elbo {

struct TrainingData {
  Dataset train;
  std::optional<Dataset> valid;
};

/// The fraction of DATA that --valid holds out; nothing where it names data, or is not given.
std::optional<double> held_out_fraction(const TrainCommand&);

/// What a training trains on and what it validates on: parts of DATA, or data of their own.
TrainingData read_training_data(const TrainCommand&);

/// e to the mean log of the data's totals: the size of a datum like these.
double typical_total(const Dataset&);

/// The smallest and the largest value that is there.
std::pair<double, double> extremes(const Dataset&);

/// "1 of 6 entries are missing; ..." and a line feed; empty if none is.
std::string missing_line(long missing, long entries);

}  // namespace elbo
