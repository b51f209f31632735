#include "data/fasta.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

using Names = std::vector<std::string>;

struct Fasta : testing::Test {
  TemporaryFolder folder;
  Dataset reading(std::string_view content, const std::string& options = "") const {
    return read_dataset(folder.with("x.fa", content) + options);
  }
  std::string error_of_reading(std::string_view content, const std::string& options = "") const {
    return folder.relative(error_of([&] { reading(content, options); }));
  }
};

}  // namespace

TEST_F(Fasta, OfDnaBecomesClasses) {
  const Dataset data = reading(">one the first\nACG\nT\n\n>two\r\nttGA\r\n");
  EXPECT_EQ(data.alphabet, "ACGT");
  EXPECT_EQ(data.bytes, (Bytes{0, 1, 2, 3, 3, 3, 2, 0}));
  EXPECT_EQ(data.row_names, (Names{"one", "two"}));
  EXPECT_EQ(data.select({1}).alphabet, "ACGT");
}

TEST_F(Fasta, WithUnknownLettersHasMissingValues) {
  const Dataset data = reading(">a\nACNT\n");
  EXPECT_EQ(data.type, Dataset::Type::f32);
  EXPECT_EQ(data.missing(), 1);
  EXPECT_TRUE(std::isnan(data.value(0, 2)));
  EXPECT_EQ(reading(">a\nMKXW\n").missing(), 1);
}

TEST_F(Fasta, FindsItsAlphabetOrTakesAGivenOne) {
  EXPECT_EQ(reading(">a\nACGU\n").alphabet, "ACGU");
  EXPECT_EQ(reading(">a\nMKVN\n").value(0, 3), 11);
  const Dataset gaps = reading(">a\nA-C\n", "?alphabet=acgt-");
  EXPECT_EQ(gaps.alphabet, "ACGT-");
  EXPECT_EQ(gaps.bytes, (Bytes{0, 4, 1}));
}

TEST_F(Fasta, IsCutAndFilledUpToALengthThatIsGiven) {
  const Dataset data = reading(">a\nACGT\n>b\nCA\n", "?length=3");
  EXPECT_EQ(data.columns, 3);
  EXPECT_EQ(data.value(0, 2), 2);
  EXPECT_EQ(data.value(1, 1), 0);
  EXPECT_TRUE(std::isnan(data.value(1, 2)));
  EXPECT_EQ(reading(">a\nACGT\n>b\nCA\n", "?length=2").type, Dataset::Type::u8);
}

TEST_F(Fasta, OfAnotherKindIsAnErrorThatNamesItsLine) {
  EXPECT_EQ(error_of_reading(">a\nAC\nGZ\n", "?alphabet=ACGT"),
            "x.fa:3: letter 'Z' is not of the alphabet ACGT");
  EXPECT_EQ(error_of_reading(">a\nAC\n>b\nA*\n"),
            "x.fa:4: letter '*' is not of the alphabet ACDEFGHIKLMNPQRSTVWY");
  EXPECT_EQ(error_of_reading(">a\nACGT\n\n>b\nACG\n"),
            "x.fa:5: record \"b\" has 3 letters, expected 4 as the first (or ?length=N, which cuts "
            "and fills up)");
  EXPECT_EQ(error_of_reading("ACGT\n"),
            "x.fa:1: \"ACGT\" stands before the first record, expected >NAME");
  EXPECT_EQ(error_of_reading(">a\n>b\nACG\n"), "x.fa:1: record \"a\" has no letters");
  EXPECT_EQ(error_of_reading(">a\nAC\n", "?alphabet=AA"),
            "x.fa: alphabet=AA, expected letters that differ");
}

TEST_F(Fasta, IsKnownInATextFileByItsFirstLetter) {
  EXPECT_EQ(read_dataset(folder.with("x.txt", ">a\nACGT\n")).alphabet, "ACGT");
  EXPECT_EQ(read_dataset(folder.with("y.txt", "1 \n2\n")).columns, 1);
}

TEST_F(Fasta, WrittenComesBack) {
  std::vector<float> classes;
  for (int i = 0; i < 2 * 170; ++i) classes.push_back(float(i * i % 4));
  classes[5] = NAN;
  write_fasta(folder / "w.fa", {"first", "second"}, classes, "ACGT");
  const Dataset data = read_dataset(folder / "w.fa");
  ASSERT_EQ(data.columns, 170);
  EXPECT_EQ(data.row_names, (Names{"first", "second"}));
  for (std::size_t i = 0; i < classes.size(); ++i)
    EXPECT_TRUE(data.floats[i] == classes[i] || (i == 5 && std::isnan(data.floats[i]))) << i;
  EXPECT_EQ(folder.relative(error_of([&] { write_fasta(folder / "w.fa", {"a"}, {4}, "ACGT"); })),
            "w.fa: class 4 of sequence 1, expected whole numbers below 4");
}
