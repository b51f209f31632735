#include <cmath>

#include "app/commands.h"
#include "app/pictures.h"
#include "app/train_command.h"
#include "data/npy.h"
#include "data/png.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct SampleCommand {
  std::string run, out, mode = "mean", device = "auto";
  long count = 64;
  std::uint64_t seed = 0;
};

int run(const SampleCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  const bool png = ends_in_png(c.out);
  if (png && c.mode == "params")
    throw UsageError("--mode params: parameters are no picture; write a .npy file");
  require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device);
  require(c.mode != "params" || !model.config().two_domains(),
          "--mode params: two domains have parameters of their own each");
  const std::vector<Real> theta = decode(model, prior_latents(model, c.count, c.seed));
  std::vector<float> x;
  if (c.mode == "mean") x = model.mean(theta);
  if (c.mode == "sample") x = model.draw(theta, c.seed);
  if (c.mode == "params") x.assign(theta.begin(), theta.end());
  if (png) {
    for (float& value : x) value *= model.brightness();
    const int columns = int(std::ceil(std::sqrt(double(c.count))));
    write_png_grid(c.out, x.data(), c.count, stored.image_height, stored.image_width, columns);
  } else {
    write_npy(c.out, c.count, long(x.size()) / c.count, x.data());
  }
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<SampleCommand>();
  CLI::App* const on = add_command(app, chosen, "sample", "new data from the prior", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("-n,--count", c->count, "how many")
      ->check(whole_from<long>(1))
      ->capture_default_str();
  on->add_option("--mode", c->mode,
                 "mean: expected data; sample: drawn data; params: the decoder's parameters")
      ->check(one_of({"mean", "sample", "params"}))
      ->capture_default_str();
  add_seed(on, c->seed, "of the draws");
  on->add_option("--out", c->out, "file.npy, or file.png")->required();
  add_device(on, c->device);
}

}  // namespace elbo
