// Philox against others' bits, the law of what is drawn from it, and that a datum's noise and an
// epoch's order depend on nothing but their counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <set>

#define ELBO_ISA of_this_test
#include "kernels/cpu/noise.h"
#include "nn/batches.h"
#include "nn/functions.h"
#include "runtime/step.h"
#include "tests/kernels/devices.h"
#include "tests/tolerance.h"
#ifdef ELBO_HAS_CURAND
#include <curand.h>
#endif

namespace elbo {
namespace {

// ---- Bits ----

TEST(Philox, gives_the_published_answers) {
  // Random123 1.09, tests/kat_vectors, philox4x32 10.
  constexpr struct {
    std::uint32_t counter[4];
    std::uint64_t key;
    std::uint32_t word[4];
  } known[] = {
      {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       0xffffffffffffffff,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       0x299f31d0a4093822,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& k : known) {
    const auto& c = k.counter;
    const Philox block = Philox::at(c[0], c[1], c[2], c[3], k.key);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], k.word[i]) << "word " << i;
  }
}

TEST(Philox, gives_the_bits_of_curand) {
#ifndef ELBO_HAS_CURAND
  GTEST_SKIP() << "built without cuRAND";
#else
  // Its order: blocks of four words, first of the 65536 subsequences (word 2 of the counter) in
  // turn, then of the next offset (word 0).
  constexpr std::uint32_t subsequences = 65536;
  for (const std::uint64_t seed : {0ull, 1ull, 0x0123456789abcdefull, 0xffffffffffffffffull}) {
    curandGenerator_t generator;
    ASSERT_EQ(curandCreateGeneratorHost(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10),
              CURAND_STATUS_SUCCESS);
    std::vector<unsigned> words(4 * (2 * subsequences + 100));
    EXPECT_EQ(curandSetPseudoRandomGeneratorSeed(generator, seed), CURAND_STATUS_SUCCESS);
    EXPECT_EQ(curandGenerate(generator, words.data(), words.size()), CURAND_STATUS_SUCCESS);
    curandDestroyGenerator(generator);
    for (std::uint32_t b = 0; b < words.size() / 4; ++b) {
      const Philox block = Philox::at(b / subsequences, 0, b % subsequences, 0, seed);
      for (int i = 0; i < 4; ++i)
        ASSERT_EQ(block.word[i], words[4 * b + std::uint32_t(i)])
            << "seed " << seed << ", block " << b;
    }
  }
#endif
}

TEST(Philox, uniforms_and_normals_of_the_extreme_words_are_in_range) {
  // The least uniform is 2^-33, so that no normal lies beyond √(66 ln 2) = 6.76.
  const double most = std::sqrt(66 * std::numbers::ln2) * (1 + 4 * tolerance::unit);
  for (const std::uint32_t a : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffff7fu, 0xffffffffu})
    for (const std::uint32_t b : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffff7fu, 0xffffffffu}) {
      const Philox block{{a, b, a, b}};
      for (int i = 0; i < 4; ++i) {
        EXPECT_GT(block.uniform(i), 0);
        EXPECT_LE(block.uniform(i), 1);
        EXPECT_LE(std::fabs(double(block.normal(i))), most) << a << ' ' << b;
      }
    }
}

// ---- Laws, of fixed seeds: a bound at five deviations fails for one seed in 1.7 million ----

/// n normals, as a model draws them: every unit of some data.
std::vector<double> normals(int n, Noise noise) {
  constexpr int units = 20;
  std::vector<double> all;
  for (int i = 0; i < n; ++i) all.push_back(double(noise.normal(i / units, i % units)));
  return all;
}

