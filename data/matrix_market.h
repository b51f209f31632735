#pragma once
#include <string>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads a sparse matrix, `%%MatrixMarket matrix coordinate integer|real|pattern general`: lines of
/// row, column (from 1) and value.
///
/// Values: what is not listed is 0, listed more than once is summed, of a pattern is 1, nan is
/// missing.  u8 where all are whole numbers from 0 to 255, else float32; csr where its lists (8
/// bytes a row, 8 a value that is not 0) take less memory than that; scale 1.
/// Counts of cells: 10x Genomics stores genes x cells, and names beside it in barcodes.tsv and in
/// features.tsv (formerly genes.tsv), each perhaps in .gz.  If the file's folder holds both, with a
/// barcode for each column and a feature for each row, each cell becomes a row, named by its
/// barcode; columns are named by their gene's symbol (the features' second column, else the first).
/// Otherwise rows are rows, without names.
/// Errors: `file:line: ...` for another header, an index outside the matrix, a line that is no
/// entry, more entries than announced, a number too large for float32; `file: ...` for fewer, for
/// more rows than 2^23 and one for each byte of the entries (nearly all would be empty), and for a
/// matrix that is larger than the machine's memory either way.
/// Source: Boisvert, Pozo, Remington, The Matrix Market Exchange Formats (NISTIR 5935, 1996).
Dataset parse_matrix_market(const std::string& source, Bytes content, const Options& = {});

/// Reads matrix.mtx or matrix.mtx.gz of a folder as genes x cells, whether named or not.
/// Errors: those above; neither file is there; names that are there, but not as many as needed.
Dataset read_cells(const std::string& folder);

}  // namespace elbo
