#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/config_file.h"
#include "app/data_facts.h"
#include "app/interrupt.h"
#include "app/latents.h"
#include "app/metrics.h"
#include "app/pictures.h"
#include "app/processes.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_sections.h"
#include "app/train_command.h"
#include "app/training_data.h"
#include "data/atomic_file.h"
#include "data/npy.h"
#include "models/early_stopping.h"
#include "models/evaluation.h"
#include "models/run_directory.h"
#include "runtime/nccl.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// That of the data that are held out, of weights that are finite.
struct ValidationNotFinite : NotFinite {
  using NotFinite::NotFinite;
};

/// A training that stands still or runs, with everything that it writes.
class Training {
 public:
  Training(const TrainCommand& c, const Device& device, TrainingData data,
           std::optional<std::size_t> memory, const TrainingHost& host)
      : command_(c),
        host_(host),
        log_(host.quiet ? nullptr : std::cerr.rdbuf()),
        folder_(c.out),
        data_(std::move(data)),
        data_hash_(data_.train.hash()),
        looked_(look_at(data_)),
        config_(config_for(c, data_)),
        model_(device, config_, c.seed),
        options_(training_options(c, config_, data_.train.rows)),
        batches_(device, data_.train, c.seed, memory),
        metrics_(folder_, c.tensorboard),
        stopping_(c.beta_warmup, c.patience),
        progress_(c.epochs, data_.train.rows, model_.variational(),
                  config_.two_domains() ? "bound" : "IWAE", host.quiet) {
    options_.group = host.group;
    if (host.group) {
      require(c.recover == 0,
              "--recover looks for a step's first number that is not finite, which "
              "takes one process");
      require(host.group->of_first(data_hash_) == data_hash_, data_.train.source, ": process ",
              host.group->rank(), " reads other data than process 0");
      DeviceSums on_devices = device.backend().sums_over(*host.group);
      sums_ = std::move(on_devices.sums);
      options_.sums = sums_.get();
      if (!on_devices.why_not.empty())
        log_ << "elbo: gradients pass through the host, not by NCCL: " << on_devices.why_not
             << '\n';
    }
    require_no_empty_column(data_.train);
    model_.check_data(data_.train);
    if (data_.valid) {
      model_.check_data(*data_.valid);
      valid_batches_.emplace(device, *data_.valid, c.seed, data_memory(c));
    }
    make_trainer();
    state_.data_hash = data_hash_;
    state_.settings = settings(c).dump();
    state_.streamed = batches_.streamed();
  }

  void begin() {
    if (!writes_) return;
    folder_.clear();
    write_configs();
    metrics_.rewrite({});
    save();
  }

  /// Errors: the run was made with other data or other settings.
  void resume() {
    const std::string file = checkpoint_of(command_);
    const Checkpoint stored = folder_.load_checkpoint(file);
    require_same_settings(Json::parse(stored.settings));
    require(stored.data_hash == state_.data_hash, folder_.folder().string(),
            ": was trained on other data (hash ", stored.data_hash, ", ", data_.train.source,
            " has ", state_.data_hash, ")");
    require(stored.epochs_done <= std::uint32_t(command_.epochs), folder_.folder().string(),
            ": has ", stored.epochs_done, " epochs already, --epochs is ", command_.epochs);
    remark_ = batches_.device().backend().choose(stored.choices);
    if (!remark_.empty()) log_ << "elbo: " << remark_ << '\n';
    go_back_to(stored, file);
  }

  /// The file that a resumption goes on from.
  static std::string checkpoint_of(const TrainCommand& c) {
    return c.from_epoch > 0 ? RunDirectory(c.out).kept_checkpoint(c.from_epoch)
                            : RunDirectory::checkpoint;
  }

  bool over() const {
    return state_.history.size() == std::size_t(command_.epochs) || stopping_.over();
  }
  bool stopped() const { return stopping_.over(); }
  bool finished() const {
    const bool here = over() && folder_.has(RunDirectory::report);
    return host_.group ? !host_.group->of_first(here ? "finished" : "").empty() : here;
  }

