#include "data/idx.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

std::string idx(std::initializer_list<std::uint32_t> shape, std::string_view content,
                char type = 8) {
  std::string file{0, 0, type, char(shape.size())};
  for (const std::uint32_t extent : shape)
    for (int shift = 24; shift >= 0; shift -= 8) file += char(extent >> shift & 255);
  return file.append(content);
}

struct Idx : testing::Test {
  TemporaryFolder folder;
  std::string error_of_reading(const std::string& name, std::string_view content) const {
    folder.with(name, content);
    return folder.relative(error_of([&] { read_dataset(folder / name); }));
  }
};

}  // namespace

TEST_F(Idx, ImagesBecomeRowsOfGreyValues) {
  const Dataset data =
      read_dataset(folder.with("x-images-idx3-ubyte", idx({2, 1, 3}, {"\0\1\2\3\4\xff", 6})));
  EXPECT_EQ(data.type, Dataset::Type::u8);
  EXPECT_EQ(data.rows, 2);
  EXPECT_EQ(data.columns, 3);
  EXPECT_EQ(data.image_height, 1);
  EXPECT_EQ(data.image_width, 3);
  EXPECT_EQ(data.bytes, (Bytes{0, 1, 2, 3, 4, 255}));
  EXPECT_FLOAT_EQ(data.value(1, 2), 1);
  EXPECT_FLOAT_EQ(data.value(0, 1), 1 / 255.f);
  EXPECT_TRUE(data.labels.empty());
}

TEST_F(Idx, BinarisedImagesKeepTheirZerosAndOnes) {
  const Dataset data = read_idx(folder.with("x.idx", idx({1, 2, 2}, {"\0\1\1\0", 4})));
  EXPECT_EQ(data.values(), (std::vector<float>{0, 1, 1, 0}));
}

TEST_F(Idx, TablesAreNotImagesAndNotScaled) {
  const Dataset data = read_idx(folder.with("x.idx", idx({2, 2}, "\1\2\3\4")));
  EXPECT_EQ(data.image_height, 0);
  EXPECT_EQ(data.values(), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(Idx, LabelsOfTheSiblingFileAreLoaded) {
  for (const std::string mark : {"-", "."}) {
    const std::string images =
        folder.with("t" + mark + "images" + mark + "idx3-ubyte", idx({3, 1, 1}, "abc"));
    folder.with("t" + mark + "labels" + mark + "idx1-ubyte", idx({3}, "\5\6\7"));
    EXPECT_EQ(read_idx(images).labels, (std::vector<int>{5, 6, 7}));
  }
}

TEST_F(Idx, LabelsOfAnotherNumberAreAnError) {
  folder.with("t-labels-idx1-ubyte", idx({2}, "\5\6"));
  const std::string message = error_of_reading("t-images-idx3-ubyte", idx({3, 1, 1}, "abc"));
  EXPECT_EQ(message, "t-labels-idx1-ubyte: has 2 labels, but " + (folder / "t-images-idx3-ubyte") +
                         " has 3 images");
}

TEST_F(Idx, LabelsAreNotData) {
  EXPECT_EQ(error_of_reading("t-labels-idx1-ubyte", idx({2}, "\5\6")),
            "t-labels-idx1-ubyte: is 1-D (labels), expected 3-D images or a 2-D table");
}

TEST_F(Idx, ImagesAreNotLabels) {
  const std::string path = folder.with("x.idx", idx({1, 1}, "a"));
  EXPECT_EQ(folder.relative(error_of([&] { read_idx_labels(path); })),
            "x.idx: is 2-D, expected 1-D labels");
}

TEST_F(Idx, WithTooFewBytesIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", idx({60000, 28, 28}, std::string(1234, 'x'))),
            "x-ubyte: truncated: header says 60000 x 28 x 28 = 47040000 bytes, file has 1234");
}

TEST_F(Idx, WithTooManyBytesIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", idx({1, 2}, "abc")),
            "x-ubyte: too long: header says 1 x 2 = 2 bytes, file has 3");
}

TEST_F(Idx, WhoseSizeOverflowsIsAnError) {
  EXPECT_EQ(
      error_of_reading("x-ubyte", idx({~0u, ~0u, ~0u}, "abc")),
      "x-ubyte: truncated: header says 4294967295 x 4294967295 x 4294967295 bytes, file has 3");
}

TEST_F(Idx, CutInsideItsHeaderIsAnError) {
  const std::string whole = idx({1, 1, 1}, "");
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_NE(error_of_reading("x-ubyte", whole.substr(0, size)).find("truncated"),
              std::string::npos)
        << size;
}

TEST_F(Idx, OfFloatsIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", idx({1, 1}, "abcd", 0x0d)),
            "x-ubyte: element type 0x0d is not supported, expected 0x08 (unsigned byte)");
}

TEST_F(Idx, WithWrongMagicIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", "hello, world"),
            "x-ubyte: begins with 68 65 6c 6c, expected IDX's 00 00 08");
}

TEST_F(Idx, OfFourDimensionsIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", idx({1, 1, 1, 1}, "a")),
            "x-ubyte: is 4-D, expected 3-D images, a 2-D table or 1-D labels");
}

TEST_F(Idx, WithoutDataIsAnError) {
  EXPECT_EQ(error_of_reading("x-ubyte", idx({0, 28, 28}, "")),
            "x-ubyte: dimension 1 of 3 is 0, expected data");
}

// Counts and mean pixel (0.1307, the constant everybody normalises MNIST with) from outside.
TEST(Mnist, HasItsPublishedCountsAndMean) {
  const char* folder = std::getenv("ELBO_DATA");
  if (folder == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const Dataset data = read_dataset(std::string(folder) + "/mnist/train-images-idx3-ubyte.gz");
  EXPECT_EQ(data.rows, 60000);
  EXPECT_EQ(data.columns, 784);
  const double sum = std::accumulate(data.bytes.begin(), data.bytes.end(), 0.0);
  EXPECT_NEAR(sum / 255 / 60000 / 784, 0.1307, 5e-5);

  std::array<int, 10> counts{};
  for (const int label : data.labels) ++counts.at(std::size_t(label));
  EXPECT_EQ(counts, (std::array{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
}

TEST(Mnist, FixedBinarisationHasValuesZeroAndOne) {
  const char* folder = std::getenv("ELBO_DATA");
  if (folder == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const Dataset data = read_dataset(std::string(folder) +
                                    "/binarized_mnist/binarized_mnist_test-images-idx3-ubyte.gz");
  EXPECT_EQ(data.rows, 10000);
  EXPECT_EQ(data.columns, 784);
  EXPECT_EQ(data.scale, 1);
}
