// Loads what `elbo train DATA --out RUN` has left and encodes data one at a time, as an instrument
// does that has no more than one:   04_embed_a_trained_encoder RUN DATA
#include <elbo/elbo.h>
#include <chrono>
#include <cstdio>

using namespace elbo;

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: %s RUN DATA\n", argv[0]), 2;
  try {
    const Device device = Device::named("auto", Precision::fp32);
    const Model model = RunDirectory(argv[1]).load_model(device);
    const Dataset data = model.seen(read_dataset(argv[2]));  // prepared as the training data were
    const std::vector<float> values = data.values();

    // A step is recorded once.  Each call takes what is in x, and leaves the posterior in q.
    const Tensor x(device, {1, data.columns});
    Tensor q;
    Step encode(device, [&] { q = model.encode(x); });

    const auto start = std::chrono::steady_clock::now();
    for (long row = 0; row < data.rows; ++row) {
      const float* const datum = &values[std::size_t(row) * std::size_t(data.columns)];
      x.write({datum, datum + data.columns});
      encode();
      const std::vector<Real> units = q.read();  // (mean, log-variance) of each unit; of an
      if (row > 0) continue;                     // autoencoder the codes alone
      const std::size_t heads = model.variational() ? 2 : 1;
      std::printf("the first datum's latents:");
      for (std::size_t u = 0; u < units.size(); u += heads) std::printf(" %.3f", double(units[u]));
      std::printf("\n");
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%ld data, %.1f us each\n", data.rows, took.count() / double(data.rows) * 1e6);
  } catch (const Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
