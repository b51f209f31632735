// What report.html shows of a run, held against what the commands say of it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <set>

#include "data/dataset.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

/// A table of four columns, of which d is b's double and one entry is missing, and the kind of each
/// row.
std::string table() {
  std::string text = "a,b,c,d,kind\n";
  for (int i = 0; i < 120; ++i) {
    const double b = std::cos(i * 0.9);
    text += (i == 3 ? "" : std::to_string(std::sin(i * 1.7))) + "," + std::to_string(b) + "," +
            std::to_string(7 + 0.1 * std::sin(i * 5.3)) + "," + std::to_string(2 * b) + "," +
            (b > 0 ? "<up>" : "down") + "\n";
  }
  return text;
}

std::string as_shown(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

class Report : public testing::Test {
 protected:
  std::string page(const Words& more) {
    Words words{"train", "--out", "r", "--force", "--hidden", "16", "--latent", "2"};
    words.insert(words.end(), more.begin(), more.end());
    done(words);
    return content_of(folder_ / "r/report.html");
  }
  void done(const Words& words) {
    const Outcome outcome = run(folder_, words);
    ASSERT_EQ(outcome.status, 0) << words[0] << ": " << outcome.error;
  }
  Dataset read(const std::string& name) { return read_dataset(folder_ / name); }
  TemporaryFolder folder_;
};

/// What stands between the first `begin` and the `end` that follows.
std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t at = text.find(begin);
  if (at == std::string::npos) return ADD_FAILURE() << "there is no " << begin, "";
  const std::size_t first = at + begin.size();
  return text.substr(first, text.find(end, first) - first);
}

void expect_parts(const std::string& text, const Words& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part;
}

TEST_F(Report, of_a_table_says_how_the_data_go_along_with_a_unit_as_traverse_does) {
  folder_.with("t.csv", table());
  const std::string shown = page({"t.csv?labels=kind", "--likelihood", "gaussian", "--sigma",
                                  "fixed:0.1", "--epochs", "40", "--batch", "20"});
  done({"traverse", "r", "--steps", "7", "--units", "1", "--out", "walk.csv"});
  const Dataset walk = read("walk.csv");
  ASSERT_EQ(walk.column_names, (Words{"unit", "value", "a", "b", "c", "d"}));
  const std::string heat =
      between(shown, "unit " + as_shown("%g", walk.value(0, 0)) + "<br>", "</table>");
  for (int c = 2; c < walk.columns; ++c) {
    const std::string row =
        between(heat, "<th>" + walk.column_names[std::size_t(c)] + "</th>", "</tr>");
    std::size_t at = 0;
    for (long step = 0; step < walk.rows; ++step) {
      at = row.find('>' + as_shown("%.3g", walk.value(step, c)) + "</td>", at);
      ASSERT_NE(at, std::string::npos) << "step " << step << ": " << row;
      ++at;
    }
  }
}

TEST_F(Report, of_a_table_says_how_well_each_column_is_reconstructed) {
  folder_.with("t.csv", table());
  const std::string shown = page({"t.csv?labels=kind", "--likelihood", "gaussian", "--sigma",
                                  "fixed:0.1", "--epochs", "40", "--batch", "20"});
  done({"reconstruct", "r", "t.csv?labels=kind", "--out", "back.npy"});
  const Dataset data = read("t.csv?labels=kind"), back = read("back.npy");
  ASSERT_EQ(data.missing(), 1);
  for (int c = 0; c < data.columns; ++c) {
    double sum = 0, squares = 0, errors = 0, there = 0;
    for (long r = 0; r < data.rows; ++r) {
      const double x = data.value(r, c);
      if (std::isnan(x)) continue;
      sum += x, squares += x * x, there += 1;
      errors += (x - back.value(r, c)) * (x - back.value(r, c));
    }
    const double mean = sum / there, variance = squares / there - mean * mean;
    const std::string row =
        between(shown, "<tr><td>" + data.column_names[std::size_t(c)] + "</td>", "</tr>");
    EXPECT_TRUE(row.starts_with("<td>" + as_shown("%.3g", mean) + "</td><td>" +
                                as_shown("%.3g", std::sqrt(variance)) + "</td>"))
        << row;
    EXPECT_TRUE(row.ends_with("</i>" + as_shown("%.2f", 1 - errors / there / variance) + "</td>"))
        << row;
  }
}

TEST_F(Report, says_what_the_data_are_and_colours_them_by_what_is_known_of_them) {
  folder_.with("t.csv", table());
  const std::string shown = page({"t.csv?labels=kind", "--likelihood", "gaussian", "--input",
                                  "masked", "--epochs", "1", "--valid", "0.25"});
  expect_parts(
      between(shown, "<h2>Training data</h2>", "</section>"),
      {"t.csv?labels=kind</dd>", "<dd>90 rows x 4 columns</dd>", "<dd>1 of 360 entries</dd>",
       "<dd>2 classes</dd>", "<dd>kind: 2 levels</dd>", "<dd>30 rows</dd>"});
  expect_parts(shown, {"coloured by kind", R"("names":[)", R"("<up>")", R"("down")"});
}

TEST_F(Report, of_pictures_shows_what_each_live_unit_does_and_of_none_where_none_is_live) {
  const std::string heading = "<h2>What the latent units do</h2>";
  const std::string shown = page({"builtin:digits?n=300", "--epochs", "8"});
  expect_parts(shown, {"images of 28 x 28", "<div class=walk><div>unit ", "from -3 to 3"});
  EXPECT_EQ(shown.find("<h2>Columns</h2>"), std::string::npos);
  const std::string codes = page({"builtin:digits?n=300", "--epochs", "8", "--model", "ae"});
  expect_parts(codes, {heading, "from the lowest of its codes", "<div class=walk><div>unit "});
  const std::string collapsed =
      page({"builtin:digits?n=300", "--epochs", "4", "--beta", "1000", "--batch", "20"});
  EXPECT_EQ(collapsed.find(heading), std::string::npos);
}

/// Sequences of which each letter but the last is that of one of two patterns; the last is always
/// G.
std::string sequences() {
  std::string text;
  for (int i = 0; i < 64; ++i) {
    text += ">s" + std::to_string(i) + "\n";
    for (int c = 0; c < 39; ++c) text += i % 4 == 0 ? "ACGT"[c % 4] : "TACG"[c % 4];
    text += "G\n";
  }
  return text;
}

TEST_F(Report, of_sequences_shows_the_letters_that_a_unit_changes_and_their_shares) {
  folder_.with("s.fa", sequences());
  const std::string shown = page(
      {"s.fa", "--likelihood", "categorical", "--epochs", "60", "--batch", "16", "--lr", "0.01"});
  const std::string heat = between(shown, "<h2>What the latent units do</h2>", "</table>");
  // Of the first column both letters, and no other, although C and G stand between A and T.
  const std::string row = between(heat, "<tr><th>x0</th>", "</tr>");
  std::set<char> letters;
  for (std::size_t at = 0; (at = row.find("\">", at)) != std::string::npos; at += 2)
    letters.insert(row[at + 2]);
  EXPECT_EQ(letters, (std::set<char>{'A', 'T'})) << row;
  EXPECT_EQ(heat.find("x39"), std::string::npos) << "what never changes is shown";
  const std::string columns = between(shown, "<h2>Columns</h2>", "</section>");
  expect_parts(columns, {"<td>x0</td><td>T</td><td>0.75</td>", "</i>1.00</td>",
                         "<tr><td>…</td></tr>", "1.00 is the median of 40."});
}

}  // namespace
}  // namespace elbo::test