  /// The signal that came, to whichever process, or 0.
  int interrupted() const {
    const int here = host_.interrupted();
    if (!host_.group) return here;
    std::vector<double> signals(std::size_t(host_.group->size()));
    signals[std::size_t(host_.group->rank())] = here;
    host_.group->sum(signals.data(), signals.size());
    return int(std::ranges::max(signals));
  }

  void go_on() {
    if (!writes_) return;
    folder_.remove_leftovers();
    // The report is written last: a run that has one is finished.
    const std::filesystem::path report = folder_.path(RunDirectory::report);
    std::error_code status;
    std::filesystem::remove(report, status);
    require(!status, report.string(), ": cannot be removed: ", status.message());
    write_configs();
    metrics_.rewrite(state_.history);
    // It may have ended between writing the state and keeping it.
    if (to_keep() && command_.from_epoch == 0) keep();
  }

  /// Trains to the last epoch; false if a signal came before.
  bool train() {
    while (!over()) {
      int signal = 0;
      try {
        const bool whole = epoch();
        if (whole) {
          state_.history.push_back(line_);
          if (writes_) metrics_.append(line_);
        }
        const bool kept = whole && to_keep();
        signal = interrupted();
        // Short epochs are not worth a checkpoint each: at most a tenth of the time goes there.
        if (over() || kept || signal || seconds_since(saved_at_) >= 9 * save_seconds_) save();
        if (kept && writes_) keep();
      } catch (const ValidationNotFinite& error) {
        progress_.end();
        if (!slow_down(folder_.load_checkpoint(), error.what()))
          fail(error.what(), "; a smaller --lr or --clip may help, --recover tries that");
        signal = interrupted();
      } catch (const NotFinite& error) {
        progress_.end();
        explain(error);
        signal = interrupted();
      }
      if (!over() && signal) return progress_.end(), false;
    }
    progress_.end();
    return true;
  }

  void finish() {
    if (!writes_) return;
    if (command_.best) {
      SafeTensors best;
      best.arrays = state_.best;
      for (const Parameter& p : model_.parameters())
        from_file(best, p, folder_.path(RunDirectory::checkpoint).string());
    }
    folder_.save(model_);
    constexpr long most_encoded = 4000, most_reconstructed = 64;
    const Dataset& source = data_.valid ? *data_.valid : data_.train;
    const Dataset shown = source.slice(0, std::min(source.rows, most_encoded));
    Batches batches(batches_.device(), shown, command_.seed);
    if (shown.image_height > 0) {
      if (model_.variational())
        write_samples(folder_.path(RunDirectory::samples).string(), model_, shown.image_height,
                      shown.image_width, command_.seed, batches.given());
      write_reconstructions(folder_.path(RunDirectory::reconstructions).string(), model_, shown,
                            reconstruct(model_, batches, most_reconstructed));
    }
    const Encoded latents = encode(model_, batches, command_.seed);
    if (model_.variational()) diagnosis_ = diagnosis(latents);
    Report report{
        .command = command_,
        .model = stored(),
        .history = state_.history,
        .epoch = model_epoch(),
        .ending = ending(),
        .diagnosis = diagnosis_,
        .data = shown,
        .latents = latents,
        .shown = fmt::format("{} {} data", shown.rows, data_.valid ? "validation" : "training"),
        .sections = report_sections(model_, shown, batches, latents, command_.seed),
        .facts = looked_.facts,
        .advice = looked_.advice,
        .device = batches_.device().backend().description() +
                  (host_.group ? fmt::format(", {} processes{}", host_.group->size(),
                                             sums_ ? " by NCCL" : "")
                               : "") +
                  (trainer_->tier() == Tier::graph
                       ? ""
                       : ", many steps a launch (" + tiers[std::size_t(trainer_->tier())] + ")") +
                  (remark_.empty() ? "" : "; after a resumption " + remark_)};
    for (const Parameter& p : model_.parameters())
      if (p.trained) report.parameters += long(p.tensor.rows()) * p.tensor.columns();
    report.rows = data_.train.rows;
    report.valid_rows = data_.valid ? data_.valid->rows : 0;
    write_report(folder_, report);
  }

