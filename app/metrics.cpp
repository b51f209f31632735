#include "app/metrics.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/event_file.h"
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

/// Seconds since 1970.
double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// valid_elbo → valid/elbo
std::string tag_of(const std::string& key) {
  if (key.starts_with("valid_")) return "valid/" + key.substr(std::strlen("valid_"));
  if (key == "beta" || key == "lr") return "schedule/" + key;
  if (key == "seconds" || key == "data_per_second") return "speed/" + key;
  return "train/" + key;
}

/// What a line of metrics.jsonl says, as a record of a file of events.
std::string record_of(const Json& metrics, double time) {
  std::vector<std::pair<std::string, float>> scalars;
  for (const auto& [key, value] : metrics.items())
    if (key != "epoch" && value.is_number()) scalars.emplace_back(tag_of(key), value.get<float>());
  return scalars_record(time, metrics.at("epoch").get<std::int64_t>(), scalars);
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

void MetricsFiles::rewrite(const std::vector<std::string>& lines) {
  std::string jsonl, csv;
  for (const std::string& line : lines) {
    if (csv.empty()) csv = csv_header(line);
    jsonl += line + "\n", csv += csv_line(line);
  }
  write_file(folder_.path(RunDirectory::metrics_jsonl).string(), jsonl);
  write_file(folder_.path(RunDirectory::metrics_csv).string(), csv);
  if (tensorboard_) rewrite_events(lines);
}

/// Begins a new file, as a TensorBoard that looks at the run goes on to the file of the latest
/// name. It does so only while the one before is there, so that one stays until the next time,
/// empty.
void MetricsFiles::rewrite_events(const std::vector<std::string>& lines) {
  for (const auto& file : folder_.event_files())
    if (std::filesystem::is_empty(file)) std::filesystem::remove(file);
    else std::filesystem::resize_file(file, 0);
  const double time = now();
  events_ = folder_.path(RunDirectory::events).string() + fmt::format("{:.0f}.elbo", 1e6 * time);
  double left = 0;  // seconds that the lines to come have taken
  std::vector<Json> metrics;
  for (const std::string& line : lines)
    left += metrics.emplace_back(Json::parse(line)).at("seconds").get<double>();
  std::string records = first_records(time - left);
  for (const Json& m : metrics) {
    left -= m.at("seconds").get<double>();
    records += record_of(m, time - left);
  }
  std::filesystem::create_directories(std::filesystem::path(events_).parent_path());
  append_to(events_, records);
}

void MetricsFiles::append(const std::string& line) const {
  const Json metrics = Json::parse(line);
  append_to(folder_.path(RunDirectory::metrics_jsonl).string(), line + "\n");
  append_to(folder_.path(RunDirectory::metrics_csv).string(),
            (metrics.at("epoch") == 1 ? csv_header(line) : "") + csv_line(line));
  if (tensorboard_) append_to(events_, record_of(metrics, now()));
}

}  // namespace elbo
