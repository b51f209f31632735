#pragma once
#include <optional>
#include <string>

#include "models/trainer.h"

namespace elbo {

/// What a training says on standard error: on a terminal one line that is written anew; elsewhere
/// one line an epoch; nothing where it is to be quiet.
class ProgressLine {
 public:
  /// bound: what a bound other than the ELBO is called.
  ProgressLine(int epochs, long rows, bool variational, std::string bound = "IWAE",
               bool quiet = false);

  /// In epoch `epoch` (from 1), after `seconds` that went into `seen` data.
  void within(int epoch, const Means&, long seen, double seconds);
  void after(int epoch, const Means&, const std::optional<Means>& valid, double data_per_second);
  /// Ends the line, so that something else can be written.
  void end();

 private:
  std::string means(const Means&) const;
  void rewrite(int epoch, long position, const std::string& figures);

  int epochs_;
  long rows_;
  bool variational_, quiet_, terminal_, open_ = false;
  std::string bound_;
};

/// 41200 → 41.2k
std::string short_count(double);
/// 75 → 1 min 15 s
std::string duration(double seconds);

}  // namespace elbo