  std::string missing() const {
    long missing = data_.train.missing(), entries = data_.train.rows * data_.train.columns;
    if (data_.valid) {
      missing += data_.valid->missing();
      entries += data_.valid->rows * data_.valid->columns;
    }
    return missing_line(missing, entries);
  }

  std::string summary() const {
    const Json last = Json::parse(state_.history[std::size_t(model_epoch() - 1)]);
    std::string means;
    for (const char* key :
         {"bound", "elbo", "log_likelihood", "kl", "valid_elbo", "valid_log_likelihood"})
      if (!last.at(key).is_null())
        means +=
            fmt::format("{}{} {:.5g}", means.empty() ? "" : ", ", key, last.at(key).get<double>());
    std::string line = fmt::format("{}: {} epochs, {} (nats per datum)", folder_.folder().string(),
                                   state_.history.size(), means);
    if (const std::string end = ending(); !end.empty()) line += "\n" + end;
    if (!diagnosis_.empty()) line += "\n" + diagnosis_;
    if (options_.budget) line += "\n" + price(last.at("beta").get<double>());
    return line;
  }

 private:
  void make_trainer() {
    TrainingOptions options = options_;
    options.rate = scaled(options.rate, std::ldexp(Real(1), -state_.halvings));
    trainer_.emplace(Trainer::terms_of(model_, options), model_.parameters(), batches_, options);
  }

  /// Stands where a training stood.
  void go_back_to(const Checkpoint& stored, const std::string& file) {
    const std::string settings = state_.settings;
    const bool other_rate = stored.halvings != state_.halvings;
    state_ = stored;
    state_.settings = settings, state_.streamed = batches_.streamed();
    if (other_rate) make_trainer();
    folder_.restore(trainer_->optimizer(), file);
    trainer_->resume(stored.epochs_done, stored.steps, stored.position, stored.totals);
    if (stored.multiplier) trainer_->resume(*stored.multiplier);
    stopping_ = EarlyStopping(command_.beta_warmup, command_.patience);
    for (const std::string& line : state_.history) judge(line);
  }

  /// Whether an epoch is the best so far.
  bool judge(const std::string& line) {
    const Json metrics = Json::parse(line);
    const Json& bound = metrics.at("valid_elbo");  // an autoencoder has none
    const Json& value = bound.is_null() ? metrics.at("valid_log_likelihood") : bound;
    return !value.is_null() && stopping_.saw(value.get<double>());
  }

  /// The epoch that the model is of.
  int model_epoch() const {
    return command_.best && stopping_.best() > 0 ? stopping_.best() : int(state_.history.size());
  }

  /// Why the training ended where it did, and which model is left.
  std::string ending() const {
    std::string text;
    if (command_.best && stopping_.best() > 0) {
      const char* const what = model_.variational() ? "ELBO" : "log-likelihood";
      if (stopping_.over())
        text = fmt::format("stopped: for {} epochs the validation {} has not risen above {:.5g}; ",
                           stopping_.patience(), what, stopping_.value());
      text += fmt::format("the model is that of epoch {}", stopping_.best());
      if (!stopping_.over())
        text +=
            fmt::format(", whose validation {} is the highest, {:.5g}", what, stopping_.value());
    }
    if (state_.halvings > 0)
      text += fmt::format(
          "{}the learning rate was halved {} times, after losses that were not "
          "finite",
          text.empty() ? "" : "; ", state_.halvings);
    return text;
  }

