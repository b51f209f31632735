#include <cmath>

#include "app/commands.h"
#include "app/pictures.h"
#include "app/train_command.h"
#include "data/domains.h"
#include "data/npy.h"
#include "data/png.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct TranslateCommand {
  std::string run, data, from, to, out, mode = "mean", device = "auto";
  Translation how;
};

int run(const TranslateCommand& c) {
  const RunDirectory folder(c.run);
  const StoredModel stored = folder.stored_model();
  require_output(c.out, stored.image_height > 0);
  const Device device = device_named(c.device, folder);
  const Model model = folder.load_model(device);
  Translation how = c.how;
  how.to_second = c.to == "B", how.draw = c.mode == "sample";
  const bool from_second = c.from.empty() ? !how.to_second : c.from == "B";
  model.two_domains();  // says that there is one before the data are read
  const Domain source = model.domains()[from_second], target = model.domains()[how.to_second];
  Dataset data = read_dataset(c.data);
  require(data.columns == source.config.observed, c.data, ": has ", data.columns,
          " columns, domain ", from_second ? "B" : "A", " has ", source.config.observed);
  if (takes_levels(source.config)) data.scale = 1;
  const int others = model.config().columns() - data.columns;
  const Dataset both =
      model.taken(widened(data, from_second ? others : 0, from_second ? 0 : others));
  Batches batches(device, both, 0);
  const int columns = target.config.observed;
  if (!ends_in_png(c.out)) {
    const std::vector<float> x = translate(model, batches, how);
    write_npy(c.out, data.rows, columns, x.data());
    return 0;
  }
  constexpr long most_shown = 256;
  require(columns % stored.image_width == 0, c.out, ": the ", columns, " columns of domain ", c.to,
          " are no images");
  const Dataset shown = both.slice(0, std::min(data.rows, most_shown));
  Batches few(device, shown, 0);
  std::vector<float> x = translate(model, few, how);
  for (float& value : x) value *= target.brightness();
  write_png_grid(c.out, x.data(), shown.rows, columns / stored.image_width, stored.image_width,
                 int(std::ceil(std::sqrt(double(shown.rows)))));
  return 0;
}

}  // namespace

void add_translate(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<TranslateCommand>();
  CLI::App* const on = add_command(app, chosen, "translate",
                                   "one domain of data from the other (elbo train --with)", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data of one domain alone")->required();
  on->add_option("--to", c->to, "A, the domain of DATA in training, or B, that of --with")
      ->required()
      ->check(one_of({"A", "B"}));
  on->add_option("--from", c->from, "which domain the data are [the other]")
      ->check(one_of({"A", "B"}));
  on->add_option("--mode", c->mode, "mean: expected data; sample: drawn data")
      ->check(one_of({"mean", "sample"}))
      ->capture_default_str();
  on->add_option("--samples", c->how.samples,
                 "draws of the latents for the mean; 0: at the posterior's mean")
      ->check(whole_from<int>(0))
      ->capture_default_str();
  add_seed(on, c->how.seed, "of the draws");
  on->add_option("--out", c->out, "file.npy, or file.png")->required();
  add_device(on, c->device);
}

}  // namespace elbo
