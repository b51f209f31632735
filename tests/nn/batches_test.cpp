// A data set on a device has its values, whatever type it has there and whether it fits; the noise
// of a datum does not tell.
#include "nn/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "nn/functions.h"
#include "runtime/error.h"
#include "runtime/step.h"

namespace elbo {
namespace {

using Type = Source::Type;

Dataset empty(const std::string& name, Dataset::Type type, long rows, int columns) {
  Dataset data;
  data.source = name, data.type = type, data.rows = rows, data.columns = columns;
  return data;
}

/// Row r, column c holds value(r, c).
template <class F>
Dataset bytes(long rows, int columns, F&& value) {
  Dataset data = empty("bytes", Dataset::Type::u8, rows, columns);
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) data.bytes.push_back(std::uint8_t(value(r, c)));
  data.scale = 1.f / 255;
  return data;
}
template <class F>
Dataset floats(long rows, int columns, F&& value) {
  Dataset data = empty("floats", Dataset::Type::f32, rows, columns);
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) data.floats.push_back(float(value(r, c)));
  return data;
}
template <class F>
Dataset lists(long rows, int columns, F&& value) {
  Dataset data = empty("lists", Dataset::Type::csr, rows, columns);
  data.starts.push_back(0);
  for (long r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c)
      if (value(r, c) != 0) {
        data.indices.push_back(std::uint32_t(c));
        data.floats.push_back(float(value(r, c)));
      }
    data.starts.push_back(data.indices.size());
  }
  return data;
}

/// Lists of very different lengths: none, or many, in which column 0 tells the row.
double count(long r, int c) {
  if (c == 0) return double(r + 1);
  return r % 9 == 3 || (r > 60 && r < 70 && c % 2) ? double(c % 200 + 1) : 0;
}

std::vector<Device> devices() {
  std::vector<Device> all{Device::cpu(), Device::simt()};
  if (cuda_devices() > 0) all.push_back(Device::cuda(0, Precision::fp32));
  return all;
}

/// As a device works them out.
std::vector<Real> values_of(Dataset data) {
  const Real scale = std::exchange(data.scale, 1.f);
  std::vector<Real> all;
  for (const float stored : data.values()) all.push_back(scale * Real(stored));
  return all;
}

TEST(Rows, have_the_narrowest_type_on_the_device_that_holds_them_exactly) {
  struct Expected {
    Dataset data;
    Type type;
    double bytes;  // of two rows
  };
  const auto of = [](double value) { return [=](long, int c) { return c == 1 ? value : c % 2; }; };
  const Expected all[] = {{bytes(2, 129, of(1)), Type::bits, 2 * 32},
                          {bytes(2, 33, of(2)), Type::u8, 2 * 48},
                          {floats(2, 5, of(1)), Type::f32, 2 * 32},
                          {lists(2, 65536, of(255)), Type::u8, 3 * 8 + 65536 * 3},
                          {lists(2, 3, of(256)), Type::u16, 3 * 8 + 2 * 4},
                          {lists(2, 65537, of(65535)), Type::u16, 3 * 8 + 65536 * 6},
                          {lists(2, 3, of(65536)), Type::f32, 3 * 8 + 2 * 6},
                          {lists(2, 3, of(.5)), Type::f32, 3 * 8 + 2 * 6},
                          {lists(2, 3, of(-1)), Type::f32, 3 * 8 + 2 * 6},
                          {lists(2, 3, of(NAN)), Type::f32, 3 * 8 + 2 * 6}};
  for (const Expected& expected : all) {
    const RowFormat format(expected.data);
    EXPECT_EQ(format.type, expected.type) << expected.data.source;
    EXPECT_EQ(format.bytes(2, double(expected.data.indices.size())), expected.bytes);
  }
}

TEST(Batches, hold_the_values_of_data_of_any_type) {
  const Dataset sets[] = {bytes(37, 129, [](long r, int c) { return (r * c + c) % 5 == 0; }),
                          bytes(37, 21, [](long r, int c) { return r * 7 + c; }),
                          floats(37, 5, [](long r, int c) { return r - c / 4.; }),
                          lists(90, 300, count),
                          lists(20, 70, [](long r, int c) { return r == 7 ? c * 300. : 0; }),
                          lists(4, 65537, [](long r, int c) { return c % 999 == r ? c / 2. : 0; })};
  for (const Device& device : devices())
    for (const Dataset& data : sets) {
      SCOPED_TRACE(device.name() + ", " + data.source);
      Batches batches(device, data, 0);
      EXPECT_FALSE(batches.streamed());
      const Tensor x = batches.next(int(data.rows));
      EXPECT_EQ(x.read(), values_of(data));
    }
}