  /// After a loss or weight that is not finite: from the last checkpoint, finds the step and the
  /// operation that left the first such number, keeps what is needed to look at it, and goes back
  /// where that is wanted.  Errors: what was found, otherwise.
  void explain(const NotFinite& error) {
    if (host_.group)
      fail(error.what(), "; elbo train --resume in one process finds where it comes from");
    const std::uint64_t end = trainer_->steps();  // the first whose loss is not finite
    const Checkpoint stored = folder_.load_checkpoint();
    const auto go_back = [&] { go_back_to(stored, RunDirectory::checkpoint); };
    log_ << "elbo: " << error.what() << "; looking for the first such number\n";
    go_back();
    // It is of that step, or an update of the one before left it.  What is seen of a step before
    // these came to nothing, unless it has stayed in a weight or moment that the loss ignores.
    constexpr std::uint64_t at_once = 1000;
    const std::uint64_t before = std::max(end, std::uint64_t(2)) - 2;
    while (trainer_->steps() < before) {
      if (host_.interrupted()) fail(error.what());
      trainer_->run_to(std::min(before, trainer_->steps() + at_once));
    }
    if (!finite_state()) go_back();
    std::optional<NonFinite> found;
    while (!found && trainer_->steps() < end) {
      if (host_.interrupted()) fail(error.what());
      found = trainer_->watched_step();
    }
    if (!found) fail(error.what());
    go_back();
    trainer_->run_to(found->step - 1);
    std::string what = found->sentence();
    try {
      keep_event(*found);
    } catch (const Error& unwritten) {  // what was found matters more
      what += fmt::format("; {}", unwritten.what());
    }
    if (slow_down(stored, what)) return;
    go_back();
    metrics_.rewrite(state_.history);
    if (found->datum)
      what += fmt::format("; elbo replay {} --step {} --datum {} shows it",
                          folder_.folder().string(), found->step, *found->datum);
    fail(what, "; a smaller --lr or --clip may help, --recover tries that");
  }

  /// Whether all weights and moments are finite.
  bool finite_state() const {
    const auto finite = [](const Tensor& t) {
      return !t || std::ranges::all_of(t.read(), [](Real x) { return std::isfinite(x); });
    };
    const Optimizer& optimizer = trainer_->optimizer();
    for (std::size_t i = 0; i < optimizer.parameters().size(); ++i)
      if (!finite(optimizer.parameters()[i].tensor) || !finite(optimizer.first_moment(i)) ||
          !finite(optimizer.second_moment(i)))
        return false;
    return true;
  }

  /// Back to the checkpoint with half the learning rate; false where that is no longer wanted.
  bool slow_down(const Checkpoint& stored, const std::string& what) {
    if (state_.halvings >= command_.recover) return false;
    Checkpoint slower = stored;
    ++slower.halvings;
    go_back_to(slower, RunDirectory::checkpoint);
    metrics_.rewrite(state_.history);
    save();
    log_ << "elbo: " << what << "; back to step " << stored.steps
         << " with half the learning rate\n";
    return true;
  }

  /// The state before the step, its batch as the model takes it, and what was found.
  void keep_event(const NonFinite& found) {
    note_place();
    folder_.save(state_, trainer_->optimizer(), RunDirectory::event_state);
    const std::vector<long> rows(found.batch.begin(), found.batch.end());
    const Dataset batch = data_.train.select(rows);
    write_npy(folder_.path(RunDirectory::event_batch).string(), batch.rows, batch.columns,
              batch.values().data());
    Json event{{"step", found.step},
               {"epoch", found.epoch},
               {"operation", found.operation},
               {"layer", found.layer},
               {"row", found.row},
               {"column", found.column},
               {"value", fmt::format("{}", found.value)},
               {"data", rows}};
    event["datum"] = found.datum ? Json(*found.datum) : Json(nullptr);
    write_file(folder_.path(RunDirectory::event).string(), event.dump(2) + "\n");
  }

  /// Whether --checkpoint-every keeps the state of now, which ends an epoch, beside the last one.
  bool to_keep() const {
    const unsigned every = unsigned(command_.checkpoint_every), done = trainer_->epochs_done();
    return every > 0 && done > 0 && done % every == 0 && trainer_->position() == 0;
  }
  void keep() const { folder_.keep_checkpoint(int(trainer_->epochs_done()), command_.keep); }

