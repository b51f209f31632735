#pragma once
#include <string>

#include "models/model.h"

namespace elbo {

/// A trained model for other runtimes, in the ONNX format (nn/onnx.h); N is any number of rows.
///
///     encoder   x [N,C] in the data's own units, NaN where missing  →  mean [N,D] and, of a
///               variational model, log_variance [N,D]
///     decoder   z [N,D]  →  parameters [N,K,C], the law's raw numbers by the names of the metadata
///               entry `parameters`, and x [N,C], E[x] in the data's own units
///
/// A model that is told conditions takes them as `given` [N,G] besides, coded as in
/// models/condition.h.  Counts whose rates are relative to a datum's total take its logarithm as
/// `log_total` [N,1] in the decoder; where it is not given, the total is the training data's usual
/// one.  Preparation is part of both files.  Levels and classes are whole numbers 0, 1, …
///
/// Both equal the model to rounding.  Errors: the model has two domains.
struct OnnxFiles {
  std::string encoder, decoder;
};
OnnxFiles to_onnx(const Model&);

}  // namespace elbo
