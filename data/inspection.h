#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// The smallest, middle and largest of some numbers.
struct Extent {
  double least = 0, median = 0, most = 0;
};

/// What a data set is, as far as its numbers tell.  A share is of the entries that are there.
struct Inspection {
  long rows = 0;
  int columns = 0;
  long missing = 0;
  double least = 0, most = 0;
  bool whole = false;          // all numbers are whole
  double zeros = 0, ones = 0;  // shares
  int one_hot = 0;            // K: each row is groups of K columns, of which one is 1; 0: it is not
  std::vector<int> constant;  // columns of one value only
  std::vector<int>
      few_values;         // columns of whole numbers that span at most 20, where others do not
  long duplicates = 0;    // rows that equal an earlier one
  double dispersion = 0;  // Σ variance / Σ mean, of columns with a mean above 0
  double excess = 0;      // median over columns of the excess kurtosis
  double deviations = 0;  // largest / smallest standard deviation of a column
  Extent totals;          // of the rows' sums
  double variance = 0;    // summed over columns
};

/// Variances are of the population (over N); columns without variance have no part in medians.
Inspection inspect(const Dataset&);

/// How much of the data is the size of its rows.
struct SizeEffect {
  double correlation = 0;  // |r| of the first principal component and the rows' sizes
  double share = 0;        // of the variance: what the rows' means carry
};

/// Of log(1 + x) and log(1 + total) where `counts`, else of x and its mean over what is there.  To
/// the component, what is missing is at its column's mean.
SizeEffect size_effect(const Dataset&, bool counts);

/// The eigenvalues of the columns' covariance (over N), descending; what is missing is at its
/// column's mean.
///
/// A linear VAE with a Gaussian of variance s² and a KL weighted by β keeps as many latent units as
/// there are eigenvalues above β s²: Lucas, Tucker, Grosse & Norouzi, Don't Blame the ELBO! (2019);
/// Tipping & Bishop (1999).
std::vector<double> covariance_spectrum(const Dataset&);

}  // namespace elbo