  void note_place() {
    state_.epochs_done = trainer_->epochs_done(), state_.steps = trainer_->steps();
    state_.position = trainer_->position(), state_.totals = trainer_->totals();
    if (options_.budget) state_.multiplier = trainer_->multiplier();
    state_.choices = batches_.device().backend().choices();
  }

  /// How many units are in use, what they carry, and what may help; and a warm-up that was cut off.
  std::string diagnosis(const Encoded& latents) const {
    const std::vector<LatentUnit> units = ranked_units(latents);
    const auto live = std::ranges::count_if(units, &LatentUnit::active);
    double nats = 0;
    for (const LatentUnit& unit : units) nats += unit.kl;
    std::string text =
        fmt::format("{} of {} latent units are live, {:.3g} nats: ", live, units.size(), nats);
    if (live == 0)
      text +=
          "the posterior has collapsed onto the prior; --beta-warmup, --free-bits or a smaller "
          "--beta may help";
    else if (live == long(units.size())) text += "all are in use, and more may be worth it";
    else text += fmt::format("the others say nothing of the data, --latent {} may do", live);
    const double reached = at(options_.beta, trainer_->steps());
    if (command_.beta_warmup > 0 && reached < command_.beta)
      text += fmt::format("; --beta-warmup {} was cut off at a beta of {:.3g}",
                          command_.beta_warmup, reached);
    return text;
  }

  /// What the weight that was found means.
  std::string price(double beta) const {
    std::string text = fmt::format(
        "shadow price: beta {:.4g}; one more nat of KL buys {:.4g} nats of reconstruction", beta,
        beta);
    const Likelihood law = observation(config_).law;
    if (const auto* known = std::get_if<FixedGaussian>(&law)) {
      const double variance = double(known->sigma) * double(known->sigma);
      text += fmt::format(", {:.4g} of squared error (GECO's multiplier {:.4g})",
                          2 * variance * beta, 1 / (2 * variance * beta));
    }
    return text;
  }

  struct Looked {
    std::vector<std::pair<std::string, std::string>> facts;
    std::optional<Advice> advice;
  };
  /// At so many rows as take a moment; advice takes longer.
  static Looked look_at(const TrainingData& all) {
    const Dataset& data = all.train;
    const auto first = [&](long entries) {
      return data.slice(0, std::clamp(entries / data.columns, 1L, data.rows));
    };
    Looked looked{facts(data, inspect(first(10'000'000))), {}};
    if (all.with_columns > 0) return looked;  // which of two views would it be of?
    const Dataset few = first(2'000'000);
    looked.advice = advise(few, inspect(few));
    return looked;
  }

  /// And prepares the data, and gives them what the model is to be told of them.
  static ModelConfig config_for(const TrainCommand& c, TrainingData& parts) {
    const Dataset& data = parts.train;
    ModelConfig config = c.model;
    config.preparation.learn(data);
    config.preparation.apply(parts.train);
    if (parts.valid) config.preparation.apply(*parts.valid);
    config.with_observed = parts.with_columns;
    config.observed = data.columns - parts.with_columns;
    if (config.likelihood == "categorical" && config.classes == 0)
      config.classes = classes_of(data, 0, config.observed);
    if (second_domain(config).likelihood == "categorical" && config.with_classes == 0)
      config.with_classes = classes_of(data, config.observed, config.with_observed);
    const bool gaps = data.missing() > 0 || (parts.valid && parts.valid->missing() > 0);
    if (config.input == "auto" && !config.two_domains() && gaps && !encoder_input(config))
      config.input = "masked";
    const auto corruption = corruption_of(c.corrupt);
    if (config.input == "auto" && corruption && corruption->kind == Corruption::Kind::mask &&
        !encoder_input(config))
      config.input = "masked";
    if (corruption && corruption->kind == Corruption::Kind::salt)
      std::tie(config.low, config.high) = extremes(data);
    config.conditions = conditions_of(data, config.condition);
    give(parts.train, config.conditions);
    if (parts.valid) give(*parts.valid, config.conditions);
    if (rates_of(config) != RateScale::plain)
      config.total = typical_total(data, 0, config.observed);
    if (config.two_domains() && rates_of(second_domain(config)) != RateScale::plain)
      config.with_total = typical_total(data, config.observed, config.with_observed);
    return config;
  }

