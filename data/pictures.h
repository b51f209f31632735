#pragma once
#include <string>

#include "data/dataset.h"
#include "data/options.h"

namespace elbo {

/// Whether a folder, or a folder in it, holds files in .png.
bool holds_pictures(const std::string& folder);

/// Reads the PNG files of a folder as grey images of one size, in the order of their names.
///
/// Classes: where the files lie in folders of the folder instead, each is a class: labels 0, 1, ...
/// in the order of their names, and an annotation `class`.
/// Units: u8, scale 1/255, or 1 where no byte exceeds 1.  Colours become grey by their luminance,
/// what is transparent black; 16 bits become 8.
/// Names: those of the files, with their folder's.
/// Errors: no file, files beside folders of files, a file that is no PNG, of another size,
/// truncated.
Dataset read_pictures(const std::string& folder, const Options& = {});

}  // namespace elbo
