#include "data/domains.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/temporary_folder.h"

namespace elbo::test {
namespace {

/// Row r, column c holds start + 10 r + c.
Dataset table(const std::string& source, long rows, int columns, float start) {
  Dataset data;
  data.source = source, data.rows = rows, data.columns = columns;
  for (long r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) data.floats.push_back(start + float(10 * r + c));
  return data;
}

TEST(SideBySide, puts_the_columns_of_a_row_before_those_of_its_partner) {
  const Dataset both = side_by_side(table("a", 3, 2, 0), table("b", 3, 1, 500));
  EXPECT_EQ(both.values(), (std::vector<float>{0, 1, 500, 10, 11, 510, 20, 21, 520}));
  EXPECT_EQ(both.columns, 3);
  EXPECT_EQ(both.source, "a with b");
}

TEST(SideBySide, finds_partners_by_name_where_both_have_names) {
  Dataset a = table("a", 3, 1, 0), b = table("b", 3, 1, 500);
  a.row_names = {"x", "y", "z"}, b.row_names = {"z", "x", "y"};
  a.labels = {1, 2, 3}, b.labels = {7, 8, 9};
  a.annotations = {{"depth", {}, {1, 2, 3}}};
  b.annotations = {{"depth", {}, {4, 5, 6}}, {"plate", {"p", "q"}, {0, 1, 1}}};
  const Dataset both = side_by_side(a, b);
  EXPECT_EQ(both.values(), (std::vector<float>{0, 510, 10, 520, 20, 500}));
  EXPECT_EQ(both.row_names, a.row_names);
  EXPECT_EQ(both.labels, a.labels);
  ASSERT_EQ(both.annotations.size(), 2u);
  EXPECT_EQ(both.annotations[0].values, (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(both.annotations[1].values, (std::vector<float>{1, 1, 0})) << "in a's order";
  b.row_names.clear();
  EXPECT_EQ(side_by_side(a, b).values(), (std::vector<float>{0, 500, 10, 510, 20, 520}));
}

TEST(SideBySide, names_the_first_row_without_a_partner) {
  Dataset a = table("a", 2, 1, 0), b = table("b", 2, 1, 0), more = table("b", 3, 1, 0);
  a.row_names = {"x", "y"}, b.row_names = {"x", "w"}, more.row_names = {"x", "w", "y"};
  EXPECT_EQ(error_of([&] { side_by_side(a, b); }), "a: row 'y' has no partner in b");
  EXPECT_EQ(error_of([&] { side_by_side(a, more); }), "b: row 'w' has no partner in a");
  b.row_names = {"x", "x"};
  EXPECT_EQ(error_of([&] { side_by_side(a, b); }), "b: has two rows named 'x'");
  EXPECT_EQ(error_of([&] { side_by_side(table("a", 2, 1, 0), table("b", 3, 1, 0)); }),
            "b: has 3 rows, a has 2; they belong together");
}

TEST(SideBySide, keeps_bytes_of_one_scale_and_puts_images_of_one_width_above_each_other) {
  Dataset a, b;
  a.type = b.type = Dataset::Type::u8;
  a.rows = b.rows = 2, a.columns = 4, b.columns = 2;
  a.image_height = 2, b.image_height = 1, a.image_width = b.image_width = 2;
  a.scale = b.scale = 1 / 255.f;
  a.bytes = {1, 2, 3, 4, 5, 6, 7, 8}, b.bytes = {10, 11, 12, 13};
  Dataset both = side_by_side(a, b);
  EXPECT_EQ(both.type, Dataset::Type::u8);
  EXPECT_EQ(both.bytes, (std::vector<std::uint8_t>{1, 2, 3, 4, 10, 11, 5, 6, 7, 8, 12, 13}));
  EXPECT_EQ(both.image_height, 3);
  EXPECT_EQ(both.image_width, 2);
  b.scale = 1;
  both = side_by_side(a, b);
  EXPECT_EQ(both.type, Dataset::Type::f32);
  EXPECT_EQ(both.value(1, 3), 8 / 255.f);
  EXPECT_EQ(both.value(1, 4), 12);
}

TEST(Widened, has_nothing_in_the_columns_that_are_new) {
  Dataset lists;
  lists.source = "lists", lists.type = Dataset::Type::csr, lists.rows = 2, lists.columns = 2;
  lists.starts = {0, 1, 1}, lists.indices = {1}, lists.floats = {7};
  lists.labels = {4, 5};
  const Dataset wide = widened(lists, 1, 2);
  ASSERT_EQ(wide.columns, 5);
  EXPECT_EQ(wide.missing(), 6);
  for (const int c : {0, 3, 4}) EXPECT_TRUE(std::isnan(wide.value(1, c))) << c;
  EXPECT_EQ(wide.value(0, 1), 0);
  EXPECT_EQ(wide.value(0, 2), 7);
  EXPECT_EQ(wide.labels, lists.labels);
}

}  // namespace
}  // namespace elbo::test
