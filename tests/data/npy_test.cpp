#include "data/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

template <class T>
std::string raw(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

std::string npy_of(std::string dictionary, std::string_view numbers, char version = 1) {
  const std::size_t prefix = version == 1 ? 10 : 12;
  while ((prefix + dictionary.size() + 1) % 64 != 0) dictionary += ' ';
  dictionary += '\n';
  std::string file = "\x93NUMPY";
  file += {version, 0, char(dictionary.size() & 255), char(dictionary.size() >> 8)};
  if (version > 1) file += std::string(2, '\0');
  return file.append(dictionary).append(numbers);
}

std::string npy(const std::string& dtype, const std::string& shape, std::string_view numbers,
                char version = 1) {
  return npy_of("{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }",
                numbers, version);
}

struct Npy : testing::Test {
  TemporaryFolder folder;
  Dataset reading(std::string_view content) const {
    return read_dataset(folder.with("x.npy", content));
  }
  std::string error_of_reading(std::string_view content) const {
    return folder.relative(error_of([&] { reading(content); }));
  }
};

const std::vector<float> six{0, 1.5f, -2, 3e38f, 1e-42f, 5};

}  // namespace

TEST_F(Npy, WrittenComesBackBitForBit) {
  for (const long rows : {1L, 2L, 3L, 6L}) {
    write_npy(folder / "x.npy", rows, 6 / rows, six.data());
    const Dataset data = read_npy(folder / "x.npy");
    EXPECT_EQ(data.rows, rows);
    EXPECT_EQ(data.columns, 6 / rows);
    EXPECT_EQ(data.floats, six);
    EXPECT_EQ(data.scale, 1);
  }
}

// Every length of the shape's text, so every padding.
TEST_F(Npy, WrittenBeginsItsNumbersAtAMultipleOf64Bytes) {
  const std::vector<float> zeros(1'000'000);
  for (long rows = 1; rows <= 1'000'000; rows *= 10)
    for (long columns = 1; rows * columns <= 1'000'000; columns *= 10) {
      write_npy(folder / "x.npy", rows, columns, zeros.data());
      const auto size = std::filesystem::file_size(folder / "x.npy");
      EXPECT_EQ((size - std::size_t(4 * rows * columns)) % 64, 0u) << rows << " x " << columns;
      EXPECT_EQ(read_npy(folder / "x.npy").columns, columns);
    }
}

TEST_F(Npy, WrittenIsWhatNumpyWrites) {
  const std::vector<float> two{1, 2};
  write_npy(folder / "x.npy", 1, 2, two.data());
  EXPECT_EQ(content_of(folder / "x.npy"), npy("<f4", "1, 2", raw(two)));
}

TEST_F(Npy, OfEveryFormatVersionIsRead) {
  for (const char version : {1, 2, 3})
    EXPECT_EQ(reading(npy("<f4", "2, 3", raw(six), version)).floats, six);
}

TEST_F(Npy, OfDoublesAndIntegersBecomesFloats) {
  const std::vector<float> expected{1, -2, 3, 40};
  EXPECT_EQ(reading(npy("<f8", "2, 2", raw<double>({1, -2, 3, 40}))).floats, expected);
  EXPECT_EQ(reading(npy("<i4", "2, 2", raw<std::int32_t>({1, -2, 3, 40}))).floats, expected);
  EXPECT_EQ(reading(npy("<i8", "2, 2", raw<std::int64_t>({1, -2, 3, 40}))).floats, expected);
}

TEST_F(Npy, OfBytesStaysBytesAndIsNotScaledUnlessItIsImages) {
  const Dataset table = reading(npy("|u1", "2, 2", "\1\2\3\xff"));
  EXPECT_EQ(table.bytes, (Bytes{1, 2, 3, 255}));
  EXPECT_EQ(table.value(1, 1), 255);
  const Dataset images = reading(npy("|u1", "2, 1, 2", "\1\2\3\xff"));
  EXPECT_EQ(images.image_height, 1);
  EXPECT_EQ(images.image_width, 2);
  EXPECT_FLOAT_EQ(images.value(1, 1), 1);
  EXPECT_EQ(reading(npy("|b1", "1, 2", "\1\1")).value(0, 1), 1);
}

TEST_F(Npy, OfUnsupportedTypeIsAnError) {
  for (const std::string dtype : {"<c8", ">f4", "<f2", "<U5", "|O"})
    EXPECT_EQ(error_of_reading(npy(dtype, "1, 1", "12345678")),
              "x.npy: dtype '" + dtype +
                  "' is not supported, expected one of <f4 <f8 |u1 (or <i4 <i8 |b1)");
}