  /// As many as those columns have; of sequences, which are no second domain, as their alphabet.
  static int classes_of(const Dataset& data, int first, int columns) {
    if (first == 0 && !data.alphabet.empty()) return int(data.alphabet.size());
    float largest = 1;
    for (long r = 0; r < data.rows; ++r)
      data.each_listed(r, [&](int c, float x) {
        if (c >= first && c < first + columns) largest = std::max(largest, x);
      });
    return int(std::min(largest, 65535.f)) + 1;
  }

  StoredModel stored() const {
    return {config_, data_.train.image_height, data_.train.image_width};
  }

  void write_configs() const {
    const std::string file = folder_.path(RunDirectory::config_toml).string();
    write_file(file, fmt::format("# Elbo {}.  The same training again: elbo train --config {} "
                                 "--out NEW\n{}",
                                 version, file, to_toml(settings(command_))));
    folder_.save(stored());
  }

  void require_same_settings(const Json& before) const {
    const Json now = settings(command_);
    for (const auto& [key, value] : now.items()) {
      // The data are compared by content; the others change no step that has been taken.
      static const std::vector<std::string> may_differ{
          "data",   "with",    "valid",      "with-valid",
          "epochs", "device",  "patience",   "checkpoint-every",
          "keep",   "recover", "tensorboard"};
      if (std::ranges::count(may_differ, key)) continue;
      const Json old = before.value(key, Json());
      require(old == value, folder_.folder().string(), ": was trained with ", key, " = ",
              old.dump(), ", this command says ", value.dump());
    }
  }

  void save() {
    if (!writes_) return;
    const auto start = Clock::now();
    note_place();
    folder_.save(state_, trainer_->optimizer());
    save_seconds_ = seconds_since(start);
    saved_at_ = Clock::now();
  }

  /// One epoch, or the rest of one; false if a signal stopped it.
  bool epoch() {
    const std::uint32_t before = trainer_->epochs_done();
    const long done_before = trainer_->position();
    const double seconds_before = state_.seconds;
    const auto start = Clock::now();
    constexpr double most_without_checkpoint = 300;
    const Means means = trainer_->epoch([&](const Means& now) {
      progress_.within(int(before) + 1, now, now.count - done_before, seconds_since(start));
      return !host_.interrupted() &&
             (!writes_ || seconds_since(saved_at_) < most_without_checkpoint);
    });
    const double here = seconds_since(start);
    state_.seconds = seconds_before + here;
    if (trainer_->epochs_done() == before) {
      if (interrupted()) return false;
      save();
      return epoch();
    }
    EpochMetrics m{.epoch = before + 1, .train = means, .valid = {}};
    if (valid_batches_) m.valid = evaluate(model_, *valid_batches_, command_.seed);
    if (m.valid && !std::isfinite(m.valid->elbo))
      throw ValidationNotFinite(
          fmt::format("the validation loss after epoch {} is not finite", m.epoch));
    m.beta =
        options_.budget ? trainer_->found_beta() : double(at(options_.beta, trainer_->steps() - 1));
    m.rate = std::ldexp(double(at(options_.rate, trainer_->steps() - 1)), -state_.halvings);
    m.seconds = state_.seconds;
    m.data_per_second = double(data_.train.rows) / std::max(m.seconds, 1e-9);
    state_.seconds = 0;
    line_ = to_line(m, model_.variational());
    if (host_.group) line_ = host_.group->of_first(line_);  // and decides alike
    if (judge(line_) && command_.best) state_.best = weights_of(model_.parameters());
    progress_.after(int(m.epoch), means, m.valid, m.data_per_second);
    return true;
  }

