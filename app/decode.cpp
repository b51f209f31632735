#include "app/commands.h"
#include "app/latents.h"
#include "app/train_command.h"
#include "data/npy.h"

namespace elbo {

namespace {

struct DecodeCommand {
  std::string run, latents, out, condition, device = "auto";
};

int run(const DecodeCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const Model model = folder.load_model(device);
  const Dataset latents = read_npy(c.latents);
  const std::vector<float> x = decoded_mean(model, latents, c.condition);
  write_npy(c.out, latents.rows, model.config().columns(), x.data());
  return 0;
}

}  // namespace

void add_decode(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<DecodeCommand>();
  CLI::App* const on = add_command(app, chosen, "decode", "expected data of latents", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("latents", c->latents, "file.npy, one row a datum")->required();
  on->add_option("--out", c->out, "file.npy")->required();
  on->add_option("--condition", c->condition, "what a conditional model is told: NAME=VALUE,…");
  add_device(on, c->device);
}

}  // namespace elbo
