#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads sequences of one length, a record a row: value c stands for letter c of the alphabet.
///
/// Alphabet: FILE?alphabet=ACGT, else the first of ACGT, ACGU and the 20 amino acids' letters
/// (ACDEFGHIKLMNPQRSTVWY) that has all letters of the file.  Lower case is upper case.
/// Missing: N and X where the alphabet does not have them.  u8 where nothing is missing, else
/// float32 with NaN; scale 1.
/// Length: the first record's, or FILE?length=N: longer ones are cut, shorter ones end in missing
/// values.
/// Names: what follows > up to the first space.
/// Errors: `file:line: ...` for a letter that the alphabet lacks, a record of another length, one
/// without letters, letters before the first record.
Dataset parse_fasta(const std::string& source, Bytes content, const Options& = {});

/// Writes records of `classes` [names, length], letters of the alphabet; 80 a line; all or nothing
/// (atomic_file.h).  What is missing (NaN) becomes N, or X of an alphabet of more than 5 letters.
/// Errors: a class that the alphabet does not have.
void write_fasta(const std::string& path, const std::vector<std::string>& names,
                 const std::vector<float>& classes, const std::string& alphabet);

}  // namespace elbo
