#pragma once
#include <array>
#include <variant>
#include <vector>

#include "kernels/operations.h"
#include "runtime/tensor.h"

namespace elbo {

class Program;

// The tape: one entry for each differentiable call, as data.  differentiate() appends the
// operations of its derivative to the program; nothing is computed.

struct DenseCall {
  Tensor x, weight, bias, pre, y;
  Activation activation;
};
struct LatentCall {
  Tensor q, z, kl;  // z is empty if only the KL was asked for
  Noise noise;
  Tensor unit_kl{}, floored{};  // of free bits
  Real floor = 0;
};
struct HoldSpreadCall {
  Tensor q, out;
};
struct SampleManyCall {
  Tensor q, z, log_ratio;
  Noise noise;
  bool doubly;
};
struct ImportanceCall {
  Tensor log_p, log_ratio, bound;
  int samples;
};
struct LogProbCall {
  Tensor x, theta, side, terms;
  Likelihood law;
  int repeat;
};
/// A normalisation over the batch's rows (training), by running estimates, or of each row.
struct NormCall {
  enum class Of { batch, estimates, row };
  Of of;
  Tensor x, gamma, beta, mean, inverse, y;
  Activation activation;
  DropoutMask mask;
  Tensor parts{};  // the moments that several processes have of their rows of the batch
};
struct DropCall {
  Tensor x, y;
  DropoutMask mask;
};
struct JoinCall {
  Tensor a, b, out;
};
struct ExpertsCall {
  Tensor a, b, there_a, there_b, out;
};
struct RatesCall {
  Tensor theta, log_sum, out;
  int parameters;
  bool softmax;
};
struct AddCall {
  Tensor a, b, out;
  Real alpha, beta;
};
struct MultiplyCall {
  Tensor a, b, out;
};
struct PointwiseCall {
  Tensor x, out;
  Function function;
};
struct RowSumCall {
  Tensor x, out;
};
struct ObjectiveCall {
  std::vector<Tensor> terms;
  std::vector<Scale> weights;
  Tensor loss;
};

using Call = std::variant<DenseCall, LatentCall, HoldSpreadCall, SampleManyCall, ImportanceCall,
                          LogProbCall, NormCall, DropCall, JoinCall, ExpertsCall, RatesCall,
                          AddCall, MultiplyCall, PointwiseCall, RowSumCall, ObjectiveCall>;
using Tape = std::vector<Call>;

/// Appends the operations that compute d(loss)/d(t) for every tracked tensor t that loss depends
/// on, added to what an earlier call left in t.gradient(); then the tape is empty.
/// Errors: loss is not an objective of the program that is being recorded.
void backward(const Tensor& loss);

}  // namespace elbo
