// FILE?key=value, and what is known of rows.
#include "data/options.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/annotations.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

using Names = std::vector<std::string>;

struct FileOptions : testing::Test {
  TemporaryFolder folder;
  const std::string table =
      folder.with("x.csv", ",a,kind,b,c\nr1,1,cat,2,0\nr2,3,dog,4,0\nr3,5,cat,6,7\n");

  std::string error_of_reading(const std::string& what) const {
    return folder.relative(error_of([&] { read_dataset(what); }));
  }
};

std::vector<float> column(const Dataset& data, int c) {
  std::vector<float> values;
  for (long r = 0; r < data.rows; ++r) values.push_back(data.value(r, c));
  return values;
}

}  // namespace

TEST_F(FileOptions, OfAFileWhoseNameHasAQuestionMarkAreNotTakenForItsName) {
  const std::string odd = folder.with("what?.csv", "1,2\n");
  EXPECT_EQ(read_dataset(odd).columns, 2);
  EXPECT_EQ(read_dataset(odd + "?drop=1").columns, 1);
  EXPECT_EQ(error_of_reading(folder / "nowhere.csv?drop=1"), "nowhere.csv: no such file");
}

TEST_F(FileOptions, ThatNobodyKnowsAreAnErrorThatNamesTheKnownOnes) {
  EXPECT_EQ(error_of_reading(table + "?label=a"),
            "x.csv: unknown key \"label\", expected one of annotations, labels, only, drop, "
            "columns, missing");
  EXPECT_EQ(error_of_reading(folder.with("x.npz", "PK") + "?bit=1"),
            "x.npz: unknown key \"bit\", expected one of array, bits, annotations, labels, only, "
            "drop, columns, missing");
  EXPECT_EQ(error_of_reading(table + "?drop"),
            "x.csv: \"drop\" follows its name, expected key=value");
  EXPECT_EQ(error_of_reading(table + "?drop=a&drop=b"), "x.csv: \"drop\" is given twice");
}

