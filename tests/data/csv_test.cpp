#include "data/csv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

using Floats = std::vector<float>;
using Names = std::vector<std::string>;

struct Csv : testing::Test {
  TemporaryFolder folder;
  Dataset reading(std::string_view content) const {
    return read_dataset(folder.with("x.csv", content));
  }
  std::string error_of_reading(std::string_view content) const {
    return folder.relative(error_of([&] { reading(content); }));
  }
};

}  // namespace

TEST_F(Csv, WithoutNamesIsReadRowByRow) {
  const Dataset data = reading("1,2,3\n-4.5,+5,6e-1\n");
  EXPECT_EQ(data.type, Dataset::Type::f32);
  EXPECT_EQ(data.rows, 2);
  EXPECT_EQ(data.columns, 3);
  EXPECT_EQ(data.floats, (Floats{1, 2, 3, -4.5f, 5, .6f}));
  EXPECT_TRUE(data.column_names.empty());
  EXPECT_TRUE(data.row_names.empty());
}

TEST_F(Csv, DelimiterIsFound) {
  for (const std::string d : {",", ";", "\t"}) {
    const Dataset data = reading("a" + d + "b\n1" + d + "2\n");
    EXPECT_EQ(data.floats, (Floats{1, 2})) << d;
    EXPECT_EQ(data.column_names, (Names{"a", "b"})) << d;
  }
  EXPECT_EQ(reading("7\n8\n").columns, 1);
}

TEST_F(Csv, LineEndsMayBeDosAndTheLastMayBeMissing) {
  EXPECT_EQ(reading("1,2\r\n3,4\r\n").floats, (Floats{1, 2, 3, 4}));
  EXPECT_EQ(reading("1,2\r\n3,4").floats, (Floats{1, 2, 3, 4}));
  EXPECT_EQ(reading("1,2\n3,4").floats, (Floats{1, 2, 3, 4}));
}

TEST_F(Csv, BlankLinesSpacesAndAByteOrderMarkAreSkipped) {
  EXPECT_EQ(reading("\xef\xbb\xbf"
                    "1, 2\n\n 3 ,4 \n  \n")
                .floats,
            (Floats{1, 2, 3, 4}));
}

TEST_F(Csv, FirstColumnOfTextNamesTheRows) {
  const Dataset data = reading("cell,a,b\nAAC,1,2\nAAG,3,4\n");
  EXPECT_EQ(data.columns, 2);
  EXPECT_EQ(data.column_names, (Names{"a", "b"}));
  EXPECT_EQ(data.row_names, (Names{"AAC", "AAG"}));
  EXPECT_EQ(data.floats, (Floats{1, 2, 3, 4}));
}

TEST_F(Csv, HeaderMayLeaveOutTheNameOfTheRowNames) {
  for (const std::string header : {"a,b", ",a,b"}) {
    const Dataset data = reading(header + "\nAAC,1,2\nAAG,3,4\n");
    EXPECT_EQ(data.column_names, (Names{"a", "b"}));
    EXPECT_EQ(data.row_names, (Names{"AAC", "AAG"}));
  }
  EXPECT_EQ(reading(",2010,2011\nOslo,1,2\n").column_names, (Names{"2010", "2011"}));
}

TEST_F(Csv, RowsWithNamesNeedNoHeader) {
  const Dataset data = reading("AAC,1,2\nAAG,3,4\n");
  EXPECT_EQ(data.rows, 2);
  EXPECT_EQ(data.row_names, (Names{"AAC", "AAG"}));
  EXPECT_TRUE(data.column_names.empty());
}

TEST_F(Csv, CellsMayBeQuoted) {
  const Dataset data = reading("\"a, b\",\"the \"\"best\"\"\"\n\"1\", \"2\" \n");
  EXPECT_EQ(data.column_names, (Names{"a, b", "the \"best\""}));
  EXPECT_EQ(data.floats, (Floats{1, 2}));
}

TEST_F(Csv, NumbersTooSmallForFloat32AreRounded) {
  EXPECT_EQ(reading("1e-60,1e-400,0.1\n").floats, (Floats{0, 0, .1f}));
}

