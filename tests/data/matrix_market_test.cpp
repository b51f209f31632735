#include "data/matrix_market.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

using Floats = std::vector<float>;
using Names = std::vector<std::string>;

struct MatrixMarket : testing::Test {
  TemporaryFolder folder;
  Dataset reading(std::string_view content) const {
    return read_dataset(folder.with("x.mtx", content));
  }
  std::string error_of_reading(std::string_view content) const {
    return folder.relative(error_of([&] { reading(content); }));
  }
  /// 3 genes x 2 cells.
  std::string with_counts(const std::string& name) const {
    return folder.with(name, integers + "3 2 3\n1 1 5\n3 1 7\n2 2 9\n");
  }
  static inline const std::string integers = "%%MatrixMarket matrix coordinate integer general\n",
                                  reals = "%%MatrixMarket matrix coordinate real general\n";
};

}  // namespace

TEST_F(MatrixMarket, HoldsZeroWhereNothingIsListed) {
  const Dataset data = reading(integers + "2 3 2\n1 3 7\n2 1 255\n");
  EXPECT_EQ(data.type, Dataset::Type::u8);
  EXPECT_EQ(data.rows, 2);
  EXPECT_EQ(data.columns, 3);
  EXPECT_EQ(data.scale, 1);
  EXPECT_EQ(data.bytes, (Bytes{0, 0, 7, 255, 0, 0}));
  EXPECT_TRUE(data.row_names.empty());
}

TEST_F(MatrixMarket, OfWholeNumbersUpTo255IsBytesAndElseFloats) {
  EXPECT_EQ(reading(integers + "1 2 2\n1 1 4\n1 2 256\n").floats, (Floats{4, 256}));
  EXPECT_EQ(reading(integers + "1 2 2\n1 1 4\n1 2 -1\n").floats, (Floats{4, -1}));
  EXPECT_EQ(reading(reals + "1 2 2\n1 1 4\n1 2 0.5\n").floats, (Floats{4, .5f}));
  EXPECT_EQ(reading(reals + "1 2 2\n1 1 4.0\n1 2 2e1\n").bytes, (Bytes{4, 20}));
}

TEST_F(MatrixMarket, IsListsWhereTheyTakeLessMemory) {
  // 8 bytes a row (and one more), 8 an entry, against 1 or 4 a value.
  const std::string three = "2 1 9\n1 40 4\n1 7 2\n", zero = "2 2 0\n";
  const Dataset lists = reading(integers + "2 50 4\n" + three + zero);
  EXPECT_EQ(lists.type, Dataset::Type::csr) << "48 bytes, dense 100";
  EXPECT_EQ(lists.starts, (std::vector<std::uint64_t>{0, 2, 3}));
  EXPECT_EQ(lists.indices, (std::vector<std::uint32_t>{6, 39, 0}));
  EXPECT_EQ(lists.floats, (Floats{2, 4, 9}));
  EXPECT_EQ(reading(integers + "1 40 3\n1 40 4\n1 7 2\n1 40 4\n").type, Dataset::Type::csr)
      << "32 bytes, since one is listed twice, dense 40";
  EXPECT_EQ(reading(integers + "1 40 3\n1 40 4\n1 7 2\n1 39 4\n").type, Dataset::Type::u8)
      << "40 bytes, dense 40";
  const Dataset wide = reading(integers + "1 12 3\n1 4 300\n1 7 2\n1 3 4\n");
  EXPECT_EQ(wide.type, Dataset::Type::csr) << "40 bytes, dense 48";
  EXPECT_EQ(wide.values(), (Floats{0, 0, 4, 300, 0, 0, 2, 0, 0, 0, 0, 0}));
}

TEST_F(MatrixMarket, OfAPatternHasOnes) {
  EXPECT_EQ(reading("%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 1\n2 2\n").bytes,
            (Bytes{1, 0, 0, 1}));
}

TEST_F(MatrixMarket, SumsWhatIsListedTwice) {
  EXPECT_EQ(reading(integers + "1 2 3\n1 1 4\n1 2 1\n1 1 3\n").bytes, (Bytes{7, 1}));
  EXPECT_EQ(reading(integers + "1 2 3\n1 1 200\n1 2 1\n1 1 100\n").floats, (Floats{300, 1}));
}

TEST_F(MatrixMarket, SkipsCommentsBlankLinesAndSurplusBlanks) {
  EXPECT_EQ(reading("%%matrixmarket MATRIX coordinate  Integer general\r\n% one\n\n%two\n"
                    "\t1  2 1 \r\n\n 1\t2  3 \r\n\n")
                .bytes,
            (Bytes{0, 3}));
}

TEST_F(MatrixMarket, IsKnownByItsFirstLine) {
  EXPECT_EQ(read_dataset(folder.with("counts", integers + "1 1 1\n1 1 2\n")).bytes, Bytes{2});
}

TEST_F(MatrixMarket, HasMissingValuesWhereItSaysNan) {
  const Dataset data = reading(reals + "1 3 2\n1 1 nan\n1 2 2\n");
  EXPECT_EQ(data.missing(), 1);
  EXPECT_TRUE(std::isnan(data.value(0, 0)));
  EXPECT_EQ(data.value(0, 1), 2);
}

