#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

bool ends_in_table(const std::string& path);
bool ends_in_fasta(const std::string& path);
/// Errors: a name in none of .csv .tsv .npy.
void require_table(const std::string& path);

/// The values [rows, columns] of such data: as text under the names of their columns and rows, or
/// as .npy.
void write_table(const std::string& path, const Dataset& like, const std::vector<float>& values);

/// dir/NAME.csv and "2"  →  dir/NAME-2.csv
std::string beside(const std::string& path, const std::string& word);

}  // namespace elbo
