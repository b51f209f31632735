// A training loop of one's own, on nothing but tensors and functions of them: what a Trainer does.
#include <elbo/elbo.h>
#include <cmath>
#include <cstdio>

using namespace elbo;

int main() {
  const Device device = Device::named("auto", Precision::tf32);
  const Dataset digits = read_dataset("builtin:digits?n=2048");
  constexpr int hidden = 128, latent = 8, rows = 64;

  // What is trained are tensors that ask for gradients; a name is for files.
  Initialiser random(1);
  std::vector<Parameter> trained;
  const auto weight = [&](const char* name, int outputs, int inputs) {
    const double bound = 1 / std::sqrt(double(inputs));
    trained.push_back({name, random.uniform(device, {outputs, inputs}, bound).track()});
    return trained.back().tensor;
  };
  const auto bias = [&](const char* name, int outputs) {
    trained.push_back({name, Tensor(device, {1, outputs}).track()});
    return trained.back().tensor;
  };
  const int observed = digits.columns;
  const Tensor w1 = weight("w1", hidden, observed), b1 = bias("b1", hidden);
  const Tensor w2 = weight("w2", 2 * latent, hidden), b2 = bias("b2", 2 * latent);
  const Tensor w3 = weight("w3", hidden, latent), b3 = bias("b3", hidden);
  const Tensor w4 = weight("w4", observed, hidden), b4 = bias("b4", observed);

  Batches batches(device, digits, /*seed=*/1);
  Optimizer adam(trained, Adam{}, Constant{1e-3}, batches.progress());
  DeviceArray<double> totals(device, 3);

  // The body computes nothing: it leaves a list of operations, which is planned once.
  Step step(device, [&] {
    const Tensor x = batches.next(rows);
    const Tensor q = dense(Identity{}, dense(Silu{}, x, w1, b1), w2, b2);
    const auto [z, kl] = sample_posterior(q, {.seed = 1, .batch = batches.batch()});
    const Tensor logits = dense(Identity{}, dense(Silu{}, z, w3, b3), w4, b4);
    const Tensor fit = log_prob(Bernoulli{}, x, logits);
    const Scale warm_up{.schedule = WarmUp{1, 64}, .state = batches.progress().state()};
    backward(objective({{fit, {.factor = -1}}, {kl, warm_up}}, totals.data()));
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
