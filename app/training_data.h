#pragma once
#include <optional>

#include "app/train_command.h"

namespace elbo {

struct TrainingData {
  Dataset train;
  std::optional<Dataset> valid;
  int with_columns = 0;  // of the second domain; 0: there is one
};

/// A file's data as the config's likelihoods take them; unless `with` is empty, with that file's
/// beside them (data/domains.h), of so many columns.
struct Domains {
  Dataset data;
  int with_columns = 0;
};
Domains read_domains(const ModelConfig&, const std::string& data, const std::string& with,
                     const TrainingHost& = {});

/// The fraction of DATA that --valid holds out; nothing where it names data, or is not given.
std::optional<double> held_out_fraction(const TrainCommand&);

/// What a training trains on and what it validates on: parts of DATA, or data of their own.
TrainingData read_training_data(const TrainCommand&, const TrainingHost& = {});

/// e to the mean log of the data's totals over so many columns: the size of a datum like these.
/// Rows in which all of that is missing have none.
double typical_total(const Dataset&, int first, int columns);

/// The smallest and the largest value that is there.
std::pair<double, double> extremes(const Dataset&);

/// "1 of 6 entries are missing; ..." and a line feed; empty if none is.
std::string missing_line(long missing, long entries);

}  // namespace elbo
