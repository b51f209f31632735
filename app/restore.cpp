#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/pictures.h"
#include "app/tables.h"
#include "app/train_command.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct RestoreCommand {
  std::string run, data, out, corrupt = "none", device = "auto";
  int samples = 0;
  std::uint64_t seed = 0;
  bool json = false;
};

int run(const RestoreCommand& c) {
  const bool png = ends_in_png(c.out);
  if (!png && !ends_in_table(c.out))
    throw UsageError("--out: '" + c.out + "' ends in none of .npy, .csv, .tsv and .png");
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  if (png) require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device);
  const Dataset data = model.seen(read_dataset(c.data));
  std::optional<Corruption> how = corruption_of(c.corrupt);
  Dataset read = data;
  if (how) {
    how->low = Real(stored.config.low), how->high = Real(stored.config.high);
    read = corrupted(data, *how, c.seed);
    model.check_input(read);
  }
  Batches batches(device, read, 0);
  const std::vector<float> restored = reconstruct(model, batches, 0, c.samples, c.seed);

  if (png) {
    const long shown = std::min(64L, data.rows);
    const auto first = [&](const Dataset& all) {
      return model.in_own_units(all.slice(0, shown)).values();
    };
    std::vector<std::vector<float>> sorts{first(read), restored};
    if (how) sorts.insert(sorts.begin(), first(data));
    sorts.back().resize(std::size_t(shown * data.columns));
    write_comparison(c.out, model, stored.image_height, stored.image_width, sorts);
  } else {
    write_table(c.out, data, restored);
  }

  nlohmann::ordered_json json{{"count", data.rows}};
  if (how) {
    const Dataset clean = model.in_own_units(data);
    json["corrupted_squared_error"] = squared_error(clean, model.in_own_units(read).values());
    json["restored_squared_error"] = squared_error(clean, restored);
    json["units"] = "per datum, summed over features";
  }
  if (c.json) {
    std::cout << json.dump(2) << '\n';
  } else {
    std::cout << fmt::format("{} data restored\n", data.rows);
    if (how)
      std::cout << fmt::format(
          "squared error of the corrupted data {:.6g}, of the restored {:.6g} (per datum, summed "
          "over features)\n",
          json["corrupted_squared_error"].get<double>(),
          json["restored_squared_error"].get<double>());
  }
  return 0;
}

}  // namespace

void add_restore(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<RestoreCommand>();
  CLI::App* const on = add_command(app, chosen, "restore", "what noisy data are expected to be", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "noisy data; with --corrupt clean ones")->required();
  on->add_option("--out", c->out, "file.npy, .csv or .tsv, or file.png")->required();
  on->add_option(
        "--corrupt", c->corrupt,
        "spoil the data first: gaussian:SIGMA, mask:P, salt:P (the lowest or highest value "
        "of the run's), or none; says the squared errors before and after")
      ->check(corruption_or_none())
      ->capture_default_str();
  on->add_option("--samples", c->samples,
                 "draws of the posterior to average over; 0: its mean serves")
      ->check(whole_from<int>(0))
      ->capture_default_str();
  add_seed(on, c->seed, "of the corruption and of the draws");
  add_device(on, c->device);
  on->add_flag("--json", c->json, "print JSON");
}

}  // namespace elbo