TEST(Batches, bring_a_first_layer_the_same_numbers_whatever_their_type) {
  constexpr int rows = 70, columns = 53, units = 9;
  const auto value = [](long r, int c) { return (r * 5 + c * 3) % 7 == 0; };
  const auto grey = [&](long r, int c) { return value(r, c) + 2 * (r == 69 && c == 52); };
  const auto plain = [](Dataset data) {
    data.scale = 1;
    return data;
  };
  std::vector<Real> weights;
  for (int i = 0; i < units * columns; ++i) weights.push_back(Real((i * 37 % 101) - 50) / 16);
  for (const Device& device : devices()) {
    const Tensor w(device, {units, columns}, weights), b(device, {1, units});
    const auto first_layer = [&](const Dataset& data, std::optional<std::size_t> memory = {}) {
      Batches batches(device, data, 3, memory);
      batches.shuffle(1, 0, 0);
      Tensor y;
      Step step(device, [&] {
        y = dense(Relu{}, batches.next(20), w, b);
        advance(device, batches.progress(), 20);
      });
      std::vector<Real> all;
      for (long done = 0; done < 60; done += 20) {
        batches.provide(done, 20);
        step();
        for (const Real v : y.read()) all.push_back(v);
      }
      return all;
    };
    SCOPED_TRACE(device.name());
    const auto wanted = first_layer(floats(rows, columns, value));
    EXPECT_EQ(RowFormat(bytes(rows, columns, value)).type, Type::bits);
    EXPECT_EQ(first_layer(plain(bytes(rows, columns, value))), wanted) << "bits";
    EXPECT_EQ(first_layer(lists(rows, columns, value)), wanted) << "lists";
    const Dataset three = plain(bytes(rows, columns, grey));
    EXPECT_EQ(RowFormat(three).type, Type::u8);
    EXPECT_EQ(first_layer(three), first_layer(floats(rows, columns, grey))) << "bytes";
    const auto streamed = first_layer(floats(rows, columns, value), 64 * 224);
    EXPECT_EQ(first_layer(plain(bytes(rows, columns, value)), 64 * 16), streamed);
  }
}

/// What an epoch's batches bring: the data in their order, and the noise of each.
struct Epoch {
  std::vector<Real> x, noise;
};
Epoch epoch_of(Batches& batches, int batch, long position = 0) {
  constexpr int units = 3;
  const Device& device = batches.device();
  struct Taking {
    Tensor standard, x, z;
    std::unique_ptr<Step> step;
  };
  std::map<int, Taking> takings;
  Epoch epoch;
  for (long done = position; done < batches.rows();) {
    const int rows = int(std::min<long>(batch, batches.rows() - done));
    Taking& taking = takings[rows];
    if (!taking.step) {
      taking.standard = Tensor(device, {rows, 2 * units});  // μ = 0, s = 0: z is the noise itself
      taking.step = std::make_unique<Step>(device, [&] {
        taking.x = batches.next(rows);
        taking.z =
            sample_posterior(taking.standard, {.seed = 21, .batch = batches.batch(), .given = {}})
                .z;
        advance(device, batches.progress(), rows);
      });
    }
    batches.provide(done, rows);
    (*taking.step)();
    for (const Real v : taking.x.read()) epoch.x.push_back(v);
    for (const Real v : taking.z.read()) epoch.noise.push_back(v);
    done += rows;
  }
  return epoch;
}

/// The rows of an epoch, sorted by their first number, which tells one from the others.
std::map<Real, std::pair<std::vector<Real>, std::vector<Real>>> by_datum(const Epoch& epoch,
                                                                         long rows) {
  const long columns = long(epoch.x.size()) / rows, units = long(epoch.noise.size()) / rows;
  std::map<Real, std::pair<std::vector<Real>, std::vector<Real>>> all;
  for (long r = 0; r < rows; ++r) {
    const auto x = epoch.x.begin() + r * columns, z = epoch.noise.begin() + r * units;
    all[*x] = {{x, x + columns}, {z, z + units}};
  }
  return all;
}

