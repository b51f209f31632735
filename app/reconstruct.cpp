#include "app/commands.h"
#include "app/pictures.h"
#include "app/train_command.h"
#include "app/training_data.h"
#include "data/npy.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct ReconstructCommand {
  std::string run, data, with, out, device = "auto";
};

int run(const ReconstructCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device);
  Dataset data = model.taken(read_domains(model.config(), c.data, c.with).data);
  // Data of another format may not say that they are images; the run knows.
  data.image_height = stored.image_height, data.image_width = stored.image_width;
  Batches batches(device, data, 0);
  constexpr long most_shown = 64;
  const bool png = ends_in_png(c.out);
  const std::vector<float> x = reconstruct(model, batches, png ? most_shown : 0);
  if (png) write_reconstructions(c.out, model, data, x);
  else write_npy(c.out, data.rows, data.columns, x.data());
  return 0;
}

}  // namespace

void add_reconstruct(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<ReconstructCommand>();
  CLI::App* const on = add_command(app, chosen, "reconstruct", "data, encoded and decoded", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data")->required();
  on->add_option("--with", c->with, "their second domain; without it, it is missing");
  on->add_option("--out", c->out, "file.npy, or file.png")->required();
  add_device(on, c->device);
}

}  // namespace elbo