TEST_F(Npy, OfStructuresIsAnError) {
  EXPECT_EQ(error_of_reading(npy_of(
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }", "1234")),
            "x.npy: structured dtype is not supported, expected one of <f4 <f8 |u1");
}

TEST_F(Npy, InFortranOrderIsAnError) {
  EXPECT_EQ(error_of_reading(
                npy_of("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", raw(six))),
            "x.npy: Fortran order, expected C order");
}

TEST_F(Npy, OfAnotherNumberOfDimensionsIsAnError) {
  const std::string expected = "-D, expected 2-D [rows, columns] or 3-D [images, height, width]";
  EXPECT_EQ(error_of_reading(npy("<f4", "6,", raw(six))), "x.npy: is 1" + expected);
  EXPECT_EQ(error_of_reading(npy("<f4", "", raw(six))), "x.npy: is 0" + expected);
  EXPECT_EQ(error_of_reading(npy("<f4", "1, 1, 2, 3", raw(six))), "x.npy: is 4" + expected);
}

TEST_F(Npy, WithTooFewBytesIsAnError) {
  EXPECT_EQ(error_of_reading(npy("<f4", "2, 4", raw(six))),
            "x.npy: truncated: header says 2 x 4 x <f4 = 32 bytes, file has 24");
}

TEST_F(Npy, WithTooManyBytesIsAnError) {
  EXPECT_EQ(error_of_reading(npy("<f4", "2, 2", raw(six))),
            "x.npy: too long: header says 2 x 2 x <f4 = 16 bytes, file has 24");
}

TEST_F(Npy, WhoseSizeOverflowsIsAnError) {
  const std::string huge = "9000000000000000000, 9000000000000000000";
  EXPECT_NE(error_of_reading(npy("<f4", huge, "")).find("truncated"), std::string::npos);
}

TEST_F(Npy, WithoutDataIsAnError) {
  EXPECT_EQ(error_of_reading(npy("<f4", "0, 3", "")),
            "x.npy: a dimension of its shape is 0, expected data");
}

TEST_F(Npy, CutAnywhereIsAnError) {
  const std::string whole = npy("<f4", "2, 3", raw(six));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_of_reading(whole.substr(0, size)), "") << size;
}

TEST_F(Npy, WithWrongMagicIsAnError) {
  EXPECT_EQ(error_of_reading("PK\3\4 a zip file"),
            "x.npy: begins with 50 4b 03 04 20 61, expected npy's 93 4e 55 4d 50 59");
}

TEST_F(Npy, WithAnUnreadableHeaderIsAnError) {
  EXPECT_EQ(
      error_of_reading(npy_of("{'descr': '<f4', 'fortran_order': False}", "")),
      "x.npy: 'shape' is missing from header \"{'descr': '<f4', 'fortran_order': False}...\"");
  EXPECT_NE(error_of_reading(npy("<f4", "two, 3", raw(six))), "");
  EXPECT_NE(error_of_reading(npy("<f4", "-2, 3", raw(six))), "");
}

TEST_F(Npy, HasMissingValuesWhereItHasNan) {
  std::vector<float> numbers = six;
  numbers[5] = std::nanf("");
  const Dataset data = reading(npy("<f4", "2, 3", raw(numbers)));
  EXPECT_TRUE(std::isnan(data.value(1, 2)));
  EXPECT_EQ(data.missing(), 1);
  EXPECT_EQ(reading(npy("<f8", "1, 2", raw<double>({0, std::nan("")}))).missing(), 1);
}

TEST_F(Npy, WithANumberThatIsInfiniteIsAnErrorThatNamesIt) {
  std::vector<float> numbers = six;
  numbers[5] = HUGE_VALF;
  EXPECT_EQ(error_of_reading(npy("<f4", "2, 3", raw(numbers))),
            "x.npy: row 1, column 2 is inf, expected finite numbers or NaN");
  EXPECT_EQ(error_of_reading(npy("<f8", "1, 2", raw<double>({0, -HUGE_VAL}))),
            "x.npy: row 0, column 1 is -inf, expected finite numbers or NaN");
  EXPECT_EQ(error_of_reading(npy("<f8", "1, 1", raw<double>({1e300}))),
            "x.npy: row 0, column 0 is 1e+300, too large for float32");
}
