#include <fmt/format.h>

#include "app/commands.h"
#include "app/train_command.h"
#include "app/training_data.h"
#include "data/atomic_file.h"
#include "data/csv.h"
#include "data/h5ad.h"
#include "data/npy.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct EncodeCommand {
  std::string run, data, with, out, what = "mean", device = "auto";
  std::uint64_t seed = 0;
  bool in_place = false, force = false;
};

std::vector<std::string> unit_names(int units) {
  std::vector<std::string> names;
  for (int u = 1; u <= units; ++u) names.push_back(fmt::format("z{}", u));
  return names;
}

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
  if (c.out.ends_with(".h5ad"))
    write_obsm(file_of(c.data), c.out, "X_elbo", data.rows, latents.units, chosen.data(), c.force);
  else if (c.out.ends_with(".csv"))
    write_csv(c.out, unit_names(latents.units), data.row_names, data.rows, latents.units,
              chosen.data());
  else write_npy(c.out, data.rows, latents.units, chosen.data());
  return 0;
}

void finish(EncodeCommand& c) {
  const bool cells = file_of(c.data).ends_with(".h5ad");
  if (c.in_place == !c.out.empty()) throw UsageError("expected either --out or --in-place");
  if (c.in_place) c.out = file_of(c.data);
  const auto ends = [&](const char* ending) { return c.out.ends_with(ending); };
  if (!ends(".npy") && !ends(".csv") && !ends(".h5ad"))
    throw UsageError("--out " + c.out + ": expected a name in .npy, .csv or .h5ad");
  if (!cells && (ends(".h5ad") || c.in_place))
    throw UsageError("--out in .h5ad and --in-place: DATA is not in .h5ad");
}

}  // namespace

void add_encode(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<EncodeCommand>();
  CLI::App* const on =
      add_command<EncodeCommand>(app, chosen, "encode", "latents of data", c, finish);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data to encode")->required();
  on->add_option("--with", c->with, "their second domain; without it, it is missing");
  on->add_option("--out", c->out,
                 "file.npy; file.csv (with names); file.h5ad: a copy of DATA with obsm X_elbo");
  on->add_flag("--in-place", c->in_place, "write obsm X_elbo into DATA, an .h5ad file, itself");
  on->add_flag("--force", c->force, "replace an X_elbo that is there");
  on->add_option("--what", c->what, "mean, logvar or sample")
      ->check(one_of({"mean", "logvar", "sample"}))
      ->capture_default_str();
  add_seed(on, c->seed, "of the noise of --what sample");
  add_device(on, c->device);
}

}  // namespace elbo
