#include "runtime/step.h"

#include "runtime/error.h"

namespace elbo {

Step::Step(Device device, const std::function<void()>& body, Program::Plan how, Tier tier)
    : program_(std::move(device)) {
  {
    const Program::Recording recording(program_);
    body();
  }
  program_.tape.clear();
  if (tier != Tier::graph && how == Program::Plan::fused) how = Program::Plan::unchained;
  program_.plan(how);
  if (tier == Tier::graph) return;
  int refused = 0;
  phases_ = program_.device().backend().ops().phases(program_.operations, refused);
  if (!phases_)
    fail("step: `", program_.describe(refused), "` cannot be a phase of one persistent kernel on ",
         program_.device().name(), "; run the step as a graph");
  require(tier == Tier::persistent || phases_->clusters(), "step: ", program_.device().name(),
          " has no clusters of thread blocks (an H100 or later has them); run the step as a "
          "persistent kernel of the whole grid, or as a graph");
  table_ = std::make_unique<DeviceArray<unsigned char>>(program_.device(), phases_->bytes());
  table_->write(static_cast<const unsigned char*>(phases_->data()), phases_->bytes());
  if (tier == Tier::persistent)
    arrived_ = std::make_unique<DeviceArray<unsigned>>(program_.device(), 1);
}

void Step::operator()(int times) {
  if (phases_ && times > 0)
    return phases_->run(table_->data(), arrived_ ? arrived_->data() : nullptr, times);
  for (; times > 0 && !(warm_ && recordable_); --times, warm_ = true) program_.run();
  while (times > 0) {
    const int each = times >= steps_a_graph ? steps_a_graph : 1;
    auto& recording = each > 1 ? several_ : one_;
    if (!recording)
      recording = program_.device().backend().record([&] {
        for (int i = 0; i < each; ++i) program_.run();
      });
    if (!recording) {
      recordable_ = false;
      return (*this)(times);
    }
    recording->replay();
    times -= each;
  }
}

}  // namespace elbo