  TrainCommand command_;
  TrainingHost host_;
  bool writes_ = !host_.group || host_.group->rank() == 0;
  std::ostream log_;
  RunDirectory folder_;
  TrainingData data_;
  std::string data_hash_;  // of the data before they are prepared
  Looked looked_;          // at the same
  ModelConfig config_;
  Model model_;
  TrainingOptions options_;
  Batches batches_;
  std::optional<Batches> valid_batches_;
  MetricsFiles metrics_;
  EarlyStopping stopping_;
  std::unique_ptr<GroupSums> sums_;  // of the group, by the devices themselves
  std::optional<Trainer> trainer_;
  ProgressLine progress_;
  Checkpoint state_;
  std::string line_, remark_, diagnosis_;
  Clock::time_point saved_at_ = Clock::now();
  double save_seconds_ = 0;
};

Device device_for(const TrainCommand& c, const TrainingHost& host) {
  const int devices = host.group && (c.device == "auto" || c.device == "cuda") ? cuda_devices() : 0;
  return device_named(devices > 0 ? fmt::format("cuda:{}", host.place % devices) : c.device, c);
}

int train(const TrainCommand& c, const TrainingHost& host, bool signals) {
  std::ostream out(host.quiet ? nullptr : std::cout.rdbuf());
  std::ostream log(host.quiet ? nullptr : std::cerr.rdbuf());
  const RunDirectory folder(c.out);
  const bool writes = !host.group || host.group->rank() == 0;
  if (!c.resume && !c.force && writes) folder.require_empty();
  std::optional<std::size_t> memory = data_memory(c);
  if (c.resume) {  // says that there is none before the data are read
    const std::optional<std::size_t> streamed =
        folder.load_checkpoint(Training::checkpoint_of(c)).streamed;
    // An epoch goes on in the order that it began with, whatever is free now.
    if (!memory) memory = streamed.value_or(std::numeric_limits<std::size_t>::max());
  }
  Training training(c, device_for(c, host), read_training_data(c, host), memory, host);
  out << training.missing() << std::flush;
  if (c.resume) {
    training.resume();
    if (training.finished()) {
      out << training.summary() << "\nThis run is finished; a larger "
          << (training.stopped() ? "--patience" : "--epochs") << " goes on.\n";
      return 0;
    }
    if (signals) catch_interrupts();
    training.go_on();
  } else {
    if (signals) catch_interrupts();  // from here on there is something to lose
    training.begin();
  }
  if (!training.train()) {
    log << "elbo: interrupted; to go on: elbo train --resume --out " << c.out << '\n';
    return 128 + training.interrupted();
  }
  training.finish();
  out << training.summary() << std::endl;
  if (const int signal = training.interrupted()) return 128 + signal;
  return 0;
}

}  // namespace

int run(const TrainCommand& c, const TrainingHost& given) {
  if (given.interrupted) return train(c, given, false);
  TrainingHost host = given;
  host.interrupted = interrupted;
  watch_for_interrupts();
  const std::unique_ptr<Processes> processes = started_processes();
  if (!processes) return train(c, host, true);
  host.group = processes.get();
  host.place = processes->place();
  host.quiet = processes->rank() > 0;
  try {
    const int code = train(c, host, true);
    processes->part();
    return code;
  } catch (const EndedByAnother&) {
    return 1;
  } catch (const std::exception& error) {
    if (processes->speaks())
      std::cerr << fmt::format("elbo: train: process {} of {}: {}\n", processes->rank(),
                               processes->size(), error.what());
    processes->end();
    return 1;
  }
}

void add_train(CLI::App& app, Run& chosen, const std::string& line) {
  const auto c = std::make_shared<TrainCommand>();
  c->line = line;
  CLI::App* const on = add_command<TrainCommand>(
      app, chosen, "train", "train a model on a data file", c,
      [&app](TrainCommand& command) { finish_train(app.get_subcommand("train"), command); });
  add_train_options(on, *c);
}

}  // namespace elbo
