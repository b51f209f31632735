#include "app/train_command.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "app/config_file.h"
#include "app/training_data.h"

namespace elbo {

namespace {

namespace fs = std::filesystem;

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

std::vector<int> widths(const std::string& text) {
  if (text == "none") return {};
  std::vector<int> list;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto first = part.find_first_not_of(' ');
    const auto last = part.find_last_not_of(' ');
    int width = 0;
    const char* begin = part.data() + (first == std::string::npos ? part.size() : first);
    const char* end = part.data() + (last == std::string::npos ? part.size() : last + 1);
    const auto [stop, error] = std::from_chars(begin, end, width);
    if (error != std::errc() || stop != end || width < 1)
      throw UsageError("--hidden: '" + text +
                       "' is not a list of widths >= 1 such as 400,200, nor none");
    list.push_back(width);
  }
  if (list.empty() || text.back() == ',')
    throw UsageError("--hidden: '" + text + "' is not a list of widths such as 400,200, nor none");
  return list;
}

/// Bytes, as 8G, 500M, 64K or a plain number.
std::optional<std::size_t> size_of(const std::string& text) {
  double value = 0;
  const char *first = text.data(), *last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, value, std::chars_format::fixed);
  const std::string_view unit(end, last);
  const int power = unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : unit.empty() ? 0 : -1;
  value = std::ldexp(value, power);
  if (error != std::errc() || power < 0 || !(value >= 1) || value >= 0x1p63) return {};
  return std::size_t(value);
}

/// Sets every option of the file that nothing before it has set.
void apply_config(CLI::App* command, const std::string& path) {
  for (const auto& [key, value] : read_config(path)) {
    CLI::Option* option = command->get_option_no_throw("--" + key);
    static const std::vector<std::string> only_flags{"help", "config", "resume", "force",
                                                     "from-epoch"};
    if (!option || std::count(only_flags.begin(), only_flags.end(), key))
      throw UsageError(path + ": unknown key '" + key + "'");
    if (option->count() > 0) continue;
    try {
      option->add_result(value);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw UsageError(path + ": " + error.what());
    }
  }
}

/// Lopez et al. (2018) and scvi-tools' defaults: one hidden layer of 128 units, 10 latent units.
void apply_scvi(CLI::App* command) {
  const std::pair<const char*, const char*> words[] = {
      {"--likelihood", "zinb"}, {"--rates", "library"},      {"--input", "log1p"},
      {"--norm", "batch"},      {"--norm-epsilon", "0.001"}, {"--norm-momentum", "0.01"},
      {"--dropout", "0.1"},     {"--hidden", "128"},         {"--latent", "10"}};
  for (const auto& [name, value] : words) {
    CLI::Option* const option = command->get_option(name);
    if (option->count() > 0) continue;
    option->add_result(value);
    option->run_callback();
  }
}

std::string default_out(const std::string& data) {
  fs::path path = fs::absolute(file_of(data)).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code none;
  std::string name = data.starts_with("builtin:")   ? data.substr(8)
                     : fs::is_directory(path, none) ? path.filename().string()
                                                    : path.stem().string();
  name = name.substr(0, name.find('?'));
  return (fs::path("runs") / (name.empty() ? "run" : name)).string();
}

