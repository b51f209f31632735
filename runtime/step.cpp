#include "runtime/step.h"

namespace elbo {

Step::Step(Device device, const std::function<void()>& body, Program::Plan how)
    : program_(std::move(device)) {
  {
    const Program::Recording recording(program_);
    body();
  }
  program_.tape.clear();
  program_.plan(how);
}

void Step::operator()() {
  if (recording_) return recording_->replay();
  if (warm_ && recordable_) {
    recording_ = program_.device().backend().record([this] { program_.run(); });
    if (recording_) return recording_->replay();
    recordable_ = false;
  }
  program_.run();
  warm_ = true;
}

}  // namespace elbo
