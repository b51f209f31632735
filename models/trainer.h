#pragma once
#include <functional>
#include <optional>

#include "models/iwae.h"
#include "models/model.h"
#include "nn/batches.h"
#include "runtime/error.h"
#include "runtime/group.h"
#include "runtime/outcomes.h"
#include "runtime/step.h"

namespace elbo {

/// What is maximised: the evidence lower bound, or the importance-weighted one (models/iwae.h).
enum class Bound { elbo, iwae };

/// A bound on one of the two terms, in nats per datum: the weight β of the other's rival is found
/// so that the mean comes to stand at it (Ascent in kernels/ops/reduce.h).
struct Budget {
  Ascent::Bounds bounds = Ascent::Bounds::rate;
  double nats = 0;     // rate: the most that the KL may be; distortion: the most -log-likelihood
  double rate = 0.01;  // of the ascent, a step; it follows the learning rate's schedule
};

/// How a model is trained.
struct TrainingOptions {
  int batch = 128;
  int epochs = 10;
  Schedule rate = Constant{Real(1e-3)};
  Bound bound = Bound::elbo;
  int samples = 1;                         // draws a datum; the ELBO averages over them
  Gradient gradient = Gradient::standard;  // of the posterior under iwae
  Schedule beta = Constant{1};             // the weight of the KL term; of a bound that the model
                                           // adds up (two domains), its first value
  std::optional<Budget> budget = {};       // finds that weight instead; it starts at beta's
  std::optional<Corruption> corruption{};  // of what the encoder sees: a denoising model
  Real free_bits = 0;                      // nats of KL that each latent unit has free
  UpdateRule rule = Adam{};
  Real clip = 0;  // largest norm of all gradients together; 0: not limited
  std::uint64_t seed = 0;
  Tier tier = Tier::automatic;  // how a GPU launches the steps (runtime/step.h)
  Program::Plan plan = Program::Plan::fused;
  /// Of N processes with the same data and options, process n takes rows nB/N … (n + 1)B/N - 1 of a
  /// batch of B, and all take the step of the summed gradients: that of one process, but for the
  /// order of sums.  It outlives the trainer; null: there is one process.
  Group* group = nullptr;
  GroupSums* sums = nullptr;  // how it adds up what lies on devices; null: SumsByHost
};

/// Means over data, in nats per datum, unweighted: elbo = log_likelihood - kl.
struct Means {
  double elbo = 0, log_likelihood = 0, kl = 0;
  long count = 0;
  std::optional<double> bound{};  // where another bound than elbo is trained
};

/// A loss or a weight that stopped being a number.
struct NotFinite : Error {
  using Error::Error;
};

/// Where a step first left the finite numbers.
struct NonFinite {
  std::uint64_t step = 0;            // from 1
  std::uint32_t epoch = 0;           // from 1
  std::string operation;             // as the plan describes it
  std::string layer;                 // the parameters that it reads or changes, if any
  int row = 0, column = 0;           // in what it left
  double value = 0;                  // NaN or an infinity
  std::optional<long> datum;         // of that row, from 0; nothing where it is not of one datum
  std::vector<std::uint32_t> batch;  // the data of the step

  /// All of that in a sentence.
  std::string sentence() const;
};

/// What a datum was in a step, worked out again from the state before it.
struct Replayed {
  std::uint64_t step = 0;   // from 1
  std::uint32_t epoch = 0;  // from 1
  long datum = 0;           // from 0
  int row = 0;              // of the batch
  std::vector<Real> x;      // as the likelihood takes it
  /// Of each of the D units and S draws [S,D], those of one draw together; empty without a
  /// posterior, or where the model has more than one encoder.
  std::vector<double> mean, deviation, noise, z;
  double log_likelihood = 0, kl = 0, loss = 0;            // nats; the loss with its weights
  std::vector<std::pair<std::string, double>> gradients;  // Euclidean norms, of the loss above
};

/// Trains any model: something that maps a batch and how it is run to the terms of the bound.
///
/// The step is recorded and planned once a batch size: the last batch of an epoch may be smaller,
/// or larger by a datum that would be left alone, of which a batch norm could make nothing; nothing
/// of it passes through the host, but in a group what its GroupSums take there.
class Trainer {
 public:
  using Function = std::function<Terms(const Tensor& x, const Pass&)>;
  using Encoder = std::function<Tensor(const Tensor& x, const Pass&)>;

  /// Errors: options out of range; in a group a batch of fewer data than processes.
  Trainer(Function model, std::vector<Parameter>, Batches&, const TrainingOptions&);
  /// A module (nn/module.h) with such a call operator; it must outlive the trainer.
  template <class M>
  Trainer(M& model, Batches& batches, const TrainingOptions& options)
      : Trainer(terms_of(model, options), elbo::parameters(model), batches, options) {}

