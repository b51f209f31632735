#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "bench/cost.h"
#include "bench/synthetic.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;

/// What `elbo bench` wrote with these flags.
Json benched(std::vector<std::string> flags) {
  const TemporaryFolder folder;
  flags.insert(flags.begin(), "bench");
  flags.insert(flags.end(), {"--json", "result.json"});
  const Outcome outcome = run(folder, flags);
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  return Json::parse(content_of(folder / "result.json"));
}

TEST(Bench, says_what_a_step_took_what_it_had_to_do_and_how_many_kernels_that_were) {
  const Json result = benched({"--device", "simt", "--case", "3", "--batch", "2", "--steps", "1",
                               "--repeats", "3", "--note", "a test"});
  EXPECT_EQ(result.at("note"), "a test");
  ASSERT_EQ(result.at("cases").size(), 1u);
  const Json& step = result["cases"][0];
  EXPECT_EQ(step.at("case"), 3);
  EXPECT_EQ(step.at("batch"), 2);
  EXPECT_EQ(step.at("precision"), "tf32");
  EXPECT_EQ(step.at("plan"), "fused");
  EXPECT_EQ(step.at("steps_each"), 1);

  // 784-200-200-2·50 and back: weights and biases.
  const double weights = 2 * 784 * 200 + 2 * 200 * 200 + 200 * 100 + 50 * 200;
  EXPECT_EQ(step.at("parameters"), weights + 4 * 200 + 100 + 784);
  // Two FLOPs a weight and datum in the forward pass, two for its gradient, and but for the first
  // layer two for the gradient of what it read.
  EXPECT_EQ(step.at("flops"), 2 * 2 * (3 * weights - 784 * 200));
  // Weights and both moments, read and written.
  EXPECT_GT(step.at("bytes"), 24 * weights);

  const std::vector<double> seconds = step.at("seconds");
  ASSERT_EQ(seconds.size(), 3u);
  EXPECT_EQ(step.at("minimum_us"), *std::min_element(seconds.begin(), seconds.end()) * 1e6);
  EXPECT_EQ(step.at("maximum_us"), *std::max_element(seconds.begin(), seconds.end()) * 1e6);
  const double median = step.at("median_us"), floor = step.at("floor_us");
  EXPECT_GE(median, step.at("minimum_us"));
  EXPECT_LE(median, step.at("maximum_us"));
  const double flops = step.at("flops"), bytes = step.at("bytes");
  const Json& most = step.at("ceilings");
  EXPECT_DOUBLE_EQ(floor, 1e6 * std::max(flops / most.at("flops").get<double>(),
                                         bytes / most.at("bandwidth").get<double>()));
  EXPECT_DOUBLE_EQ(step.at("share_of_floor"), floor / median);
  // This step's operations are a kernel each.
  EXPECT_GT(step.at("operations").size(), 1u);
  EXPECT_EQ(step.at("launches"), step.at("operations").size());
  // With weights near 0, each of 784 pixels costs about log 2.
  EXPECT_NEAR(step.at("loss_first"), 784 * std::log(2), 10);
}

TEST(Bench, composed_steps_have_more_operations_and_the_same_products) {
  const std::vector<std::string> flags{"--device", "cpu", "--case",    "3", "--batch", "2",
                                       "--steps",  "1",   "--repeats", "1", "--plan"};
  auto fused = flags, composed = flags;
  fused.push_back("fused"), composed.push_back("composed");
  const Json one = benched(fused)["cases"][0], other = benched(composed)["cases"][0];
  EXPECT_LT(one.at("operations").size(), other.at("operations").size());
  EXPECT_EQ(one.at("flops"), other.at("flops"));
  EXPECT_LT(one.at("bytes"), other.at("bytes"));
}

TEST(Bench, an_epoch_is_of_all_cells) {
  const Json epoch = benched({"--device", "cpu", "--case", "9", "--batch", "64", "--cells", "200",
                              "--repeats", "1"})["cases"][0];
  EXPECT_EQ(epoch.at("rows"), 200);
  EXPECT_EQ(epoch.at("steps_each"), 4);  // 3 batches of 64 and one of 8
  const double seconds = epoch.at("epoch_seconds");
  EXPECT_DOUBLE_EQ(seconds, 4 * epoch.at("median_us").get<double>() / 1e6);
  EXPECT_DOUBLE_EQ(epoch.at("data_per_second"), 200 / seconds);
  EXPECT_LT(epoch.at("loss"), epoch.at("loss_first"));
}