TEST(Normals, have_the_standard_normal_law) {
  constexpr int n = 100000;
  for (const std::uint64_t seed : {0ull, 7ull, 0xdeadbeefcafef00dull}) {
    std::vector<double> x = normals(n, {.seed = seed});
    double moments[5] = {};
    for (const double v : x)
      for (int k = 1; k <= 4; ++k) moments[k] += std::pow(v, k) / n;
    EXPECT_NEAR(moments[1], 0, 5 * std::sqrt(1.0 / n));
    EXPECT_NEAR(moments[2], 1, 5 * std::sqrt(2.0 / n));
    EXPECT_NEAR(moments[3], 0, 5 * std::sqrt(15.0 / n));
    EXPECT_NEAR(moments[4], 3, 5 * std::sqrt(96.0 / n));
    // Kolmogorov and Smirnov: P(D > d) < 2 exp(-2 n d²), a millionth at this d.
    std::sort(x.begin(), x.end());
    double distance = 0;
    for (int i = 0; i < n; ++i) {
      const double phi = std::erfc(-x[std::size_t(i)] / std::numbers::sqrt2) / 2;
      distance = std::max({distance, phi - double(i) / n, (i + 1.0) / n - phi});
    }
    EXPECT_LT(distance, std::sqrt(std::log(2e6) / (2.0 * n)));
  }
}

/// Between the noise of two neighbours, and between the squares of it.
template <class F>
void expect_uncorrelated(const char* neighbours, F&& pair) {
  constexpr int n = 40000;
  double plain = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const auto [a, b] = pair(i);
    plain += double(a) * double(b) / n;
    squares += (double(a) * double(a) - 1) * (double(b) * double(b) - 1) / 2 / n;
  }
  EXPECT_NEAR(plain, 0, 5 / std::sqrt(n)) << neighbours;
  EXPECT_NEAR(squares, 0, 5 / std::sqrt(n)) << neighbours;
}

TEST(Normals, of_neighbours_are_uncorrelated) {
  constexpr int units = 20;
  const auto at = [](int row, int unit, int sample = 0, std::uint64_t seed = 3,
                     Stream stream = Stream::latent) {
    const Noise noise{.seed = seed, .stream = std::uint32_t(stream), .first_sample = sample};
    return noise.normal(row, unit);
  };
  for (const int step : {1, 2, 3, 4})
    expect_uncorrelated("units", [&](int i) {
      return std::pair(at(i / units, i % units), at(i / units, i % units + step));
    });
  for (const int step : {1, 32})
    expect_uncorrelated("data", [&](int i) {
      return std::pair(at(i / units, i % units), at(i / units + step, i % units));
    });
  expect_uncorrelated("samples", [&](int i) {
    return std::pair(at(i / units, i % units), at(i / units, i % units, 1));
  });
  expect_uncorrelated("seeds", [&](int i) {
    return std::pair(at(i / units, i % units), at(i / units, i % units, 0, 4));
  });
  expect_uncorrelated("streams", [&](int i) {
    return std::pair(at(i / units, i % units), at(i / units, i % units, 0, 3, Stream::evaluation));
  });
  const StepState first{.epoch = 0}, second{.epoch = 1};
  expect_uncorrelated("epochs", [&](int i) {
    return std::pair(Noise{.seed = 3, .batch = {.state = &first}}.normal(i / units, i % units),
                     Noise{.seed = 3, .batch = {.state = &second}}.normal(i / units, i % units));
  });
}

TEST(Noise, has_a_block_of_its_own_for_every_unit_datum_sample_epoch_and_stream) {
  std::set<std::vector<std::uint32_t>> seen;
  int blocks = 0;
  for (const Stream stream : {Stream::latent, Stream::evaluation})
    for (std::uint32_t epoch = 0; epoch < 5; ++epoch)
      for (int sample = 0; sample < 5; ++sample)
        for (int datum = 0; datum < 50; ++datum)
          for (int unit = 0; unit < 32; unit += 4, ++blocks) {
            const StepState state{.epoch = epoch};
            const Noise noise{.seed = 9,
                              .stream = std::uint32_t(stream),
                              .batch = {.state = &state},
                              .first_sample = sample};
            const Philox block = noise.block(datum, unit);
            seen.insert({block.word, block.word + 4});
          }
  EXPECT_EQ(int(seen.size()), blocks);
}

TEST(Noise, of_a_sample_does_not_depend_on_how_many_are_drawn_together) {
  constexpr int samples = 6;
  const Noise together{.seed = 5, .samples = samples};
  for (int datum = 0; datum < 10; ++datum)
    for (int sample = 0; sample < samples; ++sample)
      for (int unit = 0; unit < 7; ++unit) {
        const Noise alone{.seed = 5, .first_sample = sample};
        EXPECT_EQ(together.normal(datum * samples + sample, unit), alone.normal(datum, unit));
      }
}

