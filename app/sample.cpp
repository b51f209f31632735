#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/commands.h"
#include "app/latents.h"
#include "app/pictures.h"
#include "app/tables.h"
#include "app/training_data.h"
#include "data/counter_hash.h"
#include "data/fasta.h"
#include "models/gaussian_mixture.h"

namespace elbo {

namespace {

struct SampleCommand {
  std::string run, out, from, near, condition, mode = "mean", device = "auto";
  long count = 64;
  double temperature = 1;
  std::uint64_t seed = 0;
};

/// Of gmm:K; nothing for another word.
std::optional<int> components_of(const std::string& word) {
  if (!word.starts_with("gmm:")) return {};
  int components = 0;
  const char *first = word.data() + 4, *last = word.data() + word.size();
  const auto [end, error] = std::from_chars(first, last, components);
  return error == std::errc() && end == last && components > 0 ? std::optional(components)
                                                               : std::nullopt;
}

CLI::Validator a_source() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (text == "prior" || text == "posterior" || components_of(text)) return "";
        return "'" + text + "' is none of prior, posterior, gmm:K with K >= 1";
      },
      "");
}

struct Latents {
  std::vector<float> z, given;
};

/// Rows of q(z|x): `count` of each datum in turn, or, if they are many data's together, of a datum
/// at random each.
Latents of_posteriors(const SampleCommand& c, const Encoded& q, const Dataset& data) {
  const auto units = std::size_t(q.units);
  const long rows = c.near.empty() ? c.count : data.rows * c.count;
  const std::vector<float> noise = normal_latents(q.units, rows, c.seed);
  Latents drawn;
  for (long i = 0; i < rows; ++i) {
    const std::uint64_t hash = counter_hash(c.seed, std::uint64_t(i), 0);
    const auto datum =
        std::size_t(c.near.empty() ? long(hash % std::uint64_t(data.rows)) : i / c.count);
    for (std::size_t u = 0; u < units; ++u)
      drawn.z.push_back(float(q.mean[datum * units + u] +
                              c.temperature * std::exp(q.log_variance[datum * units + u] / 2) *
                                  noise[std::size_t(i) * units + u]));
    const auto told = data.given.begin() + std::ptrdiff_t(datum) * data.given_columns;
    drawn.given.insert(drawn.given.end(), told, told + data.given_columns);
  }
  return drawn;
}

Latents latents_of(const SampleCommand& c, const RunDirectory& folder, const Model& model) {
  if (c.from == "prior") {
    Latents prior{prior_latents(model, c.count, c.seed), told_by(model, c.condition)};
    for (float& z : prior.z) z *= float(c.temperature);
    return prior;
  }
  const auto components = components_of(c.from);
  require(components || model.variational(),
          "--from posterior: an autoencoder has none; --from "
          "gmm:K draws from what its codes look like");
  const Dataset data =
      c.near.empty() ? trained_on(folder, model) : model.taken(read_dataset(c.near));
  Batches batches(model.device(), data, 0);
  const Encoded q = encode(model, batches, c.seed);
  if (components) {
    const GaussianMixture mixture(model.variational() ? q.sample : q.mean, q.units,
                                  {.components = *components, .seed = c.seed});
    return {mixture.draw(c.count, c.seed, c.temperature), told_by(model, c.condition)};
  }
  Latents drawn = of_posteriors(c, q, data);
  if (!c.condition.empty()) drawn.given = told_by(model, c.condition);
  return drawn;
}

/// The data that say what columns and classes are called.
Dataset named_data(const SampleCommand& c, const RunDirectory& folder) {
  return c.near.empty() ? read_training_data(stored_command(folder)).train : read_dataset(c.near);
}

/// The columns' names, as far as the data have any, of each column's parameters where those are
/// written.
std::vector<std::string> names_of(const SampleCommand& c, const Dataset& data, const Model& model) {
  if (c.mode != "params") return data.column_names;
  std::vector<std::string> names;
  for (const std::string& column : data.column_names)
    for (const std::string& parameter : model.parameter_names())
      names.push_back(column + ":" + parameter);
  return names;
}

int run(const SampleCommand& given) {
  SampleCommand c = given;
  if (c.from.empty()) c.from = c.near.empty() ? "prior" : "posterior";
  const RunDirectory folder(c.run);
  const bool png = ends_in_png(c.out);
  if (png && c.mode == "params")
    throw UsageError("--mode params: parameters are no picture; write a .npy or .csv file");
  const bool fasta = ends_in_fasta(c.out);
  if (fasta && c.mode == "params")
    throw UsageError("--mode params: parameters are no letters; write a .npy or .csv file");
  if (!png && !fasta && !ends_in_table(c.out))
    throw UsageError("--out: '" + c.out + "' ends in none of .npy, .csv, .tsv, .fasta and .png");
  if (!c.near.empty() && c.from == "prior")
    throw UsageError("--near: the prior is near no data; add --from posterior or gmm:K");
  const Device device = device_named(c.device, folder);
  const StoredModel stored = folder.stored_model();
  if (png) require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device);
  const Latents latents = latents_of(c, folder, model);
  const std::vector<Real> theta = decode(model, latents.z, latents.given);
  const bool letters = fasta && c.mode == "mean" && model.config().likelihood == "categorical";
  std::vector<float> x =
      letters ? most_probable(model, theta) : in_mode(c.mode, model, theta, c.seed);
  const long rows = long(latents.z.size()) / model.config().latent;
  if (png) {
    const double side = c.near.empty() ? std::sqrt(double(rows)) : double(c.count);
    write_pictures(c.out, model, stored, std::move(x), int(std::ceil(side)));
    return 0;
  }
  if (fasta) {
    const Dataset data = named_data(c, folder);
    require(!data.alphabet.empty(), "--out ", c.out, ": ", data.source,
            " holds no sequences, and classes have no letters without an alphabet");
    std::vector<std::string> names;
    for (long r = 1; r <= rows; ++r) names.push_back("sample-" + std::to_string(r));
    write_fasta(c.out, names, x, data.alphabet);
    return 0;
  }
  Dataset table;
  table.rows = rows, table.columns = int(long(x.size()) / rows);
  if (!c.out.ends_with(".npy")) table.column_names = names_of(c, named_data(c, folder), model);
  write_table(c.out, table, x);
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<SampleCommand>();
  CLI::App* const on = add_command(app, chosen, "sample", "new data", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("-n,--count", c->count, "how many; with --from posterior --near, of each datum")
      ->check(whole_from<long>(1))
      ->capture_default_str();
  on->add_option("--from", c->from,
                 "latents from the prior; from posterior: q(z|x) of a training datum at random "
                 "each; from gmm:K: a mixture of K Gaussians fitted to the codes [prior; with "
                 "--near posterior]")
      ->check(a_source());
  on->add_option("--near", c->near, "data to take the place of the training data in that");
  on->add_option("--temperature", c->temperature,
                 "what the deviation of the latents is multiplied by")
      ->check(number_from(0, true))
      ->capture_default_str();
  on->add_option("--condition", c->condition, "what a conditional model is told: NAME=VALUE,…");
  on->add_option("--mode", c->mode,
                 "mean: expected data; sample: drawn data; params: the decoder's parameters")
      ->check(one_of({"mean", "sample", "params"}))
      ->capture_default_str();
  add_seed(on, c->seed, "of the draws");
  on->add_option("--out", c->out, "file.npy, .csv, .tsv, .fasta (of sequences), or .png")
      ->required();
  add_device(on, c->device);
}

}  // namespace elbo
