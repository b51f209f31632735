#include "runtime/step.h"

#include <chrono>

#include "runtime/error.h"

namespace elbo {

Step::Step(Device device, const std::function<void()>& body, Program::Plan how, Tier tier,
           const Together& together)
    : program_(std::move(device), together) {
  {
    const Program::Recording recording(program_);
    body();
  }
  program_.tape.clear();
  const bool in_phases = tier == Tier::persistent || tier == Tier::cluster;
  if (in_phases && how == Program::Plan::fused) how = Program::Plan::unchained;
  const bool gains = program_.plan(how, tier == Tier::automatic);
  const auto needs_host = [](const Operation& operation) {
    const auto* const sum = std::get_if<GroupSum>(&operation);
    return sum && !sum->by->enqueues();
  };
  const std::size_t end = program_.operations.size();
  for (std::size_t first = 0, last; first < end; first = last) {
    const bool host = needs_host(program_.operations[first]);
    for (last = first + 1; last < end && needs_host(program_.operations[last]) == host;) ++last;
    one_.push_back({.first = first, .last = last, .recordable = !host});
  }
  if (one_.size() == 1) several_.push_back({.first = 0, .last = end, .times = steps_a_graph});
  if (!in_phases) tiers_.push_back(Tier::graph);
  if (!in_phases && !gains) return;

  int refused = 0;
  phases_ = program_.device().backend().ops().phases(program_.operations, refused);
  if (!phases_ && tier == Tier::automatic) return;
  if (!phases_)
    fail("step: `", program_.describe(refused), "` cannot be a phase of one persistent kernel on ",
         program_.device().name(), "; run the step as a graph");
  const bool grids = phases_->grids(), clusters = phases_->clusters();
  require(tier != Tier::persistent || grids, "step: ", program_.device().name(),
          " has too little shared memory for the persistent kernel; run the step as a graph");
  require(tier != Tier::cluster || clusters, "step: ", program_.device().name(),
          " has no clusters of thread blocks (an H100 or later has them); run the step as a "
          "persistent kernel of the whole grid, or as a graph");
  table_ = std::make_unique<DeviceArray<unsigned char>>(program_.device(), phases_->bytes());
  table_->write(static_cast<const unsigned char*>(phases_->data()), phases_->bytes());
  arrived_ = std::make_unique<DeviceArray<unsigned>>(program_.device(), 1);
  if (tier != Tier::cluster && grids) tiers_.push_back(Tier::persistent);
  if (tier != Tier::persistent && clusters) tiers_.push_back(Tier::cluster);
  fastest_ = Fastest(int(tiers_.size()));
}

void Step::operator()(int times) {
  for (; times >= steps_a_trial && fastest_.next(); times -= steps_a_trial)
    fastest_.took(seconds_of_trial(tiers_[std::size_t(*fastest_.next())]));
  run(tier(), times);
}

/// Of the later steps of a trial: the first record and upload what they need.
double Step::seconds_of_trial(Tier tier) {
  using Clock = std::chrono::steady_clock;
  constexpr int first = 1 + steps_a_graph;
  Backend& backend = program_.device().backend();
  run(tier, first);
  backend.wait();
  const auto start = Clock::now();
  run(tier, steps_a_trial - first);
  backend.wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Step::run(Tier tier, int times) {
  if (times <= 0) return;
  if (tier != Tier::graph) {
    program_.device().backend().ops();  // its GPU becomes the thread's current one
    return phases_->run(table_->data(), tier == Tier::persistent ? arrived_->data() : nullptr,
                        times);
  }
  for (; times > 0 && !warm_; --times, warm_ = true) program_.run();
  while (times > 0) {
    const bool many = times >= steps_a_graph && !several_.empty();
    for (Stretch& stretch : many ? several_ : one_) run(stretch);
    times -= many ? steps_a_graph : 1;
  }
}

void Step::run(Stretch& stretch) {
  const auto body = [&] {
    for (int i = 0; i < stretch.times; ++i) program_.run(stretch.first, stretch.last);
  };
  if (stretch.recordable && !stretch.recording) {
    stretch.recording = program_.device().backend().record(body);
    stretch.recordable = bool(stretch.recording);
  }
  stretch.recording ? stretch.recording->replay() : body();
}

}  // namespace elbo
