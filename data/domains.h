#pragma once
#include "data/dataset.h"

namespace elbo {

/// One data set of two whose rows belong together: the columns of a, then those of b.
///
/// Where both name their rows, rows of one name belong together, and a's order holds; else the
/// rows' numbers tell.  u8 where both are u8 of one scale, else f32.  Images of one width are put
/// one above the other.  Labels and annotations are those of both, a's
/// where both have one; columns are named if both name them.
/// Errors: other numbers of rows; a name that comes twice, or that the other does not have.
Dataset side_by_side(const Dataset& a, Dataset b);

/// The data with so many columns before and after their own, all of them missing (NaN): f32.
Dataset widened(const Dataset&, int before, int after);

}  // namespace elbo
