#include "app/data_facts.h"

#include <fmt/format.h>

#include <set>

namespace elbo {

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

}  // namespace elbo
