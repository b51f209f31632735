#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// Values of a sparse matrix by rows: row r lists columns and values from starts[r] to before
/// starts[r + 1], in any order.
struct ListedRows {
  std::vector<std::uint64_t> starts;
  std::vector<std::uint32_t> columns;
  std::vector<float> values;
};

/// Gives `data`, whose rows, columns and source are set, its values: those listed more than once
/// are summed, what is not listed is 0.
///
/// u8 where all are whole numbers from 0 to 255, else float32; csr where its lists (8 bytes a row,
/// 8 a value that is not 0) take less memory than that; scale 1.
/// Errors: the values take more memory than the machine has, either way.
void store(Dataset& data, ListedRows lists);

/// The same of all values, [rows, columns].
void store(Dataset& data, std::vector<float> values);

/// The same values by columns: what was row r becomes column r of `columns` rows.
ListedRows turned(const ListedRows&, long columns);

/// Errors: more bytes than the machine has memory.
void require_memory(const std::string& source, long rows, long columns, double bytes);

}  // namespace elbo