TEST_F(FileOptions, LabelsAndDropOfTextTablesMayNameColumnsOfText) {
  const Dataset data = read_dataset(table + "?labels=kind");
  EXPECT_EQ(data.column_names, (Names{"a", "b", "c"}));
  EXPECT_EQ(data.row_names, (Names{"r1", "r2", "r3"}));
  EXPECT_EQ(data.labels, (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(data.annotations[0].levels, (Names{"cat", "dog"}));
  EXPECT_EQ(read_dataset(table + "?drop=kind,b").column_names, (Names{"a", "c"}));
  EXPECT_EQ(read_dataset(table + "?drop=3,4").column_names, (Names{"a", "c"}));
  EXPECT_EQ(error_of_reading(table), "x.csv:2:3: \"cat\" is not a number");
  EXPECT_EQ(error_of_reading(table + "?drop=kin"),
            "x.csv: has no column \"kin\", expected a name in its header or a number from 1 to 5");
}

TEST_F(FileOptions, LabelsMayBeTheFirstColumnOrStandInATableWithoutHeader) {
  const Dataset first = read_dataset(folder.with("m.csv", "M,1,2\nB,3,4\nM,5,6\n") + "?labels=1");
  EXPECT_EQ(first.labels, (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(first.columns, 2);
  EXPECT_TRUE(first.row_names.empty());
  const Dataset last = read_dataset(folder.with("n.csv", "1,2,7\n3,4,8\n") + "?labels=3");
  EXPECT_EQ(last.labels, (std::vector<int>{7, 8}));
  EXPECT_EQ(last.columns, 2);
  EXPECT_EQ(error_of_reading(folder.with("u.csv", "1,2,?\n3,4,8\n") + "?labels=3"),
            "u.csv: annotation '3' is unknown in row 1, expected a label");
}

TEST_F(FileOptions, DropWorksOnEveryFormat) {
  const Dataset digits = read_dataset("builtin:digits?n=3&drop=1,784&seed=2");
  const Dataset whole = read_dataset("builtin:digits?n=3&seed=2");
  ASSERT_EQ(digits.columns, 782);
  EXPECT_EQ(digits.image_height, 0);
  for (long r = 0; r < 3; ++r)
    for (int c = 0; c < 782; ++c) ASSERT_EQ(digits.value(r, c), whole.value(r, c + 1));
}

TEST_F(FileOptions, ColumnsAreThoseOfTheFileInItsOrder) {
  const std::string kept = folder.with("kept.txt", "c\na\n");
  const Dataset data = read_dataset(table + "?labels=kind&columns=" + kept);
  EXPECT_EQ(data.column_names, (Names{"c", "a"}));
  EXPECT_EQ(column(data, 0), (std::vector<float>{0, 0, 7}));
  EXPECT_EQ(column(data, 1), (std::vector<float>{1, 3, 5}));
  const std::string more = folder.with("more.txt", "c\nz\n");
  EXPECT_EQ(error_of_reading(table + "?drop=kind&columns=" + more),
            "more.txt: " + table + " has no column \"z\"");
  EXPECT_EQ(read_dataset(table + "?drop=kind&missing=skip&columns=" + more).columns, 1);
}

TEST_F(FileOptions, ColumnsOfListsKeepTheirValues) {
  const std::string lists = folder.with(
      "x.mtx",
      "%%MatrixMarket matrix coordinate integer general\n2 90 3\n1 3 300\n1 80 7\n2 80 9\n");
  const Dataset data = read_dataset(lists + "?columns=" + folder.with("kept.txt", "80\n1\n3\n"));
  ASSERT_EQ(data.columns, 3);
  EXPECT_EQ(column(data, 0), (std::vector<float>{7, 9}));
  EXPECT_EQ(column(data, 1), (std::vector<float>{0, 0}));
  EXPECT_EQ(column(data, 2), (std::vector<float>{300, 0}));
  EXPECT_NO_THROW(require_lists(data));
}

TEST_F(FileOptions, OnlyKeepsTheRowsOfALevel) {
  const Dataset cats = read_dataset(table + "?labels=kind&only=kind:cat");
  EXPECT_EQ(cats.row_names, (Names{"r1", "r3"}));
  EXPECT_EQ(read_dataset("builtin:digits?n=50&only=label:3").rows, 5);
  EXPECT_EQ(error_of_reading(table + "?labels=kind&only=kind:cow"),
            "x.csv: annotation 'kind' is never 'cow'; it is one of cat, dog");
  EXPECT_EQ(error_of_reading(table + "?labels=kind&only=sort:cat"),
            "x.csv: has no annotation 'sort'; it has kind, label");
  const std::string odd = folder.with("odd.csv", "a,t\n1,x & y\n2,z\n");
  EXPECT_EQ(read_dataset(odd + "?labels=t&only=t:x %26 y").rows, 1);
}

TEST_F(FileOptions, AnnotationsAreJoinedByTheNamesOfRows) {
  const std::string more =
      folder.with("more.tsv", "\tbatch\tage\nr3\tI\t3\nr9\tII\t9\nr1\t\t1.5\nr2\tII\tNA\n");
  const Dataset data = read_dataset(table + "?drop=kind&annotations=" + more);
  ASSERT_EQ(data.annotations.size(), 2u);
  EXPECT_EQ(data.annotations[0].levels, (Names{"I", "II"}));
  EXPECT_TRUE(std::isnan(data.annotations[0].values[0]));
  EXPECT_EQ(data.annotations[0].values[1], 1);
  EXPECT_EQ(data.annotations[0].values[2], 0);
  EXPECT_EQ(data.annotations[1].values[0], 1.5);
  EXPECT_TRUE(std::isnan(data.annotations[1].values[1]));
  EXPECT_EQ(error_of_reading(table + "?drop=kind&annotations=" +
                             folder.with("few.tsv", "\tbatch\nr3\tI\nr1\tI\n")),
            "few.tsv: does not name \"r2\", row 2 of " + table);
  EXPECT_EQ(data.select({2, 0}).annotations[1].values, (std::vector<float>{3, 1.5}));
}

TEST_F(FileOptions, AnnotationsWithoutNamesAreTakenInOrder) {
  const std::string plain = folder.with("plain.csv", "1,2\n3,4\n");
  const Dataset data =
      read_dataset(plain + "?annotations=" + folder.with("a.csv", "batch,age\nI,3\nI,4\n"));
  EXPECT_EQ(data.annotations[1].values, (std::vector<float>{3, 4}));
  EXPECT_EQ(
      read_dataset(plain + "?annotations=" + folder.with("n.csv", "id,age\nu,3\nv,4\n")).row_names,
      (Names{"u", "v"}));
  EXPECT_EQ(error_of_reading(plain + "?annotations=" + folder.with("b.csv", "age\n1\n2\n3\n")),
            "b.csv: has 3 rows, " + plain + " has 2, and none of them has a name of the other's");
}

TEST_F(FileOptions, LastWhereverTheyAreReadFrom) {
  const std::string more = folder.with("more.tsv", "\tbatch\nr1\tI\nr2\tI\nr3\tII\n");
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const std::string what = lasting("x.csv?drop=kind&annotations=more.tsv");
  std::filesystem::current_path(here);
  EXPECT_EQ(read_dataset(what).annotations.size(), 1u);
  EXPECT_EQ(lasting("builtin:digits?n=3"), "builtin:digits?n=3");
}