TEST_F(Csv, CellThatIsNotANumberIsNamedByLineAndColumn) {
  EXPECT_EQ(error_of_reading("a,b,c\n1,2,3\n4,5,abc\n"), "x.csv:3:3: \"abc\" is not a number");
  EXPECT_EQ(error_of_reading("1,2\n3,4 5\n"), "x.csv:2:2: \"4 5\" is not a number");
  EXPECT_EQ(error_of_reading("n;a\nx;1\ny;1,5\n"), "x.csv:3:2: \"1,5\" is not a number");
  EXPECT_EQ(error_of_reading("1,2\n3,0x10\n"), "x.csv:2:2: \"0x10\" is not a number");
}

TEST_F(Csv, LinesAreCountedWithTheBlankOnes) {
  EXPECT_EQ(error_of_reading("1\n\n\nx\n"), "x.csv:4:1: \"x\" is not a number");
}

TEST_F(Csv, CellThatIsEmptyOrMarkedSoIsMissing) {
  for (const std::string mark : {"", " ", "\"\"", "?", "NA", "n/a", "NaN", "nan", "-nan", "NULL",
                                 "null", "None", "\"NA\"", " NA "}) {
    const Dataset data = reading("1,2,3\n4," + mark + ",5\n6,7," + mark + "\n" + mark + ",8,9\n");
    ASSERT_EQ(data.rows, 4) << mark;
    EXPECT_TRUE(data.column_names.empty()) << mark;
    EXPECT_EQ(data.missing(), 3) << mark;
    for (const int at : {4, 8, 9}) EXPECT_TRUE(std::isnan(data.floats[at])) << mark;
    EXPECT_EQ(data.floats[5], 5) << mark;
    EXPECT_EQ(data.floats[11], 9) << mark;
  }
}

TEST_F(Csv, DashesAndDotsAreNotTakenForMissing) {
  EXPECT_EQ(error_of_reading("1,2\n3,-\n"), "x.csv:2:2: \"-\" is not a number");
  EXPECT_EQ(error_of_reading("1,2\n3,.\n"), "x.csv:2:2: \".\" is not a number");
}

TEST_F(Csv, MissingValueInLineOneIsNotTakenForAHeader) {
  for (const std::string mark : {"?", "NA", "", "NaN"}) {
    const Dataset data = reading("1," + mark + ",3\n1,2,3\n");
    EXPECT_EQ(data.rows, 2) << mark;
    EXPECT_TRUE(std::isnan(data.value(0, 1))) << mark;
  }
}

TEST_F(Csv, HeaderIsOneAboveMissingValuesToo) {
  EXPECT_EQ(reading("a,b\n?,2\n3,4\n").column_names, (Names{"a", "b"}));
  EXPECT_EQ(reading("a,b\n?,\n3,4\n").column_names, (Names{"a", "b"}));
  EXPECT_EQ(reading("cell,a,b\nAAC,,NA\nAAG,3,4\n").column_names, (Names{"a", "b"}));
  EXPECT_EQ(error_of_reading("1,x\n2,?\n"), "x.csv:1:2: \"x\" is not a number");
}

TEST_F(Csv, LineOfTabsIsARowOfMissingValues) {
  const Dataset data = reading("a\tb\n1\t2\n\t\n3\t4\n");
  EXPECT_EQ(data.rows, 3);
  EXPECT_EQ(data.missing(), 2);
}

TEST_F(Csv, NumberThatIsInfiniteIsAnError) {
  EXPECT_EQ(error_of_reading("1,inf\n"), "x.csv:1:2: \"inf\" is not finite");
  EXPECT_EQ(error_of_reading("1,2\n-inf,2\n"), "x.csv:2:1: \"-inf\" is not finite");
}

TEST_F(Csv, NumberTooLargeForFloat32IsAnError) {
  EXPECT_EQ(error_of_reading("1,1e39\n"), "x.csv:1:2: \"1e39\" is too large for float32");
  EXPECT_EQ(error_of_reading("1,1e9999\n"), "x.csv:1:2: \"1e9999\" is too large for float32");
}

TEST_F(Csv, LineOfAnotherLengthIsAnError) {
  EXPECT_EQ(error_of_reading("a,b\n1,2\n3\n"), "x.csv:3: 1 cells, expected 2 as in line 2");
  EXPECT_EQ(error_of_reading("1,2\n3,4,5\n"), "x.csv:2: 3 cells, expected 2 as in line 1");
  EXPECT_EQ(error_of_reading("a,b\n1,2\n3,4,\n"), "x.csv:3: 3 cells, expected 2 as in line 2");
}