/// Those of one domain, whose flags begin with `prefix`.
void check_law(const ModelConfig& domain, const std::string& prefix) {
  const auto only_for = [&](const std::string& flag, bool given,
                            const std::vector<std::string>& laws) {
    if (!given || std::count(laws.begin(), laws.end(), domain.likelihood)) return;
    std::string all;
    for (const std::string& name : laws) all += (all.empty() ? "" : ", ") + name;
    throw UsageError(prefix + flag + ": " + prefix + "likelihood " + domain.likelihood +
                     " has none; " + all + " has");
  };
  const ModelConfig defaults;
  const std::vector<std::string> counts{"poisson", "negative_binomial", "zinb"};
  only_for("sigma", domain.sigma != defaults.sigma,
           {"gaussian", "laplace", "student_t", "discretised_logistic"});
  only_for("degrees", domain.degrees != defaults.degrees, {"student_t"});
  only_for("dispersion", domain.dispersion != defaults.dispersion, {"negative_binomial", "zinb"});
  only_for("rates", domain.rates != defaults.rates, counts);
  only_for("levels", domain.levels != defaults.levels,
           {"discretised_logistic", "logistic_mixture"});
  only_for("components", domain.components != defaults.components, {"logistic_mixture"});
  only_for("classes", domain.classes != defaults.classes, {"categorical"});
  ModelConfig one = domain;
  one.observed = 1;
  if (one.classes == 0) one.classes = 2;  // the data will tell
  try {
    observation(one), encoder_input(one);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

/// What a model of two domains has not, and what only such a model has.
void check_domains(const TrainCommand& c) {
  if (c.with.empty()) {
    const ModelConfig plain;
    nlohmann::json defaults;
    ModelConfig::fields(plain,
                        [&](const char* name, const auto& value) { defaults[name] = value; });
    ModelConfig::fields(c.model, [&](const std::string& name, const auto& value) {
      if (name.starts_with("with-") && defaults[name] != nlohmann::json(value))
        throw UsageError("--" + name + ": there is no second domain; --with names its data");
    });
    if (!c.with_valid.empty())
      throw UsageError("--with-valid: there is no second domain; --with names its data");
    return;
  }
  if (c.model.model != "vae")
    throw UsageError("--with: only --model vae has latents for two domains to share");
  if (c.objective == "iwae" || c.samples > 1 || c.beta_warmup > 0 || c.beta_cycles > 0 ||
      c.free_bits > 0 || c.rate_budget > 0 || c.target != "none" || c.target_error != "none" ||
      c.corrupt != "none" || c.model.posterior_sigma > 0 || c.model.preparation.any())
    throw UsageError(
        "--with: two domains are trained for the sum of three ELBOs, with a constant --beta; "
        "without --objective iwae, --samples, --beta-warmup, --beta-cycles, --free-bits, "
        "--rate-budget, --target-distortion, --target-error, --corrupt, --posterior-sigma, "
        "--log1p, --centre, --standardise");
  if (c.model.input == "plain" || c.model.with_input == "plain")
    throw UsageError("--input plain: it has no place for a domain that is missing; masked has");
  const bool file = !c.valid.empty() && !held_out_fraction(c);
  if (file && c.with_valid.empty())
    throw UsageError("--valid: --with-valid is missing, the second domain's data");
  if (!file && !c.with_valid.empty())
    throw UsageError("--with-valid: --valid is missing, the first domain's data");
  check_law(second_domain(c.model), "--with-");
}

void check_words_that_belong_together(const TrainCommand& c) {
  const TrainCommand defaults;
  check_law(c.model, "--");
  check_domains(c);
  const bool weighted = c.beta != defaults.beta || c.beta_warmup > 0 || c.beta_cycles > 0;
  if (c.model.model != "vae" && (weighted || c.free_bits > 0))
    throw UsageError(
        "--beta, --beta-warmup, --beta-cycles, --free-bits: only --model vae has a KL term");
  if (c.model.model != "vae" && c.model.posterior_sigma > 0)
    throw UsageError("--posterior-sigma: only --model vae has a posterior");
  if (c.model.model != "vae" && (c.objective == "iwae" || c.samples > 1))
    throw UsageError("--objective iwae, --samples: only --model vae has a posterior to draw from");
  if (c.objective == "iwae" && (weighted || c.free_bits > 0))
    throw UsageError(
        "--beta, --beta-warmup, --beta-cycles, --free-bits: --objective iwae has no KL term");
  const int budgets = (c.rate_budget > 0) + (c.target != "none") + (c.target_error != "none");
  const bool fixed = c.model.likelihood == "gaussian" &&
                     (c.model.sigma == "auto" || c.model.sigma.starts_with("fixed:"));
  if (budgets > 0 && (c.model.model != "vae" || c.objective == "iwae" || c.beta_warmup > 0 ||
                      c.beta_cycles > 0 || c.free_bits > 0 || c.beta == 0))
    throw UsageError(
        "--rate-budget, --target-distortion, --target-error: they find the weight of the KL term "
        "of --model vae --objective elbo, without warm-up, cycles, free bits or --beta 0");
  if (budgets > 1)
    throw UsageError("--rate-budget, --target-distortion and --target-error exclude each other");
  if (c.target_error != "none" && !fixed)
    throw UsageError("--target-error: only --likelihood gaussian --sigma fixed:NUMBER has it");
  if (c.objective != "iwae" && c.gradient != defaults.gradient)
    throw UsageError("--gradient " + c.gradient + ": only --objective iwae has it");
  if (c.best && c.valid.empty())
    throw UsageError("--best, --patience: --valid is missing, the data that epochs are judged by");
  if (c.patience > 0 && c.beta_warmup >= c.epochs)
    throw UsageError("--patience: no epoch comes after --beta-warmup");
  if (c.beta_warmup > 0 && c.beta_cycles > 0)
    throw UsageError("--beta-warmup and --beta-cycles exclude each other");
}

}  // namespace

std::optional<Corruption> corruption_of(const std::string& text) {
  using Kind = Corruption::Kind;
  for (const auto& [name, kind] :
       {std::pair{"gaussian:", Kind::gaussian}, {"mask:", Kind::mask}, {"salt:", Kind::salt}}) {
    if (!text.starts_with(name)) continue;
    const auto amount = number_of(std::string_view(text).substr(std::strlen(name)));
    if (amount && *amount > 0 && (kind == Kind::gaussian || *amount < 1))
      return Corruption{.kind = kind, .amount = Real(*amount)};
  }
  return {};
}

CLI::Validator corruption_or_none() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (text == "none" || corruption_of(text)) return "";
        return "'" + text + "' is none of gaussian:SIGMA > 0, mask:P, salt:P with 0 < P < 1, none";
      },
      "");
}

