#pragma once
#include <variant>
#include <vector>

#include "kernels/ops/aggregate.h"
#include "kernels/ops/columns.h"
#include "kernels/ops/corrupt.h"
#include "kernels/ops/dense.h"
#include "kernels/ops/dropout.h"
#include "kernels/ops/experts.h"
#include "kernels/ops/gather.h"
#include "kernels/ops/group_sum.h"
#include "kernels/ops/importance.h"
#include "kernels/ops/latent.h"
#include "kernels/ops/normalise.h"
#include "kernels/ops/observe_rates.h"
#include "kernels/ops/pointwise.h"
#include "kernels/ops/rates.h"
#include "kernels/ops/reconstruction.h"
#include "kernels/ops/reduce.h"
#include "kernels/ops/transform.h"
#include "kernels/ops/update.h"

namespace elbo {

/// What may follow a product while its numbers are still on chip.
using Epilogue =
    std::variant<Store, BiasActivate, ActivationGradient, SampleLatent, LatentGradient, Observe>;

/// An epilogue as an operation of its own, on the numbers stored in its `in`: the definition that
/// the fused form is tested against.
struct Apply {
  Epilogue epilogue;
  void views(auto&& visit) {
    std::visit([&](auto& e) { e.views(visit); }, epilogue);
  }
};

/// a b (forward: x Wᵀ, b_transposed;  backward: dy W), and then an epilogue that takes the numbers
/// instead of reading its `in`.  a [M,N']  b [N',N], or b [N,N'] if b_transposed.  With a gather,
/// a is gather.out: the product takes it from the data set, and leaves it there for others.
struct Product {
  Matrix a, b;
  bool b_transposed = false;
  Epilogue epilogue;
  Gather gather{};
  // Where not 0, each number of a is that times a whole number from 0 to 256, rounded.
  Real unit = 0;
  Lists lists{};  // where present, a is these, and has no memory of its own

  bool gathers() const { return gather.source.columns > 0; }

  int rows() const { return a.rows; }
  int columns() const { return b_transposed ? b.rows : b.columns; }
  int depth() const { return a.columns; }
  void views(auto&& visit) {
    Matrix& left = lists.present() ? lists.memory : a;
    visit(left, gathers() ? Access::write : Access::read), visit(b, Access::read);
    if (gathers()) (lists.present() ? gather.lists.memory : gather.out) = left;
    std::visit([&](auto& e) { e.views(visit); }, epilogue);
  }
};

/// Products one after the other, each one's left factor being what the one before left of the same
/// rows: a block keeps its rows and goes through all of them.
struct Chain {
  static constexpr int most = 4, widest = 256;  // links; columns of each
  std::vector<Product> links;
  void views(auto&& visit) {
    for (Product& link : links) link.views(visit);
  }
};

/// The numbers that a decoder gives (theta), counts under them, and what their score comes to
/// before the decoder's last layer: the same rows go through all three while they are in cache.
/// theta is rates.theta, and the result of `decode`, and has no memory: nobody else reads it.
struct DecodeRates {
  Product decode;
  ObserveRates rates;
  Product back;  // of rates.observe.score

  int rows() const { return decode.rows(); }
  void views(auto&& visit) {
    const int theta = rates.rates.theta.tensor;
    const auto others = [&](Matrix& m, Access access) {
      if (m.tensor != theta) visit(m, access);
    };
    decode.views(others), rates.views(others), back.views(others);
  }
};

/// Every operation.  A program is a list of these.
using Operation =
    std::variant<Gather, Product, Apply, WeightGradients, ColumnSum, RowSum, Fill, Add, Multiply,
                 Pointwise, Drop, ColumnMoments, NormaliseColumns, NormaliseColumnsGradient,
                 CentreSlopes, NormaliseRows, NormaliseRowsGradient, SumSlopes, LogTotals, Corrupt,
                 Join, Columns, CountPresent, Experts, ExpertsGradient, Rates, RatesGradient,
                 ObserveRates, DecodeRates, Transform, Chain, Objective, HoldSpread, SampleMany,
                 SampleManyGradient, ImportanceBound, UnitKl, FreeBits, AggregatePosterior,
                 UpdateAll, ClipScale, GroupSum, Advance>;

}  // namespace elbo
