#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/input_file.h"
#include "data/options.h"

namespace elbo {

/// Reads IDX, the format of MNIST: unsigned bytes, 3-D images or a 2-D table; gzip or not.
///
/// Shapes: [N, H, W] becomes N rows of H * W, [N, C] becomes N rows of C.
/// Units: images have scale 1/255, or 1 where no byte exceeds 1 (binarised); tables have scale 1.
/// Labels: those of the sibling file, if there is one: for NAME-images-idx3-ubyte (or .idx3-ubyte),
/// NAME-labels-idx1-ubyte, either with .gz or without.
/// Errors: another element type or number of dimensions, wrong magic, too few or too many bytes,
/// labels of another number.
/// Source: Y. LeCun, C. Cortes, "The MNIST database of handwritten digits".
Dataset read_idx(const std::string& path);
Dataset parse_idx(const std::string& source, Bytes content, const Options& = {});

/// A 1-D file of labels.
std::vector<int> read_idx_labels(const std::string& path);

}  // namespace elbo
