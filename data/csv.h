#pragma once
#include <string>

#include "data/dataset.h"
#include "data/input_file.h"

namespace elbo {

/// Reads a table of numbers as text, one row a line, as float32.
///
/// Delimiter: tab, else semicolon, else comma: the first of them that line 1 holds.
/// Column names: line 1 is a header if a cell of it is text (not a number, not empty, not a mark
/// of a missing value such as NA or ?) where line 2 has a number.
/// Row names: the first column, if its first datum is text; a header may leave its name out.
/// Cells: a decimal point, spaces around are skipped; "quoted" cells may hold the delimiter and ""
/// but no line break.  Lines end in LF or CRLF; blank lines are skipped.
/// Errors: `file:line:column: ...` (from 1; column counts cells) for a cell that is not a number,
/// empty, not finite or too large for float32; `file:line: ...` for a line of another length.
Dataset read_csv(const std::string& path);
Dataset parse_csv(const std::string& source, Bytes content);

}  // namespace elbo
