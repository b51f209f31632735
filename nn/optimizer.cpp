#include "nn/optimizer.h"

#include "runtime/error.h"

namespace elbo {

void advance(const Device& device, const Progress& progress, int rows, const Ascent& ascent) {
  Program::current(device).add(Advance{progress.state(), rows, ascent});
}

Optimizer::Optimizer(std::vector<Parameter> parameters, UpdateRule rule, Schedule rate,
                     Progress progress, Real clip)
    : parameters_(std::move(parameters)),
      rule_(rule),
      rate_(rate),
      progress_(std::move(progress)),
      clip_(clip) {
  require(!parameters_.empty(), "optimizer: there are no parameters");
  for (const Parameter& p : parameters_) {
    const auto memory = [&] {
      return p.trained ? Tensor(p.tensor.device(), p.tensor.shape()) : Tensor();
    };
    moments_.emplace_back(memory(), memory());
  }
}

void Optimizer::step() {
  Program& program = Program::current(parameters_[0].tensor.device());
  UpdateAll all;
  ClipScale norm{.gradients = {}, .squares = {}, .scale = {}, .limit = clip_};
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].trained) continue;
    const Tensor& p = parameters_[i].tensor;
    const Tensor gradient = p.gradient();
    if (!gradient) continue;
    norm.gradients.push_back(gradient.matrix());
    all.updates.push_back({.in = program.use(gradient),
                           .w = program.use(p),
                           .m = program.use(moments_[i].first),
                           .v = program.use(moments_[i].second),
                           .clip = {},
                           .rule = rule_,
                           .rate = {.schedule = rate_, .state = progress_.state()}});
    p.drop_gradient();
  }
  require(!all.updates.empty(), "optimizer: no parameter has a gradient; call backward first");
  if (clip_ > 0) {
    norm.squares = program.transient({1, int(norm.gradients.size())})->matrix;
    norm.scale = program.transient({1, 1})->matrix;
    for (Update& update : all.updates) update.clip = norm.scale;
    program.add(norm);
  }
  program.add(all);
}

}  // namespace elbo
