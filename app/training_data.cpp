#include "app/training_data.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace elbo {

std::optional<double> held_out_fraction(const TrainCommand& c) {
  double fraction = 0;
  const char *first = c.valid.data(), *last = c.valid.data() + c.valid.size();
  const auto [end, error] = std::from_chars(first, last, fraction);
  if (c.valid.empty() || error != std::errc() || end != last) return {};
  return fraction;
}

TrainingData read_training_data(const TrainCommand& c) {
  const auto read = [&](const std::string& what) {
    Dataset data = read_dataset(what);
    if (takes_levels(c.model)) data.scale = 1;
    return data;
  };
  Dataset data = read(c.data);
  if (c.valid.empty()) return {std::move(data), {}};
  const auto fraction = held_out_fraction(c);
  if (!fraction) return {std::move(data), read(c.valid)};
  Split parts = split(data, *fraction, c.seed);
  return {std::move(parts.train), std::move(parts.valid)};
}

double typical_total(const Dataset& data) {
  double logs = 0;
  for (long r = 0; r < data.rows; ++r) {
    double total = 0;
    data.each_listed(r, [&](int, float x) { total += std::isnan(x) ? 0 : x; });
    logs += total > 0 ? std::log(total) : 0;
  }
  return std::exp(logs / double(data.rows));
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
