#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads a table of numbers as text, one row a line, as float32.
///
/// Delimiter: tab, else semicolon, else comma: the first of them that line 1 holds.
/// Column names: line 1 is a header if a cell of it is text (neither a number nor missing) where
/// line 2 has a number, or if all its cells are text and all of line 2 is missing.
/// Row names: the first column, if its first datum is text; a header may leave its name out.
/// Cells: a decimal point, spaces around are skipped; "quoted" cells may hold the delimiter and ""
/// but no line break.  Missing values become NaN: an empty cell, ?, NA, N/A, NaN, null or None, in
/// any case; in a table of one column an empty cell is a blank line.  Lines end in LF or CRLF;
/// blank lines are skipped.
/// Keys (dataset.h): drop and labels name a column by its header or its number (from 1, all cells
/// counted), whose cells may be text; a first column that they name does not name the rows.
/// Errors: `file:line:column: ...` (from 1; column counts cells) for a
/// cell that is not a number, infinite or too large for float32; `file:line: ...` for a line of
/// another length.
Dataset read_csv(const std::string& path);
Dataset parse_csv(const std::string& source, Bytes content, const Options& = {});

/// A table whose cells are any text.
struct TextTable {
  std::vector<std::string> names;  // the header; a first one that it leaves out is empty
  std::vector<std::vector<std::string>> columns;
};
/// Errors: as above; fewer than two lines.
TextTable read_text_table(const std::string& path);

/// The number that the whole of a cell is, which may be infinite or NaN; nothing if it is none.
std::optional<long double> number_of_cell(std::string_view cell);

/// Whether a cell says that its value is not known.
bool is_missing_cell(std::string_view cell);

/// Writes float32 [rows, columns] as text that read_csv reads back to the same bits, all or nothing
/// (atomic_file.h): tabs between cells where the path ends in .tsv, else commas; NaN for a missing
/// value; names, where they are not empty, before columns and rows, in quotes where they hold a
/// delimiter, a quote or spaces at an end.  Errors: names of another number.
void write_csv(const std::string& path, const std::vector<std::string>& column_names,
               const std::vector<std::string>& row_names, long rows, int columns,
               const float* values);

}  // namespace elbo
