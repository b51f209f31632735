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
