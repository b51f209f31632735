#include "app/metrics.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/atomic_file.h"
#include "runtime/error.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

std::string csv_line(const std::string& line) {
  std::string text;
  const Json metrics = Json::parse(line);
  for (const auto& [key, value] : metrics.items())
    text += (text.empty() ? "" : ",") + (value.is_null() ? "" : value.dump());
  return text + "\n";
}

std::string csv_header(const std::string& line) {
  std::string text;
  const Json metrics = Json::parse(line);
  for (const auto& [key, value] : metrics.items()) text += (text.empty() ? "" : ",") + key;
  return text + "\n";
}

/// The double that is written as the float is: 0.001 instead of 0.0010000000474974513.
double as_typed(double value) {
  const std::string text = fmt::format("{}", float(value));
  double typed = 0;
  std::from_chars(text.data(), text.data() + text.size(), typed);
  return typed;
}

/// Adds the whole text or nothing.
void append_to(const std::string& path, const std::string& text) {
  std::error_code none;
  const auto before = std::filesystem::file_size(path, none);
  errno = 0;
  std::ofstream out(path, std::ios::app | std::ios::binary);
  out << text << std::flush;
  if (out.good()) return;
  const int reason = errno;
  out.close();
  if (!none) std::filesystem::resize_file(path, before, none);
  fail(path, ": cannot be written: ", std::strerror(reason));
}

}  // namespace

std::string to_line(const EpochMetrics& m, bool variational) {
  const auto bound = [&](double value) { return variational ? Json(value) : Json(nullptr); };
  Json json;
  json["epoch"] = m.epoch;
  json["bound"] = m.train.bound ? Json(*m.train.bound) : nullptr;
  json["elbo"] = bound(m.train.elbo);
  json["log_likelihood"] = m.train.log_likelihood;
  json["kl"] = bound(m.train.kl);
  // Always there, so that every line of the CSV has the same columns.
  json["valid_elbo"] = m.valid ? bound(m.valid->elbo) : nullptr;
  json["valid_log_likelihood"] = m.valid ? Json(m.valid->log_likelihood) : nullptr;
  json["valid_kl"] = m.valid ? bound(m.valid->kl) : nullptr;
  json["beta"] = as_typed(m.beta);
  json["lr"] = as_typed(m.rate);
  json["data_per_second"] = m.data_per_second;
  json["seconds"] = m.seconds;
  return json.dump();
}

void MetricsFiles::rewrite(const std::vector<std::string>& lines) const {
  std::string jsonl, csv;
  for (const std::string& line : lines) {
    if (csv.empty()) csv = csv_header(line);
    jsonl += line + "\n", csv += csv_line(line);
  }
  write_file(folder_.path(RunDirectory::metrics_jsonl).string(), jsonl);
  write_file(folder_.path(RunDirectory::metrics_csv).string(), csv);
}

void MetricsFiles::append(const std::string& line) const {
  const bool first = Json::parse(line).at("epoch") == 1;
  append_to(folder_.path(RunDirectory::metrics_jsonl).string(), line + "\n");
  append_to(folder_.path(RunDirectory::metrics_csv).string(),
            (first ? csv_header(line) : "") + csv_line(line));
}

}  // namespace elbo