namespace {

/// -log p(x|z) of a Gaussian with a known deviation, in nats, where Σ (x - x̂)² is `error`.
double nats_of_error(const ModelConfig& config, double error) {
  const double sigma = double(std::get<FixedGaussian>(observation(config).law).sigma);
  return error / (2 * sigma * sigma) +
         config.observed * std::log(2 * std::numbers::pi * sigma * sigma) / 2;
}

/// A finite number >= least, or none.
CLI::Validator number_or_none(double least) {
  return CLI::Validator(
      [least](std::string& text) -> std::string {
        if (text == "none") return "";
        const auto value = number_of(text);
        if (value && *value >= least) return "";
        std::ostringstream wanted;
        wanted << "'" << text << "' is neither a number";
        if (least > -1e300) wanted << " >= " << least;
        wanted << " nor none";
        return wanted.str();
      },
      "");
}

}  // namespace

void add_train_options(CLI::App* app, TrainCommand& c) {
  const auto add = [&](const char* name, auto& value, const std::string& what) {
    return app->add_option(name, value, what)->capture_default_str();
  };
  app->add_option("data,--data", c.data, "a data file, or builtin:NAME");
  app->add_option("--config", c.config, "TOML file with these names as keys; flags go before it");
  add("--model", c.model.model, "vae or ae")->check(one_of({"vae", "ae"}));
  app->add_option_function<std::string>(
         "--hidden", [&c](const std::string& text) { c.model.hidden = widths(text); },
         "widths of the hidden layers, outermost first: 400,200; or none")
      ->default_str("400");
  add("--latent", c.model.latent, "latent units")->check(whole_from<int>(1));
  add("--activation", c.model.activation, "between layers")->check(one_of(activation_names()));
  add("--norm", c.model.norm, "after hidden layers: none, batch or layer")
      ->check(one_of({"none", "batch", "layer"}));
  add("--norm-epsilon", c.model.norm_epsilon, "added to a norm's variance")
      ->check(number_from(0, false));
  add("--norm-momentum", c.model.norm_momentum, "of a batch norm's running estimates")
      ->check(number_from(0, true));
  add("--dropout", c.model.dropout, "share of the encoder's hidden units dropped in training")
      ->check(number_from(0, true));
  add("--input", c.model.input,
      "what the encoder sees: plain, masked (missing entries as 0), indicated (and beside each "
      "entry whether it is there), log1p, one_hot, levels")
      ->check(one_of({"auto", "plain", "masked", "indicated", "log1p", "one_hot", "levels"}));
  add("--likelihood", c.model.likelihood,
      "bernoulli, continuous_bernoulli, beta (0..1); gaussian, laplace, student_t (any number); "
      "poisson, negative_binomial, zinb (counts); discretised_logistic, logistic_mixture (grey "
      "levels); categorical (classes 0, 1, ...)")
      ->check(one_of(likelihood_names()));
  add("--sigma", c.model.sigma,
      "scale of gaussian, laplace, student_t, discretised_logistic: shared, feature or datum; "
      "of a gaussian also fixed:NUMBER; auto: fixed:1 of a gaussian, else datum");
  add("--degrees", c.model.degrees, "of freedom of student_t")->check(number_from(0, false));
  add("--dispersion", c.model.dispersion, "of counts: shared, feature or datum (a gene and cell)")
      ->check(one_of({"shared", "feature", "datum"}));
  add("--rates", c.model.rates,
      "of counts: plain; size (times the datum's total); library (a share of it, by softmax)")
      ->check(one_of({"plain", "size", "library"}));
  add("--levels", c.model.levels, "of discretised_logistic and logistic_mixture")
      ->check(whole_from<int>(2));
  add("--components", c.model.components, "of logistic_mixture")->check(whole_from<int>(1));
  add("--classes", c.model.classes, "of categorical; 0: as many as the data have")
      ->check(whole_from<int>(0));
  add("--posterior-sigma", c.model.posterior_sigma,
      "hold the posterior's deviation at this; 0: the encoder gives it")
      ->check(number_from(0, true));
  app->add_option("--with", c.with,
                  "data of a second domain, whose rows belong to those of DATA: latents that both "
                  "share, and elbo translate");
  const auto as_first = [&](const char* name, std::string& word, std::vector<std::string> words) {
    words.push_back("none");
    add(name, word, "of the second domain; none: as the first's")->check(one_of(words));
  };
  as_first("--with-likelihood", c.model.with_likelihood, likelihood_names());
  as_first("--with-input", c.model.with_input,
           {"masked", "indicated", "log1p", "one_hot", "levels"});
  add("--with-sigma", c.model.with_sigma, "of the second domain; none: as the first's");
  as_first("--with-dispersion", c.model.with_dispersion, {"shared", "feature", "datum"});
  as_first("--with-rates", c.model.with_rates, {"plain", "size", "library"});
  add("--with-degrees", c.model.with_degrees, "of the second domain; 0: as the first's")
      ->check(number_from(0, true));
  add("--with-levels", c.model.with_levels, "of the second domain; 0: as the first's")
      ->check(whole_from<int>(0));
  add("--with-components", c.model.with_components, "of the second domain; 0: as the first's")
      ->check(whole_from<int>(0));
  add("--with-classes", c.model.with_classes, "of the second domain; 0: as many as its data have")
      ->check(whole_from<int>(0));
  add("--condition", c.model.condition,
      "annotations of the data, such as label or line,batch, that encoder and decoder are told");
  app->add_flag("--log1p", c.model.preparation.log1p,
                "the model sees log(1 + x); for gaussian, laplace and student_t, as the next two");
  add("--centre", c.model.preparation.centre,
      "rows: each row's mean is taken off, as logarithms of sizes are; none")
      ->check(one_of({"none", "rows"}));
  add("--standardise", c.model.preparation.standardise,
      "to mean 0 and deviation 1, as the training data have them: columns, all (alike), none")
      ->check(one_of({"none", "columns", "all"}));
  app->add_option("--preset", c.preset,
                  "scvi: the model of scVI (zinb, library rates, log1p input, batch norm, dropout "
                  "0.1, --hidden 128, --latent 10); flags and config go before it")
      ->check(one_of({"scvi"}));
  add("--objective", c.objective, "elbo, or iwae: the importance-weighted bound of --samples draws")
      ->check(one_of({"elbo", "iwae"}));
  add("--samples", c.samples, "draws of the posterior a datum")->check(whole_from<int>(1));
  add("--gradient", c.gradient, "of iwae's posterior: standard, or dreg (of less variance)")
      ->check(one_of({"standard", "dreg"}));
  add("--beta", c.beta, "weight of the KL term")->check(number_from(0, true));
  add("--beta-warmup", c.beta_warmup, "epochs over which beta rises from 0")
      ->check(whole_from<int>(0));
  add("--beta-cycles", c.beta_cycles, "beta rises from 0 so many times, for half a cycle each")
      ->check(whole_from<int>(0));
  add("--free-bits", c.free_bits, "nats of KL that each latent unit has free")
      ->check(number_from(0, true));
  add("--rate-budget", c.rate_budget,
      "nats of KL that the latents may carry: beta is found, from --beta on; 0: none")
      ->check(number_from(0, true));
  add("--target-distortion", c.target,
      "find the beta at which -log p(x|z) is so many nats (GECO), or none")
      ->check(number_or_none(-1e300));
  add("--target-error", c.target_error,
      "the same as a squared error, of --likelihood gaussian --sigma fixed:NUMBER")
      ->check(number_or_none(0));
  add("--corrupt", c.corrupt,
      "what the encoder sees in training is spoilt: gaussian:SIGMA, mask:P (missing), salt:P "
      "(lowest or highest), or none")
      ->check(corruption_or_none());
  add("--epochs", c.epochs, "passes over the data")->check(whole_from<int>(1));
  add("--batch", c.batch, "data per step")->check(whole_from<int>(1));
  add("--lr", c.rate, "learning rate")->check(number_from(0, false));
  add("--lr-schedule", c.rate_schedule, "constant, cosine (to 0), or step (x 0.1 each third)")
      ->check(one_of({"constant", "cosine", "step"}));
  add("--optimizer", c.optimizer, "adam, adamw (decay 0.01) or sgd")
      ->check(one_of({"adam", "adamw", "sgd"}));
  add("--clip", c.clip, "largest norm of the gradient; 0: any")->check(number_from(0, true));
  add_seed(app, c.seed, "of weights, order and noise");
  add_device(app, c.device);
  add("--precision", c.precision, "of products on a GPU: fp32, tf32 or bf16")
      ->check(one_of({"fp32", "tf32", "bf16"}));
  add("--tier", c.tier,
      "how a GPU launches steps: graph, persistent (many in one kernel), cluster (that kernel on "
      "one cluster of blocks), or auto, as is fastest")
      ->check(one_of(tiers));
  add("--data-memory", c.data_memory,
      "of the device that the data may take, such as 8G or 500M; larger sets are streamed through "
      "it")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            const bool fits = text == "auto" || size_of(text);
            return fits ? "" : "'" + text + "' is neither auto nor a size such as 8G, 500M or 64K";
          },
          ""));
  app->add_option("--valid", c.valid, "validation data, or the fraction of DATA to hold out");
  app->add_option("--with-valid", c.with_valid, "the second domain's validation data");
  app->add_option("--out", c.out, "run folder [runs/<name of the data>]");
  app->add_flag("--best", c.best,
                "the model is that of the epoch with the highest validation ELBO (KL unweighted, "
                "after --beta-warmup); needs --valid");
  add("--patience", c.patience,
      "stop after so many epochs without a better one, and take the best; 0: never")
      ->check(whole_from<int>(0));
  add("--checkpoint-every", c.checkpoint_every,
      "epochs; such checkpoints are kept beside the last one; 0: none")
      ->check(whole_from<int>(0));
  add("--keep", c.keep, "of --checkpoint-every, the last so many")->check(whole_from<int>(1));
  add("--recover", c.recover,
      "when a loss is not finite, go back to the last checkpoint at half the rate, so many times")
      ->check(whole_from<int>(0));
  app->add_flag("--tensorboard", c.tensorboard,
                "also write the metrics for TensorBoard: tensorboard --logdir RUN");
  app->add_flag("--resume", c.resume, "go on from the run folder's checkpoint");
  app->add_option("--from-epoch", c.from_epoch,
                  "with --resume: go on from the checkpoint that is kept of that epoch")
      ->check(whole_from<int>(1));
  app->add_flag("--force", c.force, "replace what Elbo wrote into the run folder before");
}