// ---- On devices, through the batches of a data set ----

/// Datum i is the number i.
Dataset numbered(long rows) {
  Dataset data;
  data.source = "numbers";
  data.rows = rows, data.columns = 1;
  for (long i = 0; i < rows; ++i) data.floats.push_back(float(i));
  return data;
}

/// The noise of every datum in an epoch, taken in batches of that size.
std::map<int, std::vector<Real>> noise_of_an_epoch(Batches& batches, int batch, int units) {
  const Device& device = batches.device();
  const Tensor standard(device, {batch, 2 * units});  // μ = 0, s = 0: z is the noise itself
  Tensor x, z;
  Step step(device, [&] {
    x = batches.next(batch);
    z = sample_posterior(standard, {.seed = 21, .batch = batches.batch()}).z;
    advance(device, batches.progress(), batch);
  });
  std::map<int, std::vector<Real>> noise;
  for (long done = 0; done < batches.rows(); done += batch) {
    step();
    const std::vector<Real> data = x.read(), draws = z.read();
    for (int r = 0; r < batch; ++r) {
      const auto first = draws.begin() + r * units;
      noise[int(data[std::size_t(r)])] = {first, first + units};
    }
  }
  return noise;
}

TEST(Noise, of_a_datum_does_not_depend_on_batch_order_or_device) {
  constexpr int rows = 256, units = 9;
  constexpr std::uint32_t epoch = 3;
  const Dataset data = numbered(rows);
  const StepState state{.epoch = epoch};
  const Noise formula{.seed = 21, .batch = {.state = &state}};
  for (const Device& device : {Device::cpu(), Device::simt()}) {
    SCOPED_TRACE(device.name());
    std::map<int, std::vector<Real>> first;
    for (const std::uint64_t order : {1, 2})
      for (const int batch : {1, 32, 128}) {
        SCOPED_TRACE("batch " + std::to_string(batch) + ", order " + std::to_string(order));
        Batches batches(device, data, order);
        batches.shuffle(epoch, 0, 77);
        const auto noise = noise_of_an_epoch(batches, batch, units);
        ASSERT_EQ(noise.size(), std::size_t(rows)) << "every datum comes once";
        if (first.empty()) first = noise;
        EXPECT_EQ(noise, first) << "bit for bit";
      }
    // Across devices normals agree to the roundings of log, √, cos and a product.
    for (const auto& [datum, draws] : first)
      for (int unit = 0; unit < units; ++unit)
        EXPECT_NEAR(draws[std::size_t(unit)], formula.normal(datum, unit),
                    tolerance::formula(6, formula.normal(datum, unit)));
  }
}

std::vector<std::uint32_t> order_of(Batches& batches, std::uint32_t epoch) {
  batches.shuffle(epoch, 0, 0);
  std::vector<std::uint32_t> order(std::size_t(batches.rows()));
  batches.device().backend().copy_to_host(order.data(), batches.batch().order,
                                          order.size() * sizeof(order[0]));
  batches.device().backend().wait();
  return order;
}

TEST(Shuffle, is_a_permutation_that_seed_and_epoch_determine) {
  const Dataset data = numbered(1000);
  std::set<std::vector<std::uint32_t>> orders;
  for (const std::uint64_t seed : {0, 1, 2})
    for (std::uint32_t epoch = 0; epoch < 20; ++epoch) {
      Batches here(Device::cpu(), data, seed), there(Device::simt(), data, seed);
      const std::vector<std::uint32_t> order = order_of(here, epoch);
      EXPECT_EQ(order, order_of(there, epoch));
      std::vector<std::uint32_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (std::uint32_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
      EXPECT_TRUE(orders.insert(order).second) << "seed " << seed << ", epoch " << epoch;
    }
}

TEST(Shuffle, brings_every_datum_to_every_place_as_often) {
  constexpr int rows = 50, epochs = 20000;
  Batches batches(Device::cpu(), numbered(rows), 5);
  std::vector<int> counts(rows * rows);
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) {
    const std::vector<std::uint32_t> order = order_of(batches, epoch);
    for (int place = 0; place < rows; ++place) ++counts[order[place] * rows + place];
  }
  constexpr double wanted = double(epochs) / rows;
  double chi = 0;
  for (const int count : counts) chi += square(count - wanted) / wanted;
  // A table with given sums of rows and columns: (rows - 1)² degrees, but of a permutation's counts
  // each has rows / (rows - 1) times the variance of independent ones.
  constexpr double degrees = double(rows - 1) * (rows - 1);
  const double scaled = chi * (rows - 1) / rows;
  EXPECT_NEAR(scaled, degrees, 5 * std::sqrt(2 * degrees));
}

