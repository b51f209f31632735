#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/data_facts.h"

namespace elbo {

namespace {

struct InspectCommand {
  std::string data;
  double sigma2 = 0, beta = 1;  // 0: several variances
  bool json = false;
};

/// Above it the eigenvalues take minutes.
constexpr int most_columns = 4000;

struct Choice {
  std::string likelihood, reason;
};

struct Advice {
  std::vector<Choice> choices;  // that of the command line first
  std::string flags;
  std::vector<std::string> warnings;
  bool real = false;  // the numbers of a Gaussian, not counts or classes
};

bool is_counts(const Inspection& i) {
  return i.whole && i.least >= 0 && i.most > 1 && (i.zeros > 0.1 || i.most > 255);
}

/// Levels on a log scale, as of expression, have no sign, and many columns of one unit.
bool may_be_logs(const Dataset& data, const Inspection& i) {
  return data.image_height == 0 && !i.whole && i.least >= 0 && i.most > 1 && i.most < 100 &&
         i.columns >= 20;
}

void advise_counts(const Dataset& data, const Inspection& i, Advice& advice) {
  const bool dispersed = i.dispersion > 1.2;
  const Choice poisson{"poisson", "counts without more variance than mean"};
  const Choice negative{
      "negative_binomial",
      fmt::format("counts; the columns' variances are {:.3g} times their means", i.dispersion)};
  advice.choices = dispersed ? std::vector{negative, poisson} : std::vector{poisson, negative};
  advice.choices.push_back({"zinb", "counts with more zeros than their dispersion explains"});
  const SizeEffect size = size_effect(data, true);
  if (size.correlation > 0.7 || i.totals.most > 3 * std::max(i.totals.least, 1.))
    advice.flags += " --rates library";
  if (size.correlation > 0.7)
    advice.warnings.push_back(fmt::format(
        "size dominates: the first principal component of log(1 + x) and the rows' logarithmic "
        "totals correlate by {:.2f}; --rates library takes the total out of what is learnt",
        size.correlation));
}

void advise_real(const Dataset& data, const Inspection& i, Advice& advice) {
  advice.real = true;
  const Choice gaussian{"gaussian", "any numbers"};
  const Choice student{"student_t", fmt::format("any numbers; heavy tails (excess kurtosis {:.3g}, "
                                                "median over columns)",
                                                i.excess)};
  const bool tails = i.excess > 3;
  const bool unit = i.least >= 0 && i.most <= 1;
  if (unit) {
    const bool open = i.least > 0 && i.most < 1;
    advice.choices.push_back({"continuous_bernoulli", "numbers in [0, 1]"});
    if (open) advice.choices.insert(advice.choices.begin(), {"beta", "numbers between 0 and 1"});
    advice.choices.push_back({"bernoulli", "numbers in [0, 1], read as probabilities"});
  }
  if (tails && !unit) advice.choices.push_back(student);
  advice.choices.push_back(gaussian);
  if (!tails) advice.choices.push_back({"laplace", "any numbers; less moved by outliers"});
  if (!unit) advice.flags += " --sigma feature";
  if (!unit && i.deviations > 10) {
    advice.flags += " --standardise columns";
    advice.warnings.push_back(
        fmt::format("the columns' standard deviations differ by a factor of {:.3g}: standardise "
                    "them, or the largest decide alone what is learnt",
                    i.deviations));
  }
  if (may_be_logs(data, i)) {
    const SizeEffect size = size_effect(data, false);
    if (size.correlation > 0.7) {
      advice.flags += " --centre rows";
      advice.warnings.push_back(fmt::format(
          "size dominates: the first principal component and the rows' means correlate by {:.2f}, "
          "and carry {:.0f} % of the variance; --centre rows takes the mean out of what is learnt",
          size.correlation, 100 * size.share));
    }
  }
}

Advice advise(const Dataset& data, const Inspection& i) {
  Advice advice;
  const bool grey = data.image_height > 0 && data.type == Dataset::Type::u8 && data.scale != 1;
  if (!data.alphabet.empty()) {
    advice.choices = {{"categorical", "letters of the alphabet " + data.alphabet}};
    advice.flags = fmt::format(" --classes {}", data.alphabet.size());
  } else if (i.whole && i.least >= 0 && i.most <= 1) {
    advice.choices = {{"bernoulli", "every value is 0 or 1"}};
    if (i.one_hot > 2)
      advice.warnings.push_back(fmt::format(
          "one-hot groups of {} columns: as classes 0 to {}, a column a group, --likelihood "
          "categorical knows that one of them is 1",
          i.one_hot, i.one_hot - 1));
  } else if (grey) {
    advice.real = true;
    advice.choices = {{"discretised_logistic", "grey levels 0 to 255, each with a probability"},
                      {"logistic_mixture", "the same, with several modes"},
                      {"bernoulli", "grey levels read as probabilities; no density of them"},
                      {"continuous_bernoulli", "grey levels as numbers in [0, 1]"},
                      {"gaussian", "grey levels as any numbers, --sigma fixed:S"}};
  } else if (is_counts(i)) {
    advise_counts(data, i, advice);
  } else {
    advise_real(data, i, advice);
    if (i.whole && i.least >= 0 && i.most < 256) {
      advice.choices.push_back({"categorical", fmt::format("whole numbers 0 to {}, as classes "
                                                           "without an order",
                                                           i.most)});
      advice.choices.push_back({"poisson", "whole numbers, if they count something"});
    }
  }
  if (i.missing > 0) {
    if (advice.real || advice.choices[0].likelihood == "bernoulli")
      advice.flags += " --input indicated";
    advice.warnings.push_back("missing entries have no part in the likelihood");
  }
  for (const int c : i.few_values)
    if (int(i.few_values.size()) * 2 < i.columns) {
      const std::string name =
          data.column_names.empty() ? std::to_string(c + 1) : data.column_names[std::size_t(c)];
      advice.warnings.push_back(fmt::format(
          "column {} holds few whole numbers: if it is a class, ?labels={} takes it out", name,
          name));
    }
  if (!i.constant.empty())
    advice.warnings.push_back(fmt::format("{} columns hold one value only", i.constant.size()));
  if (i.duplicates > 0)
    advice.warnings.push_back(
        fmt::format("{} rows equal an earlier one: parts of a split may share them", i.duplicates));
  return advice;
}

std::string command_line(const InspectCommand& c, const Advice& advice) {
  const bool plain = c.data.find_first_of(" ?&'\"()$*;<>|") == std::string::npos;
  return fmt::format("elbo train {} --likelihood {}{}", plain ? c.data : '\'' + c.data + '\'',
                     advice.choices[0].likelihood, advice.flags);
}

struct Active {
  double sigma2 = 0;
  long units = 0;
};

/// Empty where the spectrum was left out.
std::vector<Active> active_units(const InspectCommand& c, const Dataset& data,
                                 const Advice& advice) {
  if ((!advice.real && c.sigma2 == 0) || data.columns > most_columns) return {};
  const std::vector<double> spectrum = covariance_spectrum(data);
  std::vector<Active> all;
  for (const double sigma2 :
       c.sigma2 > 0 ? std::vector{c.sigma2} : std::vector{1., 0.5, 0.25, 0.1, 0.05, 0.01}) {
    const auto above = [&](double value) { return value > c.beta * sigma2; };
    all.push_back({sigma2, std::count_if(spectrum.begin(), spectrum.end(), above)});
  }
  return all;
}

void print(const InspectCommand& c, const Dataset& data, const Inspection& i,
           const Advice& advice) {
  fmt::print("{}\n", c.data);
  for (const auto& [what, text] : facts(data, i)) fmt::print("  {:<12}{}\n", what, text);
  fmt::print("\nlikelihoods that apply, the recommended one first\n");
  for (const Choice& choice : advice.choices)
    fmt::print("  {:<22}{}\n", choice.likelihood, choice.reason);
  if (advice.real || c.sigma2 > 0) {
    fmt::print("\nlatent units that a linear VAE with a Gaussian of variance sigma2 keeps{}\n",
               c.beta == 1 ? "" : fmt::format(" at beta {}", c.beta));
    if (data.columns > most_columns)
      fmt::print("  left out: {} columns, up to {} are looked at\n", data.columns, most_columns);
    for (const Active& active : active_units(c, data, advice))
      fmt::print("  sigma2 {:<6}{} units\n", active.sigma2, active.units);
  }
  if (!advice.warnings.empty()) fmt::print("\n");
  for (const std::string& warning : advice.warnings) fmt::print("note: {}\n", warning);
  fmt::print("\n{}\n", command_line(c, advice));
  std::fflush(stdout);
}

void print_json(const InspectCommand& c, const Dataset& data, const Inspection& i,
                const Advice& advice) {
  nlohmann::ordered_json json;
  json["data"] = c.data;
  json["rows"] = i.rows, json["columns"] = i.columns;
  if (data.image_height > 0)
    json["image_height"] = data.image_height, json["image_width"] = data.image_width;
  json["stored_as"] = stored_as(data);
  json["missing"] = i.missing;
  json["least"] = i.least, json["most"] = i.most;
  json["whole"] = i.whole;
  json["zeros"] = i.zeros, json["ones"] = i.ones;
  json["one_hot"] = i.one_hot;
  json["constant"] = i.constant;
  json["duplicates"] = i.duplicates;
  json["totals"] = {i.totals.least, i.totals.median, i.totals.most};
  json["dispersion"] = i.dispersion, json["excess_kurtosis"] = i.excess;
  json["labelled"] = !data.labels.empty();
  json["annotations"] = nlohmann::ordered_json::array();
  for (const Annotation& a : data.annotations)
    json["annotations"].push_back({{"name", a.name}, {"levels", a.levels}});
  for (const Choice& choice : advice.choices)
    json["likelihoods"].push_back({{"name", choice.likelihood}, {"reason", choice.reason}});
  json["active_units"] = nlohmann::ordered_json::array();
  for (const Active& active : active_units(c, data, advice))
    json["active_units"].push_back(
        {{"sigma2", active.sigma2}, {"beta", c.beta}, {"units", active.units}});
  json["notes"] = advice.warnings;
  json["command"] = command_line(c, advice);
  std::cout << json.dump(2) << '\n';
}

int run(const InspectCommand& c) {
  const Dataset data = read_dataset(c.data);
  const Inspection found = inspect(data);
  const Advice advice = advise(data, found);
  (c.json ? print_json : print)(c, data, found, advice);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<InspectCommand>();
  CLI::App* const on = add_command(app, chosen, "inspect", "what data are, and what suits them", c);
  on->add_option("data", c->data, "a data file, or builtin:NAME")->required();
  on->add_option("--sigma2", c->sigma2,
                 "count the latent units of a linear VAE for this variance only")
      ->check(number_from(0, false));
  on->add_option("--beta", c->beta, "weight of the KL term in that count")
      ->check(number_from(0, true))
      ->capture_default_str();
  on->add_flag("--json", c->json, "as JSON");
}

}  // namespace elbo