void finish_train(CLI::App* command, TrainCommand& c) {
  if (!c.config.empty()) apply_config(command, c.config);
  if (c.out.empty() && !c.data.empty()) c.out = default_out(c.data);
  if (c.resume && c.force) throw UsageError("--resume and --force exclude each other");
  if (c.resume && !c.out.empty()) {
    const fs::path stored = RunDirectory(c.out).path(RunDirectory::config_toml);
    require(fs::is_regular_file(stored), c.out, ": there is no run to resume");
    apply_config(command, stored.string());
  }
  if (c.from_epoch > 0 && !c.resume) throw UsageError("--from-epoch: --resume is missing");
  if (c.patience > 0) c.best = true;
  if (c.preset == "scvi") apply_scvi(command);
  if (c.data.empty()) throw UsageError("DATA is missing: name a data file, or builtin:digits");
  c.data = lasting(c.data), c.valid = lasting(c.valid);
  c.with = lasting(c.with), c.with_valid = lasting(c.with_valid);
  check_words_that_belong_together(c);
}

TrainCommand stored_command(const RunDirectory& folder) {
  const std::string file = folder.path(RunDirectory::config_toml).string();
  require(fs::is_regular_file(file), folder.folder().string(),
          fs::is_directory(folder.folder()) ? ": is not a run (it has no config.toml)"
                                            : ": there is no such run");
  try {
    CLI::App train;
    TrainCommand command;
    add_train_options(&train, command);
    train.parse({file, "--config"});  // in the order that CLI11 takes words from
    finish_train(&train, command);
    return command;
  } catch (const UsageError& error) {
    fail(error.what());  // the file's mistake, not the command's
  }
}

