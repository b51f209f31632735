#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// What a table says of rows, one a line.
struct AnnotationTable {
  std::vector<std::string> row_names;  // empty: the table does not name them
  std::vector<Annotation> columns;
};

/// Reads a table (CSV, TSV; gzip or not) with a header, whose cells may be text.
///
/// A column of numbers becomes numbers; another one levels, in alphabetical order.  A missing cell
/// is unknown (NaN).  The first column names the rows if its header is empty or left out, or if its
/// cells are text that differ from each other; then it is no annotation.
/// Errors: as csv.h has them; no line below the header, two columns of one name.
AnnotationTable read_annotations(const std::string& path);

/// Gives the data what a table says of their rows: by names where the table has names of rows that
/// the data have too (in any order, perhaps more of them), else in order.
/// Data without row names get the table's.
/// Errors: a datum that the table does not name, a name that it has twice, another number of rows,
/// an annotation that the data have.
void attach_annotations(Dataset&, const std::string& path);

/// Labels serve as an annotation `label`.
/// Errors: there is none of that name, naming those that there are.
Annotation annotation_named(const Dataset&, const std::string& name);

/// Text as an annotation: numbers if all cells are numbers or missing, else levels.
Annotation annotation_of(const std::string& name, const std::vector<std::string>& cells);
/// Levels in any case.
Annotation levels_of(const std::string& name, const std::vector<std::string>& cells);

/// Makes labels of an annotation: the index of its level, or its number.
/// Errors: a row of which it is unknown, numbers that are not whole.
void take_labels(Dataset&, const std::string& name);

/// The rows of which annotation NAME is LEVEL, of "NAME:LEVEL".
/// Errors: no such annotation, no such level, no such row.
Dataset only(const Dataset&, const std::string& name_and_level);

}  // namespace elbo