  /// The terms that the options' bound takes from a model.
  /// Errors: iwae of a model that does not encode and decode.
  template <class M>
  static Function terms_of(const M& model, const TrainingOptions& options) {
    if (options.bound == Bound::elbo)
      return [&model](const Tensor& x, const Pass& pass) { return model(x, pass); };
    const Gradient gradient = options.gradient;
    if constexpr (requires(const Tensor& x, const Pass& p) { importance_weighted(model, x, p); })
      return [&model, gradient](const Tensor& x, const Pass& pass) {
        return importance_weighted(model, x, pass, gradient);
      };
    fail("trainer: iwae needs a model that encodes, decodes and has a log_likelihood");
  }

  /// The size of an epoch's last batch where it is not `batch`, else 0.
  static int last_batch(long rows, int batch);

  /// Runs the rest of the current epoch.  `watch`, when given, is called every few hundred
  /// milliseconds with the data that a GPU is known to have seen in this epoch and their means; if
  /// it returns false the epoch stops after the steps that are enqueued, and the next call goes on
  /// from there.
  /// Errors: NotFinite, naming epoch and step, which is the last that was taken: a step whose loss
  /// is not finite halts the training on the device.
  Means epoch(const std::function<bool(const Means&)>& watch = {});

  /// Takes steps until so many are taken since the start, over as many epochs as that needs.
  /// Errors: NotFinite, at an epoch's end or the last step.
  void run_to(std::uint64_t steps);
  /// Takes a step, operation by operation, and looks at every number: stops where one is not
  /// finite.  The same operations as ever, one launch each.
  std::optional<NonFinite> watched_step();
  /// What becomes of a datum in the next step, which is not taken: its terms of the bound, and the
  /// gradients of them alone.  `encode`, when given, is the model's encoder.
  /// Errors: the datum is not in the step's batch, naming what is; free bits, which tie the data of
  /// a batch together.
  Replayed replay(long datum, const Encoder& encode = {});

  /// Epochs completed, steps taken, data of the current epoch already used.
  std::uint32_t epochs_done() const { return epoch_; }
  std::uint64_t steps() const { return step_; }
  std::uint32_t position() const { return position_; }
  const std::vector<double>& totals() const { return sums_; }
  const Optimizer& optimizer() const { return optimizer_; }

  /// Goes on as a trainer with these counts and sums did; weights and moments are the caller's.
  void resume(std::uint32_t epochs_done, std::uint64_t steps, std::uint32_t position,
              const std::vector<double>& totals);

  /// With a budget: β's geometric mean over the current epoch so far, or over the last.
  double found_beta() const;
  /// The state of that search, for a checkpoint; and back.
  Multiplier multiplier() const;
  void resume(const Multiplier&);

  /// The planned step of a full batch.
  const Program& program() const { return full_->program(); }
  /// How steps of full batches are launched by now.
  Tier tier() const { return full_->tier(); }

 private:
  /// The rows of a batch that this process takes.
  struct Share {
    int first, rows;
    bool idle;  // they count for nothing: there are fewer rows than processes
  };
  std::unique_ptr<Step> make_step(int rows);
  Share share(int rows) const;
  /// Records the sums of the gradients and of the losses over the group.
  void sum_over_group(bool idle);
  Pass pass(const Share&) const;
  Means means() const;
  void begin_epoch();
  void end_epoch();
  /// Takes steps of one size, at most so many, and at most to the epoch's end.
  void take(long at_most);
  /// As an epoch is watched; in a group all decide alike.
  bool any(bool here) const { return options_.group ? options_.group->any(here) : here; }
  int next_rows() const;
  std::vector<std::uint32_t> next_data() const;
  /// Waits for the steps enqueued and reads the sums: whether they are finite.
  bool look();
  /// Takes the outcomes of the steps that have ended, and waits where more than `ahead` have not:
  /// whether all losses were finite.  The device, which has work left, does not wait.
  bool listen(long ahead);
  /// Stands where a training halted.  Errors: NotFinite, always.
  [[noreturn]] void stop();
  Ascent ascent() const;

  Function model_;
  Batches& batches_;
  TrainingOptions options_;
  Optimizer optimizer_;
  DeviceArray<double> device_sums_;  // of this process
  DeviceArray<double> all_sums_;     // of the group
  DeviceArray<double> unused_sums_;
  DeviceArray<Multiplier> weight_;  // β, where it is found
  Outcomes outcomes_;               // but in a group, which looks at every step's sums
  std::vector<double> sums_;        // of each of `terms_` terms, then the rows of the first
  std::size_t terms_ = 0;
  int rows_per_datum_ = 1;  // of the log-likelihood
  bool bounded_ = false;    // another bound than the ELBO of the two terms is trained
  std::unique_ptr<GroupSums> by_host_;
  std::unique_ptr<Step> full_, last_;
  int last_rows_ = 0;
  std::uint32_t epoch_ = 0, position_ = 0;
  std::uint64_t step_ = 0;
  bool started_ = false;
};

}  // namespace elbo
