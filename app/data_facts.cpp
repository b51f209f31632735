#include "app/data_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace elbo {

namespace {

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

}  // namespace

std::string stored_as(const Dataset& data) {
  const char* const types[] = {"bytes", "float32", "lists of what is not 0"};
  std::string text = types[int(data.type)];
  if (data.scale != 1) text += fmt::format(", times 1/{:.0f}", 1 / data.scale);
  return text;
}

std::vector<std::pair<std::string, std::string>> facts(const Dataset& data, const Inspection& i) {
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&](const char* what, const std::string& text) { all.emplace_back(what, text); };
  add("shape",
      fmt::format("{} rows x {} columns{}", data.rows, data.columns,
                  data.image_height == 0
                      ? ""
                      : fmt::format(", images of {} x {}", data.image_height, data.image_width)));
  add("stored as", stored_as(data));
  if (i.rows < data.rows) add("looked at", fmt::format("the first {} rows", i.rows));
  add("missing", i.missing == 0
                     ? "nothing"
                     : fmt::format("{} of {} entries", i.missing, i.rows * long(i.columns)));
  add("values", fmt::format("{:.6g} to {:.6g}{}; {:.1f} % zeros", i.least, i.most,
                            i.whole ? ", whole numbers" : "", 100 * i.zeros));
  if (i.one_hot > 0) add("one-hot", fmt::format("groups of {} columns", i.one_hot));
  if (i.least >= 0)
    add("totals", fmt::format("{:.6g} (least), {:.6g} (median), {:.6g} (most) a row",
                              i.totals.least, i.totals.median, i.totals.most));
  add("constant", fmt::format("{} columns", i.constant.size()));
  add("duplicates", fmt::format("{} rows", i.duplicates));
  if (!data.labels.empty())
    add("labels",
        fmt::format("{} classes", std::set<int>(data.labels.begin(), data.labels.end()).size()));
  for (const Annotation& a : data.annotations)
    add("annotation",
        a.name + (a.levels.empty() ? ": numbers" : fmt::format(": {} levels", a.levels.size())));
  return all;
}

Advice advise(const Dataset& data, const Inspection& i) {
  Advice advice{.choices = {}, .flags = {}, .warnings = {}, .rows = i.rows};
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

}  // namespace elbo