struct Streamed {
  Dataset data;
  std::size_t memory;  // of the device, for its data
};
const std::vector<Streamed>& streamed_sets() {
  const auto value = [](long r, int c) { return c == 0 ? double(r) : (r * 31 + c) % 17 / 8.; };
  static const std::vector<Streamed> all{{floats(100, 4, value), 16 * 16 * 2},
                                         {floats(100, 4, value), 16 * 99},
                                         {floats(1000, 7, value), 32 * 300},
                                         {lists(100, 300, count), 7000},
                                         {lists(500, 300, count), 12000}};
  return all;
}

TEST(StreamedBatches, bring_every_datum_once_with_its_values_and_its_noise) {
  for (const Device& device : devices())
    for (const auto& [data, memory] : streamed_sets()) {
      SCOPED_TRACE(
          device.name() + ", " + data.source + ", " + std::to_string(memory) + " of " +
          std::to_string(RowFormat(data).bytes(double(data.rows), double(data.indices.size()))));
      Batches whole(device, data, 5), streamed(device, data, 5, memory);
      ASSERT_EQ(streamed.streamed(), memory);
      EXPECT_EQ(epoch_of(streamed, 5).x, values_of(data)) << "in order";
      std::vector<Real> before;
      for (const std::uint32_t epoch : {0u, 1u}) {
        whole.shuffle(epoch, 0, 0), streamed.shuffle(epoch, 0, 0);
        const Epoch got = epoch_of(streamed, 5);
        EXPECT_EQ(by_datum(got, data.rows), by_datum(epoch_of(whole, 7), data.rows));
        EXPECT_EQ(by_datum(got, data.rows).size(), std::size_t(data.rows));
        EXPECT_NE(got.x, before);
        before = got.x;
        streamed.shuffle(epoch, 0, 0);
        EXPECT_EQ(epoch_of(streamed, 3).x, got.x) << "whatever the batch";
      }
    }
}

TEST(StreamedBatches, go_on_from_any_place_of_an_epoch) {
  for (const auto& [data, memory] : streamed_sets()) {
    Batches one(Device::cpu(), data, 5, memory);
    one.shuffle(3, 0, 0);
    const Epoch all = epoch_of(one, 5);
    for (const long position : {1L, 17L, 50L, data.rows - 1}) {
      Batches other(Device::cpu(), data, 5, memory);
      other.shuffle(3, std::uint32_t(position), 0);
      const Epoch rest = epoch_of(other, 5, position);
      EXPECT_TRUE(std::equal(rest.x.begin(), rest.x.end(), all.x.end() - long(rest.x.size())));
      EXPECT_TRUE(std::equal(rest.noise.begin(), rest.noise.end(),
                             all.noise.end() - long(rest.noise.size())));
      EXPECT_EQ(rest.x.size(), std::size_t(data.rows - position) * data.columns);
    }
  }
}

TEST(StreamedBatches, mix_data_that_lie_far_apart) {
  // 4096 data through an eighth of their size: neighbours in the epoch's order come from blocks
  // anywhere.  The mean distance of two numbers below N in random order is N / 3.
  constexpr long rows = 4096;
  const Dataset data = floats(rows, 4, [](long r, int) { return r; });
  Batches batches(Device::cpu(), data, 1, rows * 16 / 8);
  batches.shuffle(0, 0, 0);
  std::vector<std::uint32_t> order(rows);
  batches.device().backend().copy_to_host(order.data(), batches.batch().order, rows * 4);
  double distance = 0;
  for (long i = 1; i < rows; ++i) distance += std::abs(double(order[i]) - double(order[i - 1]));
  // Within a chunk of four blocks or more, of which one in four pairs has both in one block.
  EXPECT_GT(distance / double(rows - 1), rows / 8.);
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(StreamedBatches, that_cannot_be_is_an_error_that_says_what_can) {
  const Dataset data = floats(1000, 4, [](long r, int) { return r; });
  EXPECT_EQ(error_of([&] { Batches(Device::cpu(), data, 0, 60); }),
            "floats: data of 16 bytes on average cannot be streamed through 60 bytes");
  Batches batches(Device::cpu(), data, 0, 16 * 64);
  EXPECT_EQ(error_of([&] { batches.next(40); }),
            "next: 40 rows, but the memory for data, 1024 bytes, allows batches of 25");
}

TEST(Batches, of_lists_that_are_none_is_an_error) {
  Dataset data = lists(3, 4, [](long, int c) { return c + 1; });
  data.indices[5] = 9;
  EXPECT_EQ(error_of([&] { Batches(Device::cpu(), data, 0); }),
            "lists: row 1 lists column 9, expected ascending columns below 4");
}

}  // namespace
}  // namespace elbo
