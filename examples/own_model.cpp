// A model of one's own (own_model.h) trained by a loop of one's own.
// Its step is planned like any other: the program prints the operations it became.
#include "examples/own_model.h"

#include <cstdio>

#include "nn/batches.h"
#include "runtime/step.h"

using namespace elbo;

int main() {
  const Device device = Device::named("auto", Precision::tf32);
  const Dataset digits = read_dataset("builtin:digits?n=2048");
  ResidualVae model(device, digits.columns, 128, 8, Initialiser(1));

  Batches batches(device, digits, /*seed=*/1);
  Optimizer adam(parameters(model), Adam{}, Constant{1e-3}, batches.progress());
  DeviceArray<double> totals(device, 3);
  constexpr int rows = 64;
  Step step(device, [&] {
    const Noise noise{.seed = 1, .batch = batches.batch()};
    const Terms terms = model(batches.next(rows), {.training = true, .noise = noise});
    const Scale warm_up{.schedule = WarmUp{1, 64}, .state = batches.progress().state()};
    backward(
        objective({{terms.log_likelihood, {.factor = -1}}, {terms.kl, warm_up}}, totals.data()));
    adam.step();
    advance(device, batches.progress(), rows);
  });
  std::printf("%s\n", step.program().describe().c_str());

  std::uint64_t steps = 0;
  for (unsigned epoch = 0; epoch < 3; ++epoch) {
    batches.shuffle(epoch, 0, steps);
    const double zero[3] = {};
    totals.write(zero, 3);
    for (int i = 0; i < digits.rows / rows; ++i, ++steps) step();
    double sums[3];
    totals.read(sums, 3);
    std::printf("epoch %u: log-likelihood %.2f, KL %.2f nats per image\n", epoch + 1,
                sums[0] / sums[2], sums[1] / sums[2]);
  }
}
