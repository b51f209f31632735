#pragma once
#include <string>
#include <vector>

#include "models/trainer.h"

namespace elbo {

/// A training whose speed is measured.  compare_pytorch.py has the same cases by the same numbers.
struct Case {
  int number;
  std::string name;
  ModelConfig model;
  int batch;
  long rows;                              // of its data (bench/synthetic.h)
  Precision precision = Precision::tf32;  // of products on a GPU, where no other is asked for
  int samples = 1;                        // draws a datum; above 1 the bound is IWAE's
  bool epoch = false;                     // whole epochs are timed, their shuffles with them

  /// As the trainer runs it: Adam, rate 1e-3.
  TrainingOptions options() const;
};

/// Errors: no case of that number.
const Case& training_case(int number);
const std::vector<Case>& training_cases();

}  // namespace elbo