std::optional<std::size_t> data_memory(const TrainCommand& c) { return size_of(c.data_memory); }

TrainingOptions training_options(const TrainCommand& c, const ModelConfig& config, long rows) {
  const long batch = std::min<long>(c.batch, rows);
  const std::uint64_t per_epoch = std::uint64_t(rows / batch + (rows % batch > 1));
  const std::uint64_t total = per_epoch * std::uint64_t(c.epochs);
  TrainingOptions options;
  options.batch = int(batch), options.epochs = c.epochs, options.seed = c.seed;
  options.clip = Real(c.clip);
  options.tier = tier_named(c.tier);
  const Real rate = Real(c.rate), beta = Real(c.beta);
  if (c.rate_schedule == "constant") options.rate = Constant{rate};
  if (c.rate_schedule == "cosine") options.rate = Cosine{rate, total};
  if (c.rate_schedule == "step") options.rate = StepDecay{.value = rate, .every = (total + 2) / 3};
  options.beta = Constant{beta};
  if (c.beta_warmup > 0) options.beta = WarmUp{beta, per_epoch * std::uint64_t(c.beta_warmup)};
  if (const auto cycles = std::uint64_t(c.beta_cycles))
    options.beta = Cyclical{.value = beta, .period = (total + cycles - 1) / cycles};
  options.bound = c.objective == "iwae" ? Bound::iwae : Bound::elbo;
  options.gradient = c.gradient == "dreg" ? Gradient::dreg : Gradient::standard;
  if (c.rate_budget > 0) options.budget = {.nats = c.rate_budget};
  if (c.target != "none")
    options.budget = {.bounds = Ascent::Bounds::distortion, .nats = *number_of(c.target)};
  if (c.target_error != "none")
    options.budget = {.bounds = Ascent::Bounds::distortion,
                      .nats = nats_of_error(config, *number_of(c.target_error))};
  // The search must be over well before the training is.
  if (options.budget) options.budget->rate = std::clamp(20 / double(total), 0.01, 0.05);
  options.corruption = corruption_of(c.corrupt);
  if (options.corruption)
    options.corruption->low = Real(config.low), options.corruption->high = Real(config.high);
  options.samples = c.samples, options.free_bits = Real(c.free_bits);
  if (c.optimizer == "adam") options.rule = Adam{};
  if (c.optimizer == "adamw") options.rule = Adam{.decoupled_decay = 0.01};
  if (c.optimizer == "sgd") options.rule = Sgd{};
  return options;
}

