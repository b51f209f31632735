#include "app/training_data.h"

#include <fmt/format.h>

#include <charconv>

namespace elbo {

std::optional<double> held_out_fraction(const TrainCommand& c) {
  double fraction = 0;
  const char *first = c.valid.data(), *last = c.valid.data() + c.valid.size();
  const auto [end, error] = std::from_chars(first, last, fraction);
  if (c.valid.empty() || error != std::errc() || end != last) return {};
  return fraction;
}

TrainingData read_training_data(const TrainCommand& c) {
  Dataset data = read_dataset(c.data);
  if (c.valid.empty()) return {std::move(data), {}};
  const auto fraction = held_out_fraction(c);
  if (!fraction) return {std::move(data), read_dataset(c.valid)};
  Split parts = split(data, *fraction, c.seed);
  return {std::move(parts.train), std::move(parts.valid)};
}

std::string missing_line(long missing, long entries) {
  if (missing == 0) return {};
  return fmt::format("{} of {} entries are missing; they have no part in the likelihood\n", missing,
                     entries);
}

}  // namespace elbo
