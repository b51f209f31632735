#include "data/cell_cycle.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "data/counter_hash.h"
#include "runtime/error.h"

namespace elbo {
namespace {

struct Gene {
  const char* name;
  double base, rise, peak;  // of log expression; where in the cycle
};

constexpr std::array<Gene, 34> genes{{
    {"CCNE1", 1.1, 1.8, .20},  {"CCNE2", 0.9, 2.0, .24}, {"E2F1", 0.8, 1.7, .22},
    {"CDC25A", 0.7, 1.6, .26}, {"CDC6", 0.9, 2.0, .30},

    {"PCNA", 1.6, 2.2, .40},   {"MCM2", 1.3, 1.9, .36},  {"MCM4", 1.4, 1.8, .38},
    {"MCM5", 1.3, 2.0, .35},   {"MCM6", 1.4, 2.0, .37},  {"GINS2", 1.0, 2.0, .39},
    {"UNG", 0.9, 1.7, .36},    {"SLBP", 1.2, 1.6, .41},  {"TYMS", 1.4, 2.1, .47},
    {"RRM2", 1.2, 2.4, .50},   {"HELLS", 0.9, 1.9, .45}, {"CLSPN", 0.8, 1.9, .43},

    {"CDK1", 1.0, 2.3, .76},   {"TOP2A", 0.9, 2.7, .80}, {"MKI67", 0.9, 2.5, .82},
    {"UBE2C", 1.0, 2.6, .90},  {"BIRC5", 0.9, 2.3, .86}, {"TPX2", 0.8, 2.4, .85},
    {"CENPF", 0.9, 2.5, .88},  {"CCNB1", 1.0, 2.7, .92}, {"CCNB2", 1.0, 2.5, .88},
    {"AURKA", 0.7, 2.3, .93},  {"PLK1", 0.7, 2.5, .96},  {"CDC20", 0.8, 2.7, .97},

    {"ACTB", 3.6, 0, 0},       {"GAPDH", 3.4, 0, 0},     {"RPLP0", 3.2, 0, 0},
    {"EEF1A1", 3.5, 0, 0},     {"B2M", 2.8, 0, 0},
}};
constexpr double inverse_dispersion = 8;

/// The draws of one cell.
struct Dice {
  std::uint64_t seed, cell, drawn = 0;

  /// In (0, 1).
  double uniform() { return (double(counter_hash(seed, cell, drawn++) >> 12) + 0.5) * 0x1p-52; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  /// A negative binomial's number, by its distribution function.
  double count(double mean) {
    constexpr double most = 1e6;  // where rounding might never let the sum reach u
    const double u = uniform(), theta = inverse_dispersion;
    double k = 0, p = std::exp(-theta * std::log1p(mean / theta)), sum = p;
    while (sum < u && k < most) {
      p *= (k + theta) / (k + 1) * mean / (mean + theta);
      ++k, sum += p;
    }
    return k;
  }
};

}  // namespace

Dataset simulate_cell_cycle(long count, std::uint64_t seed) {
  require(count >= 1 && count <= 10'000'000, "cell-cycle: n is ", count,
          ", expected 1 to 10000000");
  Dataset data;
  data.source = "builtin:cell-cycle?n=" + std::to_string(count) + "&seed=" + std::to_string(seed);
  data.rows = count;
  data.columns = int(genes.size());
  data.floats.reserve(std::size_t(count) * genes.size());
  for (const Gene& gene : genes) data.column_names.push_back(gene.name);
  Annotation phase{"phase", {}, {}}, library{"library", {}, {}}, stage{"stage", {}, {}};
  stage.levels = {"G1", "S", "G2M"};
  for (long i = 0; i < count; ++i) {
    Dice dice{seed, std::uint64_t(i)};
    const double t = dice.uniform(), total = std::exp(std::log(600) + 0.5 * dice.normal());
    std::array<double, genes.size()> weight;
    double sum = 0;
    for (std::size_t g = 0; g < genes.size(); ++g) {
      const double off = (t - genes[g].peak) / 0.2;
      weight[g] = std::exp(genes[g].base + genes[g].rise * std::exp(-off * off / 2));
      sum += weight[g];
    }
    for (const double w : weight) data.floats.push_back(float(dice.count(total * w / sum)));
    phase.values.push_back(float(t));
    library.values.push_back(float(total));
    data.labels.push_back(std::min(int(3 * t), 2));
    stage.values.push_back(float(data.labels.back()));
  }
  data.annotations = {phase, library, stage};
  return data;
}

}  // namespace elbo
