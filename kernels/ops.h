#pragma once
#include <memory>

#include "kernels/operations.h"

namespace elbo {

/// The numbers that the products multiply; sums, losses and weights stay in Real.
enum class Precision { fp32, tf32, bf16 };

struct LargeProducts;  // kernels/large_products.h

/// A step's operations as one launch that runs them many times (kernels/cuda/persistent.cuh).
struct Phases {
  virtual ~Phases() = default;
  /// What the launch needs in device memory.
  virtual const void* data() const = 0;
  virtual std::size_t bytes() const = 0;
  /// Whether the device can run them by all blocks that it holds at once, and as one cluster.
  virtual bool grids() const = 0;
  virtual bool clusters() const = 0;
  /// Runs the step so many times.  `table` holds those bytes, `arrived` is a counter that was 0
  /// before the first call; both lie on the device, and are this step's alone.  Where `arrived` is
  /// null, the blocks of the launch are one cluster.
  virtual void run(const void* table, unsigned* arrived, int steps) = 0;
};

/// Every operation of the library on one device, in the order of its calls.
struct Ops {
  virtual ~Ops() = default;
  virtual void run(const Gather&) const = 0;
  virtual void run(const Product&) const = 0;
  virtual void run(const Apply&) const = 0;
  virtual void run(const WeightGradients&) const = 0;
  virtual void run(const ColumnSum&) const = 0;
  virtual void run(const RowSum&) const = 0;
  virtual void run(const Fill&) const = 0;
  virtual void run(const Add&) const = 0;
  virtual void run(const Multiply&) const = 0;
  virtual void run(const Pointwise&) const = 0;
  virtual void run(const Drop&) const = 0;
  virtual void run(const ColumnMoments&) const = 0;
  virtual void run(const NormaliseColumns&) const = 0;
  virtual void run(const NormaliseColumnsGradient&) const = 0;
  virtual void run(const CentreSlopes&) const = 0;
  virtual void run(const NormaliseRows&) const = 0;
  virtual void run(const NormaliseRowsGradient&) const = 0;
  virtual void run(const SumSlopes&) const = 0;
  virtual void run(const LogTotals&) const = 0;
  virtual void run(const Corrupt&) const = 0;
  virtual void run(const Join&) const = 0;
  virtual void run(const Columns&) const = 0;
  virtual void run(const CountPresent&) const = 0;
  virtual void run(const Experts&) const = 0;
  virtual void run(const ExpertsGradient&) const = 0;
  virtual void run(const Rates&) const = 0;
  virtual void run(const RatesGradient&) const = 0;
  virtual void run(const ObserveRates&) const = 0;
  virtual void run(const DecodeRates&) const = 0;
  virtual void run(const Chain&) const = 0;
  virtual void run(const Transform&) const = 0;
  virtual void run(const Objective&) const = 0;
  virtual void run(const HoldSpread&) const = 0;
  virtual void run(const SampleMany&) const = 0;
  virtual void run(const AggregatePosterior&) const = 0;
  virtual void run(const SampleManyGradient&) const = 0;
  virtual void run(const ImportanceBound&) const = 0;
  virtual void run(const UnitKl&) const = 0;
  virtual void run(const FreeBits&) const = 0;
  virtual void run(const UpdateAll&) const = 0;
  virtual void run(const ClipScale&) const = 0;
  virtual void run(const GroupSum&) const = 0;
  virtual void run(const Advance&) const = 0;

  /// Null where the device knows no such launch, or an operation cannot be part of it: the first
  /// such is then `refused`.
  virtual std::unique_ptr<Phases> phases(const std::vector<Operation>&, int& refused) const = 0;

  /// How many partial sums a row's terms come in when the epilogue of such a product emits them.
  virtual int term_columns(const Product&) const = 0;
  /// How many rows' side scores ObserveRates may add up to one row, where nobody asks but for their
  /// sum: rows r · n … r · n + n - 1 to row r.  1: it cannot.
  virtual int summed_rows() const = 0;
  /// Up to which share of entries that are not 0 products gain by going through lists (Lists); 0:
  /// it has none.
  virtual Real lists_up_to() const = 0;
  /// Whether it runs DecodeRates, and from how many rows on that gains; 0: it does not.
  virtual int decodes_rates() const = 0;
  /// Whether products that follow each other gain by being one operation (Chain).
  virtual bool chains() const = 0;
};

std::unique_ptr<Ops> cpu_ops();
/// The largest products go to a library where there is one.
std::unique_ptr<Ops> simt_ops(Precision, std::shared_ptr<LargeProducts> = nullptr);
std::unique_ptr<Ops> cuda_ops(Precision, void* stream, std::shared_ptr<LargeProducts> = nullptr);

/// By cuBLASLt, opened when the first product is large enough for it (tiling::takes_library); where
/// it is not installed, none is.
std::shared_ptr<LargeProducts> cublaslt_products(Precision, void* stream);

}  // namespace elbo