TEST_F(Csv, HeaderOfAnotherLengthIsAnError) {
  EXPECT_EQ(error_of_reading("a,b,c\n1,2\n3,4\n"), "x.csv:1: header has 3 cells, line 2 has 2");
}

TEST_F(Csv, WithoutNumbersIsAnError) {
  EXPECT_EQ(error_of_reading("\n \n"), "x.csv: holds blank lines only, expected numbers");
  EXPECT_EQ(error_of_reading("a,b,c\n"), "x.csv: holds a header only, expected numbers below it");
}

TEST_F(Csv, QuoteThatIsNotClosedIsAnError) {
  EXPECT_EQ(error_of_reading("1,2\n3,\"4\n"),
            "x.csv:2:2: a quote is opened and not closed in \"\"4\"");
  EXPECT_EQ(error_of_reading("1,2\n3,\"4\"5\n"),
            "x.csv:2:2: text follows the closing quote in \"\"4\"5\"");
}

TEST_F(Csv, LongAndUnprintableCellsAreShownShortAndPrintable) {
  EXPECT_EQ(error_of_reading("1\n" + std::string(1000, 'x') + "\n"),
            "x.csv:2:1: \"" + std::string(40, 'x') + "...\" is not a number");
  EXPECT_EQ(error_of_reading("1\n\x01\x1b[31m\n"), "x.csv:2:1: \"\\x01\\x1b[31m\" is not a number");
}

TEST_F(Csv, ThatIsWrittenIsReadBackToTheSameBitsAndNames) {
  const Floats values{0.1f, 1e-45f, -3.4028235e38f, 16777217.f, NAN, -0.f, 1.f / 3, 2e20f};
  const Names columns{"plain", "with, comma", "a \"quote\"", " spaced "}, rows{"one;", "t\two"};
  for (const char* name : {"x.csv", "x.tsv"})
    for (const Names& names : {rows, Names{}}) {
      write_csv(folder / name, columns, names, 2, 4, values.data());
      const Dataset back = read_dataset(folder / name);
      EXPECT_EQ(back.column_names, columns);
      EXPECT_EQ(back.row_names, names);
      ASSERT_EQ(back.floats.size(), values.size());
      for (std::size_t i = 0; i < values.size(); ++i)
        if (std::isnan(values[i])) EXPECT_TRUE(std::isnan(back.floats[i]));
        else EXPECT_EQ(back.floats[i], values[i]) << i;
    }
  write_csv(folder / "bare.csv", {}, {}, 4, 1, Floats{1, NAN, 2.5f, 3}.data());
  EXPECT_EQ(content_of(folder / "bare.csv"), "1\nNaN\n2.5\n3\n");
}

TEST_F(Csv, IsNotWrittenWithNamesOfAnotherNumber) {
  const Floats values{1, 2};
  const std::string path = folder / "x.csv";
  EXPECT_EQ(folder.relative(error_of([&] { write_csv(path, {"a"}, {}, 1, 2, values.data()); })),
            "x.csv: 1 names for 2 columns");
  EXPECT_EQ(folder.relative(error_of([&] { write_csv(path, {}, {"a"}, 2, 1, values.data()); })),
            "x.csv: 1 names for 2 rows");
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(TablesFromElsewhere, AreReadWithTheirPublishedShapes) {
  const char* folder = std::getenv("ELBO_DATA");
  if (folder == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const std::string tables = std::string(folder) + "/tables/";
  EXPECT_EQ(read_dataset(tables + "banknote_authentication.csv").rows, 1372);
  EXPECT_EQ(read_dataset(tables + "winequality-white.csv").columns, 12);
  const Dataset cancer = read_dataset(tables + "breast-cancer-wisconsin.csv");
  EXPECT_EQ(cancer.rows, 699);
  EXPECT_EQ(cancer.missing(), 16);
  EXPECT_TRUE(std::isnan(cancer.value(23, 5)));
  const Dataset rig = read_dataset(std::string(folder) + "/sensors/skab/valve1/0.csv");
  EXPECT_EQ(rig.columns, 10);
  EXPECT_EQ(rig.column_names[7], "Volume Flow RateRMS");
}