TEST_F(MatrixMarket, OfAnotherKindIsAnError) {
  EXPECT_EQ(error_of_reading("1 1 1\n"), "x.mtx:1: header has \"1\", expected %%MatrixMarket");
  EXPECT_EQ(error_of_reading("%%MatrixMarket matrix array real general\n"),
            "x.mtx:1: header has \"array\", expected coordinate");
  EXPECT_EQ(error_of_reading("%%MatrixMarket matrix coordinate complex general\n"),
            "x.mtx:1: header has \"complex\", expected integer or real or pattern or "
            "unsigned-integer");
  EXPECT_EQ(error_of_reading("%%MatrixMarket matrix coordinate real symmetric\n"),
            "x.mtx:1: header has \"symmetric\", expected general");
  EXPECT_EQ(error_of_reading("%%MatrixMarket matrix\n"),
            "x.mtx:1: header has \"\", expected coordinate");
}

TEST_F(MatrixMarket, OfNoSizeIsAnError) {
  for (const std::string size : {"2 2", "2 2 x", "2 2 1 1", "0 2 1", "2 -2 1", "2 2 -1", "2.5 2 1"})
    EXPECT_EQ(error_of_reading(integers + "%\n" + size + "\n"),
              "x.mtx:3: \"" + size + "\" is not a size: rows, columns, entries");
  EXPECT_EQ(error_of_reading(integers + "% 2 2 1\n"), "x.mtx: truncated: ends before its size");
}

TEST_F(MatrixMarket, EntryThatIsNoneIsNamedByItsLine) {
  for (const std::string entry : {"1 2", "1 2 x", "1 2 3 4", "1 2 3.5", "1,2,3", "1 2 3x", "% no"})
    EXPECT_EQ(error_of_reading(integers + "2 2 2\n1 1 1\n" + entry + "\n"),
              "x.mtx:4: \"" + entry + "\" is not row, column, whole number");
  EXPECT_EQ(error_of_reading(reals + "2 2 1\n1 2 x\n"),
            "x.mtx:3: \"1 2 x\" is not row, column, number");
  EXPECT_EQ(error_of_reading("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 2 1\n"),
            "x.mtx:3: \"1 2 1\" is not row, column");
}

TEST_F(MatrixMarket, IndexOutsideTheMatrixIsNamedByItsLine) {
  for (const std::string at : {"0 1", "3 1", "1 0", "1 4", "-1 1"}) {
    const std::size_t blank = at.find(' ');
    EXPECT_EQ(error_of_reading(integers + "2 3 1\n" + at + " 1\n"),
              "x.mtx:3: row " + at.substr(0, blank) + ", column " + at.substr(blank + 1) +
                  " of a matrix of 2 x 3");
  }
}

TEST_F(MatrixMarket, NumberThatDoesNotFitIsAnError) {
  EXPECT_EQ(error_of_reading(reals + "1 1 1\n1 1 inf\n"), "x.mtx:3: inf is not finite");
  EXPECT_EQ(error_of_reading(reals + "1 1 1\n1 1 1e39\n"),
            "x.mtx:3: 1e+39 is too large for float32");
}

TEST_F(MatrixMarket, WithFewerOrMoreEntriesThanAnnouncedIsAnError) {
  EXPECT_EQ(error_of_reading(integers + "2 2 3\n1 1 1\n2 2 2\n"),
            "x.mtx: truncated: 2 entries, line 2 says 3");
  EXPECT_EQ(error_of_reading(integers + "2 2 1\n1 1 1\n2 2 2\n"),
            "x.mtx:4: entry 2, but line 2 says 1 entries");
}

TEST_F(MatrixMarket, WithMoreRowsThanItsEntriesCanFillIsAnError) {
  EXPECT_EQ(error_of_reading(integers + "9000000000000000000 2000000000 1\n1 1 1\n"),
            "x.mtx: line 2 says 9000000000000000000 rows, the 6 bytes below it may be at most "
            "8388614");
  EXPECT_EQ(error_of_reading(integers + "8388608 2000000000 0\n"), "");
  EXPECT_NE(error_of_reading(integers + "1 3000000000 0\n").find("2^31 - 1"), std::string::npos);
}

TEST_F(MatrixMarket, BesideBarcodesAndFeaturesHasACellInEachRow) {
  folder.with("barcodes.tsv", "AAC-1\nAAG-1\n");
  folder.with("features.tsv", "ENSG1\tTP53\tGene Expression\nENSG2\tMYC\tGene Expression\nENSG3\n");
  const Dataset data = read_dataset(with_counts("matrix.mtx"));
  EXPECT_EQ(data.rows, 2);
  EXPECT_EQ(data.columns, 3);
  EXPECT_EQ(data.bytes, (Bytes{5, 0, 7, 0, 9, 0}));
  EXPECT_EQ(data.row_names, (Names{"AAC-1", "AAG-1"}));
  EXPECT_EQ(data.column_names, (Names{"TP53", "MYC", "ENSG3"}));
  EXPECT_EQ(read_dataset(folder.path()).bytes, data.bytes);
}

