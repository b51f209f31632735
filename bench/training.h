#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/batches.h"
#include "runtime/step.h"

namespace elbo {

/// A training whose speed is measured.  compare_pytorch.py has the same cases by the same numbers.
struct Case {
  int number;
  std::string name;
  ModelConfig model;
  int batch;
};

/// Errors: no case of that number.
const Case& training_case(int number);
const std::vector<Case>& training_cases();

/// A case as the trainer would run it, on bytes drawn at random in place of images.
class Training {
 public:
  struct Options {
    Program::Plan plan = Program::Plan::fused;
    Real rate = Real(1e-3);  // 0: the weights stay as they are, whatever is run how often
    Real clip = 0;
  };
  Training(const Device&, const Case&, Options);
  Training(const Training&) = delete;

  /// Runs so many steps, beginning again at the first datum after the last.
  void run(int steps);
  /// Puts the place in the data back to the first.
  void rewind();

  const Program& program() const { return step_->program(); }
  long parameters() const;

 private:
  int batch_;
  std::uint64_t taken_ = 0;
  std::unique_ptr<Batches> batches_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<DeviceArray<double>> totals_;
  std::unique_ptr<Step> step_;
};

}  // namespace elbo
