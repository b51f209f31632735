#include "app/training_data.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "data/domains.h"

namespace elbo {

std::optional<double> held_out_fraction(const TrainCommand& c) {
  double fraction = 0;
  const char *first = c.valid.data(), *last = c.valid.data() + c.valid.size();
  const auto [end, error] = std::from_chars(first, last, fraction);
  if (c.valid.empty() || error != std::errc() || end != last) return {};
  return fraction;
}

Domains read_domains(const ModelConfig& config, const std::string& data, const std::string& with,
                     const TrainingHost& host) {
  Dataset first = host.read(data);
  if (takes_levels(config)) first.scale = 1;
  if (with.empty()) return {std::move(first)};
  Dataset second = host.read(with);
  if (takes_levels(second_domain(config))) second.scale = 1;
  const int columns = second.columns;
  return {side_by_side(first, std::move(second)), columns};
}

TrainingData read_training_data(const TrainCommand& c, const TrainingHost& host) {
  auto [data, with_columns] = read_domains(c.model, c.data, c.with, host);
  if (c.valid.empty()) return {std::move(data), {}, with_columns};
  const auto fraction = held_out_fraction(c);
  if (!fraction)
    return {std::move(data), read_domains(c.model, c.valid, c.with_valid, host).data, with_columns};
  Split parts = split(data, *fraction, c.seed);
  return {std::move(parts.train), std::move(parts.valid), with_columns};
}

double typical_total(const Dataset& data, int first, int columns) {
  double logs = 0;
  long count = 0;
  for (long r = 0; r < data.rows; ++r) {
    double total = 0;
    bool there = data.type == Dataset::Type::csr;
    data.each_listed(r, [&](int c, float x) {
      if (c < first || c >= first + columns || std::isnan(x)) return;
      total += x, there = true;
    });
    logs += total > 0 ? std::log(total) : 0;
    count += there;
  }
  return count > 0 ? std::exp(logs / double(count)) : 1;
}

std::pair<double, double> extremes(const Dataset& data) {
  // What lists do not name is 0.
  const bool listed = data.type == Dataset::Type::csr;
  double low = listed ? 0 : INFINITY, high = listed ? 0 : -INFINITY;
  for (long r = 0; r < data.rows; ++r)
    data.each_listed(r, [&](int, float x) {
      if (x < low) low = x;
      if (x > high) high = x;
    });
  return {low, high};
}

std::string missing_line(long missing, long entries) {
  if (missing == 0) return {};
  return fmt::format("{} of {} entries are missing; they have no part in the likelihood\n", missing,
                     entries);
}

}  // namespace elbo
