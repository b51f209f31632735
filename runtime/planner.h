#pragma once
#include "runtime/program.h"

namespace elbo {

/// Rewrites a recorded list into fewer operations that compute the same.
///
///  1. scores      log-likelihood and its gradient become one pass where the weight is known;
///                 so do the importance-weighted bound and its weights
///  2. constants   a gradient that is one number everywhere is read as that number
///  3. biases      a layer without activation hands its bias to what reads it
///  4. sums        the gradient of a sum is read where it is, not copied to the parts
///  5. rates       counts' rates, their law and the gradient through both become one pass
///  6. epilogues   what reads a product's result (alone, or first) becomes the product's epilogue
///  7. norms       a normalisation works out a product of little depth that it alone waits for
///  8. updates     a weight's update follows its gradient's product, which is not stored; that of
///                 a parameter of one row follows the sum of its gradient's rows
///  9. groups      weight gradients that depend on nothing between them share a launch
/// 10. lists       of a batch of which few entries are not 0 those alone are listed, and products
///                 and laws of counts go through the lists (Ops::lists_up_to)
/// 11. units       products of a data set's bytes are told of what their numbers are multiples
/// 12. gathers     the first layer's product takes its batch from the data set
/// 13. tail        the objective and the counters' advance ride in the last launch of a step
/// 14. leavings    what nobody reads is not computed
/// 15. side scores of which the sum alone is wanted are added up in part where they are made
///                 (Ops::summed_rows)
/// 16. decoders    of a large batch's counts the decoder's last layer, their law, and the product
///                 that takes the score back share a pass over the rows (Ops::decodes_rates)
///
/// A rule holds only if the numbers in question have one writer and no reader but those named, if
/// no operation in between touches what moves, and if nobody outside holds the tensor.
void fuse(Program&);

/// Narrow products that follow each other share a launch, a block keeping its rows: where launches
/// are what costs (Ops::chains).
void chain(Program&);

/// Gives every transient tensor in use an address in one block of memory, the same for every run.
void place(Program&);

}  // namespace elbo
