#include "app/commands.h"
#include "app/train_command.h"
#include "app/training_data.h"
#include "data/npy.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct EncodeCommand {
  std::string run, data, with, out, what = "mean", device = "auto";
  std::uint64_t seed = 0;
};

int run(const EncodeCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const Model model = folder.load_model(device);
  require(c.what == "mean" || model.variational(), "--what ", c.what,
          ": an autoencoder has no posterior, only mean");
  const Dataset data = model.taken(read_domains(model.config(), c.data, c.with).data);
  Batches batches(device, data, 0);
  const Encoded latents = encode(model, batches, c.seed);
  const std::vector<float>& chosen = c.what == "mean"     ? latents.mean
                                     : c.what == "logvar" ? latents.log_variance
                                                          : latents.sample;
  write_npy(c.out, data.rows, latents.units, chosen.data());
  return 0;
}

}  // namespace

void add_encode(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<EncodeCommand>();
  CLI::App* const on = add_command(app, chosen, "encode", "latents of data", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data to encode")->required();
  on->add_option("--with", c->with, "their second domain; without it, it is missing");
  on->add_option("--out", c->out, "file.npy")->required();
  on->add_option("--what", c->what, "mean, logvar or sample")
      ->check(one_of({"mean", "logvar", "sample"}))
      ->capture_default_str();
  add_seed(on, c->seed, "of the noise of --what sample");
  add_device(on, c->device);
}

}  // namespace elbo