TEST(Bench, persistent_steps_are_refused_where_there_are_none) {
  const TemporaryFolder folder;
  for (const char* const tier : {"persistent", "cluster"}) {
    const Outcome outcome =
        run(folder, {"bench", "--device", "cpu", "--case", "3", "--tier", tier});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.error.find("persistent"), std::string::npos) << outcome.error;
  }
}

TEST(Bench, a_cluster_takes_a_step_in_one_launch) {
  const Json result = benched({"--device", "simt", "--case", "3", "--batch", "2", "--steps", "1",
                               "--repeats", "1", "--tier", "cluster"});
  EXPECT_EQ(result.at("cases")[0].at("tier"), "cluster");
  EXPECT_EQ(result.at("cases")[0].at("launches"), 1);
}

TEST(Cost, is_of_each_number_once_an_operation) {
  std::vector<Real> a(3 * 8), b(2 * 8), c(3 * 4);
  const Matrix x{a.data(), 3, 5, 8}, w{b.data(), 2, 5, 8}, y{c.data(), 3, 2, 4};
  constexpr double number = sizeof(Real);
  EXPECT_EQ(cost(Add{x, x, x}).bytes, number * (15 + 15));  // read once, written once

  Source source;
  source.type = Source::Type::u8, source.data = a.data(), source.columns = 5, source.stride = 16;
  const double from_the_data = 3 * (4 + 16);  // of each row its place in the order, and its bytes
  EXPECT_EQ(cost(Gather{source, {}, x}).bytes, from_the_data + number * 15);

  Product product{x, w, true, Store{{}, y}};
  EXPECT_EQ(cost(product).flops, 2 * 3 * 5 * 2);
  EXPECT_EQ(cost(product).bytes, number * (15 + 10 + 6));
  product.gather = {source, {}, x};  // x is then left behind for others
  EXPECT_EQ(cost(product).flops, 2 * 3 * 5 * 2);
  EXPECT_EQ(cost(product).bytes, from_the_data + number * (15 + 10 + 6));

  // Of lists a place and a value of each entry that is there; what gathers them also transforms.
  std::vector<Real> memory(1000);
  const Lists lists{.memory = {memory.data(), 1, 900, 900}, .columns = 5, .filled = Real(0.2)};
  Product of_lists{{nullptr, 3, 5}, w, true, Store{{}, y}};
  of_lists.lists = lists;
  EXPECT_DOUBLE_EQ(cost(of_lists).flops, double(Real(0.2)) * 2 * 3 * 5 * 2);
  EXPECT_DOUBLE_EQ(cost(of_lists).bytes, number * (double(Real(0.2)) * 2 * 15 + 10 + 6));
  of_lists.gather = {source, {}, of_lists.a}, of_lists.gather.lists = lists;
  of_lists.gather.lists.transformed = true;
  EXPECT_DOUBLE_EQ(cost(of_lists).bytes,
                   from_the_data + number * (double(Real(0.2)) * 3 * 15 + 10 + 6));
}

// The sums of what compare_pytorch.py makes for so many data.
TEST(SyntheticData, are_those_that_pytorch_is_given) {
  const auto sum = [](int number) {
    const Dataset data = synthetic_data(training_case(number), 512);
    return std::accumulate(data.bytes.begin(), data.bytes.end(), 0L);
  };
  EXPECT_EQ(sum(1), 25517730);
  EXPECT_EQ(sum(5), 205027);
}

TEST(SyntheticData, of_an_epoch_are_lists_of_the_same_counts) {
  const Dataset lists = synthetic_data(training_case(9), 512);
  const Dataset dense = synthetic_data(training_case(5), 512);
  ASSERT_EQ(lists.type, Dataset::Type::csr);
  require_lists(lists);
  EXPECT_EQ(lists.values(), dense.values());
}

TEST(SyntheticData, of_cells_are_counts_of_which_a_tenth_is_not_zero) {
  const Dataset data = synthetic_data(training_case(5), 512);
  const double entries = double(data.bytes.size());
  const double present = entries - double(std::count(data.bytes.begin(), data.bytes.end(), 0));
  // Four standard errors of a share.
  EXPECT_NEAR(present / entries, 0.1, 4 * std::sqrt(0.1 * 0.9 / entries));
  EXPECT_EQ(data.scale, 1);
}

}  // namespace
}  // namespace elbo::test
