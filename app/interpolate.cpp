#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "app/commands.h"
#include "app/latents.h"
#include "app/pictures.h"
#include "app/tables.h"
#include "app/train_command.h"
#include "data/counter_hash.h"

namespace elbo {

namespace {

struct InterpolateCommand {
  std::string run, data, out, path = "line", condition, device = "auto";
  long a = -1, b = -1;
  int steps = 9, pairs = 0;
  std::uint64_t seed = 0;
};

/// Codes from a to b, both included.  On the sphere the angle and the length change evenly: the
/// length of draws of N(0, I), which hardly varies, is kept (White 2016).
std::vector<float> way(const float* a, const float* b, int units, int steps, bool sphere) {
  double aa = 0, bb = 0, ab = 0;
  for (int u = 0; u < units; ++u)
    aa += double(a[u]) * a[u], bb += double(b[u]) * b[u], ab += double(a[u]) * b[u];
  const double lengths = std::sqrt(aa * bb);
  const double angle = lengths > 0 ? std::acos(std::clamp(ab / lengths, -1.0, 1.0)) : 0;
  // Opposite or equal directions have no arc of their own between them.
  sphere = sphere && std::sin(angle) > 1e-6;
  std::vector<float> z;
  for (int i = 0; i < steps; ++i) {
    const double t = double(i) / (steps - 1);
    double from = 1 - t, to = t;
    if (sphere) {
      const double length = (1 - t) * std::sqrt(aa) + t * std::sqrt(bb);
      from = length * std::sin((1 - t) * angle) / std::sin(angle) / std::sqrt(aa);
      to = length * std::sin(t * angle) / std::sin(angle) / std::sqrt(bb);
    }
    for (int u = 0; u < units; ++u) z.push_back(float(from * a[u] + to * b[u]));
  }
  return z;
}

/// The largest step between neighbours, in units of the median step.
double largest_step(const float* x, int steps, int columns) {
  std::vector<double> lengths;
  for (int i = 0; i + 1 < steps; ++i) {
    double sum = 0;
    for (int c = 0; c < columns; ++c) {
      const double off = double(x[(i + 1) * columns + c]) - x[i * columns + c];
      sum += off * off;
    }
    lengths.push_back(std::sqrt(sum));
  }
  std::sort(lengths.begin(), lengths.end());
  const std::size_t n = lengths.size();
  const double median = (lengths[(n - 1) / 2] + lengths[n / 2]) / 2;
  return lengths.back() > 0 ? lengths.back() / median : 1;
}

/// Pairs of rows that differ, at random.
std::vector<std::pair<long, long>> pairs_of(const InterpolateCommand& c, long rows) {
  if (c.pairs == 0) return {{c.a, c.b}};
  std::vector<std::pair<long, long>> all;
  for (int i = 0; i < c.pairs; ++i) {
    const long a = long(counter_hash(c.seed, std::uint64_t(i), 0) % std::uint64_t(rows));
    const long off = 1 + long(counter_hash(c.seed, std::uint64_t(i), 1) % std::uint64_t(rows - 1));
    all.push_back({a, (a + off) % rows});
  }
  return all;
}

int run(const InterpolateCommand& c) {
  if ((c.pairs > 0) == (c.a >= 0 || c.b >= 0) || (c.a < 0) != (c.b < 0))
    throw UsageError("expected either the rows A and B, or --pairs N");
  if (c.pairs == 0 && c.out.empty()) throw UsageError("--out is required");
  const bool png = ends_in_png(c.out);
  if (!c.out.empty() && !png && !ends_in_table(c.out))
    throw UsageError("--out: '" + c.out + "' ends in none of .npy, .csv, .tsv and .png");
  const RunDirectory folder(c.run);
  const StoredModel stored = folder.stored_model();
  if (png) require_output(c.out, stored.image_height > 0);
  const Model model = folder.load_model(device_named(c.device, folder));
  const std::vector<float> given = told_by(model, c.condition);
  const Dataset data = model.taken(read_dataset(c.data));
  require(data.rows >= 2, c.data, ": has ", data.rows, " rows, expected at least 2");
  const auto pairs = pairs_of(c, data.rows);
  std::vector<long> rows;
  for (const auto& [a, b] : pairs) {
    for (const long row : {a, b})
      require(row < data.rows, c.data, ": has no row ", row, ", only 0 to ", data.rows - 1);
    rows.push_back(a), rows.push_back(b);
  }
  const Dataset ends = data.select(rows);
  Batches batches(model.device(), ends, 0);
  const Encoded codes = encode(model, batches, 0);
  std::vector<float> z;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const float* const a = &codes.mean[2 * p * std::size_t(codes.units)];
    const std::vector<float> here =
        way(a, a + codes.units, codes.units, c.steps, c.path == "sphere");
    z.insert(z.end(), here.begin(), here.end());
  }
  const std::vector<float> x = decoded_mean(model, z, given);
  std::vector<double> ratios;
  for (std::size_t p = 0; p < pairs.size(); ++p)
    ratios.push_back(largest_step(&x[p * std::size_t(c.steps) * std::size_t(data.columns)], c.steps,
                                  data.columns));
  std::sort(ratios.begin(), ratios.end());
  if (c.pairs == 0) {
    std::cout << fmt::format("largest step / median step  {:.4f}\n", ratios[0]);
  } else {
    const auto at = [&](double share) {
      return ratios[std::size_t(std::lround(share * double(ratios.size() - 1)))];
    };
    std::cout << fmt::format(
        "largest step / median step, of {} pairs: median {:.4f}, 90 % up to {:.4f}, largest "
        "{:.4f}\n",
        c.pairs, at(0.5), at(0.9), at(1));
  }
  if (png) {
    write_pictures(c.out, model, stored, x, c.steps);
  } else if (!c.out.empty()) {
    Dataset table;
    table.rows = long(x.size()) / data.columns, table.columns = data.columns;
    table.column_names = data.column_names;
    write_table(c.out, table, x);
  }
  return 0;
}

}  // namespace

void add_interpolate(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<InterpolateCommand>();
  CLI::App* const on =
      add_command(app, chosen, "interpolate", "the way from one datum to another", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("data", c->data, "data")->required();
  on->add_option("A", c->a, "row, from 0")->check(whole_from<long>(0));
  on->add_option("B", c->b, "row, from 0")->check(whole_from<long>(0));
  on->add_option("--pairs", c->pairs, "so many random pairs instead")->check(whole_from<int>(1));
  on->add_option("--steps", c->steps, "places on the way, both ends included")
      ->check(whole_from<int>(3))
      ->capture_default_str();
  on->add_option("--path", c->path, "line or sphere: in the latent space")
      ->check(one_of({"line", "sphere"}))
      ->capture_default_str();
  on->add_option("--condition", c->condition, "what a conditional model is told: NAME=VALUE,…");
  on->add_option("--out", c->out, "file.png: a row a pair; or .csv, .tsv, .npy");
  add_seed(on, c->seed, "of the pairs");
  add_device(on, c->device);
  on->footer(
      "Prints the largest step of the decoded data in units of the median step: about 1 "
      "where nothing jumps.");
}

}  // namespace elbo
