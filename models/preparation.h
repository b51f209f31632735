#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// What is done to data before a model sees them, and undone in what comes out of it.
///
/// In this order, the first and the last only where asked for; missing entries stay missing:
///     log1p               x → log(1 + x)
///     centre rows         x_c → x_c - mean of the row's entries that are there: takes what all of
///                         a row have in common, a factor, out of its logarithms.  Not undone: what
///                         comes out is a row whose mean is 0
///     standardise         x_c → (x_c - m_c) / s_c, the mean and deviation of the training data, of
///                         each column (columns) or of all entries (all); s = 1 where constant
///
/// A density changes by the volume: log p(x) = log p'(x') + log |dx'/dx| with
///     log |dx'/dx| = -Σ_c log s_c - Σ_c log(1 + x_c), the last only with log1p,
/// over the entries that are there.  Centred rows lie in fewer dimensions and have no such change.
struct Preparation {
  bool log1p = false;
  std::string centre = "none";       // none | rows
  std::string standardise = "none";  // none | columns | all
  std::vector<double> mean, scale;   // learnt: one a column, one in all, or none

  bool any() const { return log1p || centre != "none" || standardise != "none"; }
  bool operator==(const Preparation&) const = default;

  /// Errors: a word that is none of the above.
  void require_words() const;
  /// Takes mean and scale from data as they were read.  Errors: those of apply.
  void learn(const Dataset&);
  /// Data become f32, or stay lists where zeros stay 0.
  /// Errors: log1p of a number that is not above -1, infinity, by row and column; another number of
  /// columns than was learnt.
  void apply(Dataset&) const;
  /// Back from prepared numbers [rows, columns], but for the means of centred rows.
  void undo(std::vector<float>&, int columns) const;

  /// Σ_c log s_c of a row of which nothing is missing.
  double log_scales(int columns) const;
  /// The mean over data, as they were read, of log |dx'/dx|; nothing where rows are centred.
  std::optional<double> log_volume(const Dataset&) const;
  /// How to come from log p'(x') to log p(x), as a formula.
  std::string own_units(int columns) const;
};

}  // namespace elbo
