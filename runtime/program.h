#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/operations.h"
#include "runtime/autograd.h"
#include "runtime/tensor.h"

namespace elbo {

/// The processes that run a program together, each on its rows of every batch: what is of a whole
/// batch is summed over them (GroupSum).
struct Together {
  GroupSums* sums = nullptr;  // null: one process runs it
  int process = 0, processes = 1;
  Real share = 1;  // of a batch's rows that this process has; 0: the rows it has count for nothing
};

/// A list of operations on one device, and the transient tensors they make.
///
/// Functions on tensors append to the program that is current on their thread: that of the Step
/// being recorded, else the thread's own, which runs whenever a number of it is read.
class Program {
 public:
  /// How a list is run: fused; fused but for chains of products, as a persistent kernel wants it;
  /// or operation by operation as it was recorded (for comparison).
  enum class Plan { fused, unchained, composed };

  explicit Program(Device device, const Together& together = {})
      : together(together), device_(std::move(device)) {}

  static Program& current(const Device&);
  static bool recording();

  const Device& device() const { return device_; }
  void add(Operation operation) { operations.push_back(std::move(operation)); }
  std::shared_ptr<Storage> transient(Shape);
  /// An operand that has memory already lives as long as the operations that use it.
  const Matrix& use(const Tensor&);

  /// Rewrites the list (runtime/planner.h) and gives every transient tensor its place.  A tensor
  /// that somebody still holds keeps its numbers; the others exist only if an operation needs them.
  /// `phased`: a list that gains as phases of one kernel stays unchained; returns whether it does.
  bool plan(Plan, bool phased = false);
  void run() const { run(0, operations.size()); }
  /// The operations first … last - 1 of it.
  void run(std::size_t first, std::size_t last) const;
  /// run(), one operation after the other: the seconds that each took.
  std::vector<double> run_timed() const;

  /// A number that is not finite, where an operation left it.
  struct NonFinite {
    int operation = 0;
    Matrix matrix;
    int row = 0, column = 0;
    double value = 0;
  };
  /// run(), one operation after the other, reading all that each one writes: stops after the first
  /// that leaves a number which is not finite.  Data are not looked at: NaN is missing there.
  std::optional<NonFinite> run_watched() const;

  /// One line per operation, as `elbo info --plan` prints it.
  std::string describe() const;
  std::string describe(int operation) const;

  const Together together;
  std::vector<Operation> operations;
  Tape tape;                                        // what backward() will walk
  std::map<int, std::shared_ptr<Storage>> tensors;  // the transient ones, by Matrix::tensor
  std::vector<std::shared_ptr<Storage>> operands;   // the others

  /// While it lives, functions on this thread append to the given program.
  class Recording {
   public:
    explicit Recording(Program&);
    ~Recording();
    Recording(const Recording&) = delete;

   private:
    Program* outer_;
  };

 private:
  Device device_;
};

/// Runs what this thread has recorded outside a Step.
void flush(const Device&);

}  // namespace elbo
