#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/data_facts.h"
#include "app/train_command.h"
#include "models/evaluation.h"

namespace elbo {

/// All that the report of a training tells.
struct Report {
  TrainCommand command;
  StoredModel model;
  std::vector<std::string> history;                        // lines of metrics.jsonl
  int epoch = 0;                                           // that the model is of, from 1
  std::string ending;                                      // why the training ended, or nothing
  std::string diagnosis;                                   // of its latent units
  Dataset data;                                            // those shown
  Encoded latents;                                         // of the same
  std::string shown;                                       // which data those are
  std::string sections;                                    // report_sections.h
  std::vector<std::pair<std::string, std::string>> facts;  // of the training data, data_facts.h
  std::optional<Advice> advice;                            // of the same; of two views none
  std::string device;
  long parameters = 0, rows = 0, valid_rows = 0;
};

/// Writes report.html: one file that needs no network.  The grids are taken from the run's PNG.
void write_report(const RunDirectory&, const Report&);

}  // namespace elbo