TEST_F(MatrixMarket, MayHaveItsFeaturesInGenesTsv) {
  folder.with("barcodes.tsv", "a\nb\n");
  folder.with("genes.tsv", "1\tx\n2\ty\n3\tz\n");
  EXPECT_EQ(read_dataset(with_counts("matrix.mtx")).column_names, (Names{"x", "y", "z"}));
}

TEST_F(MatrixMarket, BesideNamesThatDoNotFitKeepsItsRows) {
  folder.with("barcodes.tsv", "a\nb\nc\n");
  folder.with("features.tsv", "x\ny\nz\n");
  EXPECT_EQ(read_dataset(with_counts("other.mtx")).rows, 3);
  folder.with("barcodes.tsv", "a\nb\n");
  std::filesystem::remove(folder / "features.tsv");
  EXPECT_EQ(read_dataset(with_counts("other.mtx")).rows, 3) << "barcodes alone say too little";
}

TEST_F(MatrixMarket, OfAFolderIsGenesByCellsWithoutNamesToo) {
  with_counts("matrix.mtx");
  const Dataset data = read_dataset(folder.path());
  EXPECT_EQ(data.rows, 2);
  EXPECT_TRUE(data.row_names.empty());
  EXPECT_TRUE(data.column_names.empty());
}

TEST_F(MatrixMarket, OfAFolderWithNamesThatDoNotFitIsAnError) {
  with_counts("matrix.mtx");
  folder.with("barcodes.tsv", "a\nb\nc\n");
  EXPECT_EQ(
      error_of([&] { read_dataset(folder.path()); }),
      folder / "barcodes.tsv" + ": has 3 lines, but " + (folder / "matrix.mtx") + " has 2 columns");
  EXPECT_EQ(folder.relative(error_of([&] {
    std::filesystem::create_directory(folder / "empty");
    read_dataset(folder / "empty");
  })),
            "empty: is a directory without matrix.mtx or matrix.mtx.gz and without .png, expected "
            "a file");
}

namespace {

struct Counts {
  const char* folder;
  long cells;
  int genes;
  float largest;
  double first, last;  // sums of the first and the last cell
  double weighted;     // of all cells' sums, each times its number from 1
  const char* last_barcode;
  const char* top_gene;
  int top;
  double top_sum;
};

// Printed by tests/golden/make_cell_sums.py.
const Counts published[] = {
    {"sc_mixology", 1408, 11533, 2973, 15694, 56064, 22765323390, "sc_celseq2_5cl_p3:p1_P9",
     "MT-RNR2", 9776, 1019608},
    {"pbmc68k_reduced", 700, 765, 259, 628, 1169, 169000176, "TTGAGGTGGAGAGC-8", "CD74", 209,
     20747},
    {"cite_seq_5k", 200, 16581, 744, 7359, 5985, 135765254, "ACAACCAGTTACGATC-1", "MALAT1", 8799,
     49039},
    {"formats/10x-3.0.0/filtered_feature_bc_matrix", 1107, 507, 36, 36, 34, 22883968,
     "TTTGGTTGTAGAATAC-1", "ITGB2", 457, 5510},
};

}  // namespace

TEST(CellCounts, HaveTheSumsThatScipyFinds) {
  const char* data_sets = std::getenv("ELBO_DATA");
  if (data_sets == nullptr) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  for (const Counts& expected : published) {
    SCOPED_TRACE(expected.folder);
    const Dataset data = read_dataset(std::string(data_sets) + "/cells/" + expected.folder);
    ASSERT_EQ(data.rows, expected.cells);
    ASSERT_EQ(data.columns, expected.genes);
    require_lists(data);
    const std::size_t each = expected.largest <= 255 ? 1 : sizeof(float);
    const std::size_t dense = std::size_t(data.rows) * data.columns * each;
    if (data.type == Dataset::Type::csr)
      EXPECT_LT(8 * (data.starts.size() + data.floats.size()), dense);
    else EXPECT_EQ(data.bytes.size() + data.floats.size() * sizeof(float), dense);
    float largest = 0;
    double first = 0, last = 0, weighted = 0, top = 0;  // all below 2^53, so exact
    for (long r = 0; r < data.rows; ++r) {
      double sum = 0;
      for (int c = 0; c < data.columns; ++c) {
        sum += data.value(r, c);
        largest = std::max(largest, data.value(r, c));
      }
      weighted += double(r + 1) * sum;
      if (r == 0) first = sum;
      last = sum;
      top += data.value(r, expected.top);
    }
    EXPECT_EQ(largest, expected.largest);
    EXPECT_EQ(first, expected.first);
    EXPECT_EQ(last, expected.last);
    EXPECT_EQ(weighted, expected.weighted);
    EXPECT_EQ(data.row_names.back(), expected.last_barcode);
    EXPECT_EQ(data.column_names.at(std::size_t(expected.top)), expected.top_gene);
    EXPECT_EQ(top, expected.top_sum);
  }
}