TEST(Shuffle, of_data_with_one_key_keeps_their_order) {
  // Among 2^18 keys of 32 bits some 8 pairs are equal; every device has the sorted order.
  constexpr std::uint32_t count = 1 << 18;
  const ShuffleKey key{9, 1};
  std::vector<std::uint32_t> wanted(count);
  std::iota(wanted.begin(), wanted.end(), 0u);
  std::stable_sort(wanted.begin(), wanted.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
  int ties = 0;
  for (std::uint32_t i = 1; i < count; ++i) ties += key(wanted[i]) == key(wanted[i - 1]);
  ASSERT_GT(ties, 0);
  for (const test::Named& device : test::make_backends(Precision::fp32)) {
    test::Memory memory(*device.backend);
    std::uint32_t* const numbers = memory.put(std::vector<std::uint32_t>(count));
    device.backend->count_up(numbers, 0, count);
    device.backend->shuffle(numbers, count, key);
    EXPECT_EQ(memory.get(numbers, count), wanted) << device.name;
  }
}

TEST(Shuffle, gives_every_order_as_often) {
  constexpr int rows = 5, orders = 120, epochs = 100 * orders;
  Batches batches(Device::cpu(), numbered(rows), 4);
  std::map<std::vector<std::uint32_t>, int> counts;
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) ++counts[order_of(batches, epoch)];
  EXPECT_EQ(int(counts.size()), orders);
  double chi = 0;
  for (const auto& [order, count] : counts) chi += square(count - 100.0) / 100;
  // χ² of k degrees: mean k, deviation √(2k); its upper tail is fatter than the normal's.
  EXPECT_LT(chi, orders - 1 + 6 * std::sqrt(2.0 * (orders - 1)));
}

/// Wherever the units asked for begin and end, and nothing before their block.  With fused
/// multiply-adds or without a normal errs by 4 ulp (turn 2, log 2 of which the root leaves 1, and
/// the product), so that two of them differ by at most 8.
TEST(Noise, of_a_row_drawn_by_blocks_side_by_side_is_that_drawn_alone) {
  for (const int unit : {0, 3, 48, 51})
    for (const int n : {1, 2, 10, 33, 50}) {
      const Noise::Row row{
          .datum = 7919, .sample = 3u << 24 | 5, .epoch = 11, .seed = 1ull << 40 | 9};
      std::vector<Real> drawn(std::size_t(unit + n + cpu::normals_beyond));
      cpu::draw_normals(row, unit, n, drawn.data());
      for (int i = 0; i < unit + n; ++i) {
        const Real exact = i < unit / 4 * 4 ? Real(0) : row.normal(i);
        EXPECT_NEAR(drawn[std::size_t(i)], exact,
                    8 * std::numeric_limits<Real>::epsilon() * std::abs(exact))
            << "unit " << i << " of " << n << " from " << unit;
      }
    }
}

TEST(DropoutMask, of_a_row_drawn_by_blocks_side_by_side_is_that_drawn_alone) {
  for (const int unit : {0, 4, 48})
    for (const int n : {1, 2, 10, 32, 33, 50}) {
      const DropoutMask::Row row{
          .dropped = 3u << 30,
          .scale = 4,
          .noise = {.datum = 7919, .sample = 3u << 24 | 5, .epoch = 11, .seed = 1ull << 40 | 9}};
      std::vector<Real> drawn(std::size_t(n + cpu::factors_together));
      cpu::draw_factors(row, unit, n, drawn.data());
      for (int i = 0; i < n; ++i)
        EXPECT_EQ(drawn[std::size_t(i)], row.factor(unit + i))
            << "unit " << i << " of " << n << " from " << unit;
    }
}

}  // namespace
}  // namespace elbo
