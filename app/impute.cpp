#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "app/commands.h"
#include "app/tables.h"
#include "app/train_command.h"
#include "models/imputation.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct ImputeCommand {
  std::string run, data, out, device = "auto";
  ImputationOptions options;
};

constexpr double few = 10;  // effective draws, below which a mean of them says little

/// What was done, and whether its weights can be relied on.
void print(const Imputation& imputed, const Dataset& data, int samples) {
  std::cout << fmt::format("{} of {} entries imputed, of {} of {} data\n", imputed.places.size(),
                           data.rows * data.columns, imputed.effective.size(), data.rows);
  std::vector<double> sizes = imputed.effective;
  std::sort(sizes.begin(), sizes.end());
  std::cout << fmt::format("effective sample size of {} draws: median {:.1f}, least {:.1f}\n",
                           samples, sizes[sizes.size() / 2], sizes[0]);
  const auto poor = std::lower_bound(sizes.begin(), sizes.end(), few) - sizes.begin();
  if (poor > 0)
    std::cerr << fmt::format(
        "elbo: impute: warning: {} of {} data have an effective sample size below {:.0f}; "
        "their numbers rest on few draws, more --importance-samples help\n",
        poor, sizes.size(), few);
}

int run(const ImputeCommand& c) {
  require_table(c.out);
  const RunDirectory folder(c.run);
  const Model model = folder.load_model(device_named(c.device, folder));
  const Dataset raw = read_dataset(c.data), data = model.taken(raw);
  const Preparation& preparation = model.config().preparation;
  const Imputation imputed = impute(model, data, c.options);
  if (imputed.places.empty())
    std::cout << fmt::format("{}: no entry is missing; {} is a copy\n", c.data, c.out);
  else print(imputed, data, c.options.samples);
  const auto write = [&](const std::string& path, const std::vector<float>& numbers) {
    std::vector<float> x = completed(data, imputed.places, numbers);
    preparation.undo(x, data.columns);
    if (preparation.any() && preparation.centre == "none") {  // what is there, to the last bit
      const std::vector<float> there = raw.values();
      for (std::size_t i = 0; i < x.size(); ++i)
        if (!std::isnan(there[i])) x[i] = there[i];
    }
    write_table(path, data, x);
  };
  write(c.out, imputed.mean);
  for (std::size_t m = 0; m < imputed.drawn.size(); ++m)
    write(beside(c.out, std::to_string(m + 1)), imputed.drawn[m]);
  if (c.options.interval > 0) {
    write(beside(c.out, "lower"), imputed.lower);
    write(beside(c.out, "upper"), imputed.upper);
  }
  return 0;
}

}  // namespace

void add_impute(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<ImputeCommand>();
  CLI::App* const on =
      add_command(app, chosen, "impute", "missing entries from those that are there", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data with missing entries")->required();
  on->add_option("--out", c->out,
                 "NAME.csv, .tsv or .npy: the data, with the expected value of each missing entry")
      ->required();
  on->add_option("--importance-samples", c->options.samples, "draws of the posterior a datum")
      ->check(whole_from<int>(1))
      ->capture_default_str();
  on->add_option("--imputations", c->options.imputations,
                 "also so many completed data with drawn entries: NAME-1.csv ...")
      ->check(whole_from<int>(1));
  on->add_option(
        "--interval", c->options.interval,
        "also the ends of the interval in which an entry lies with this probability, up to "
        "0.99: NAME-lower.csv and NAME-upper.csv")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            double value = 0;
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), value);
            const bool fits = error == std::errc() && end == text.data() + text.size() &&
                              value > 0 && value <= 0.99;
            return fits ? "" : "'" + text + "' is no probability from above 0 to 0.99";
          },
          ""));
  add_seed(on, c->options.seed, "of the draws");
  add_device(on, c->device);
}

}  // namespace elbo