nlohmann::ordered_json settings(const TrainCommand& c) {
  nlohmann::ordered_json s;
  s["data"] = c.data;
  if (!c.with.empty()) s["with"] = c.with;
  if (!c.valid.empty()) s["valid"] = c.valid;
  if (!c.with_valid.empty()) s["with-valid"] = c.with_valid;
  ModelConfig::fields(c.model, [&](const char* name, const auto& value) { s[name] = value; });
  s["objective"] = c.objective;
  s["samples"] = c.samples;
  s["gradient"] = c.gradient;
  s["beta"] = c.beta;
  s["beta-warmup"] = c.beta_warmup;
  s["beta-cycles"] = c.beta_cycles;
  s["free-bits"] = c.free_bits;
  if (c.rate_budget > 0) s["rate-budget"] = c.rate_budget;
  if (c.target != "none") s["target-distortion"] = c.target;
  if (c.target_error != "none") s["target-error"] = c.target_error;
  if (c.corrupt != "none") s["corrupt"] = c.corrupt;
  s["epochs"] = c.epochs;
  s["batch"] = c.batch;
  s["lr"] = c.rate;
  s["lr-schedule"] = c.rate_schedule;
  s["optimizer"] = c.optimizer;
  s["clip"] = c.clip;
  s["seed"] = c.seed;
  s["device"] = c.device;
  s["precision"] = c.precision;
  if (c.tier != "auto") s["tier"] = c.tier;
  // Not auto: what that came to stands in the checkpoint.
  if (data_memory(c)) s["data-memory"] = c.data_memory;
  if (c.best) s["best"] = true;
  if (c.patience > 0) s["patience"] = c.patience;
  if (c.checkpoint_every > 0) s["checkpoint-every"] = c.checkpoint_every, s["keep"] = c.keep;
  if (c.recover > 0) s["recover"] = c.recover;
  if (c.tensorboard) s["tensorboard"] = true;
  return s;
}

}  // namespace elbo
