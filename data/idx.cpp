#include "data/idx.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "runtime/error.h"

namespace elbo {
namespace {

/// Checks the header against the size of the file and takes it off `content`.
std::vector<long> take_shape(const std::string& source, Bytes& content) {
  require(content.size() >= 4, source, ": truncated: ", content.size(),
          " bytes, expected an IDX header");
  require(content[0] == 0 && content[1] == 0, source, ": begins with ", hex(content, 4),
          ", expected IDX's 00 00 08");
  require(content[2] == 8, source, ": element type 0x", hex({content[2]}, 1),
          " is not supported, expected 0x08 (unsigned byte)");
  const std::size_t dimensions = content[3], header = 4 + 4 * dimensions;
  require(dimensions >= 1 && dimensions <= 3, source, ": is ", dimensions,
          "-D, expected 3-D images, a 2-D table or 1-D labels");
  require(content.size() >= header, source, ": truncated: ", content.size(),
          " bytes, the header of ", dimensions, " dimensions alone takes ", header);

  std::vector<long> shape;
  std::string product;
  unsigned long size = 1;
  bool fits = true;
  for (std::size_t d = 0; d < dimensions; ++d) {
    unsigned long extent = 0;
    for (std::size_t i = 0; i < 4; ++i) extent = extent << 8 | content[4 + 4 * d + i];
    require(extent > 0, source, ": dimension ", d + 1, " of ", dimensions, " is 0, expected data");
    product += (d > 0 ? " x " : "") + std::to_string(extent);
    fits = fits && !__builtin_mul_overflow(size, extent, &size);
    shape.push_back(long(extent));
  }
  if (fits && dimensions > 1) product += " = " + std::to_string(size);
  const std::size_t found = content.size() - header;
  require(fits && found >= size, source, ": truncated: header says ", product, " bytes, file has ",
          found);
  require(found == size, source, ": too long: header says ", product, " bytes, file has ", found);
  content.erase(content.begin(), content.begin() + std::ptrdiff_t(header));
  return shape;
}

std::string labels_of(std::string path) {
  if (path.ends_with(".gz")) path.resize(path.size() - 3);
  for (const char mark : {'-', '.'}) {
    const std::string images = std::string("images") + mark + "idx3-ubyte";
    if (!path.ends_with(images)) continue;
    path.replace(path.size() - images.size(), images.size(),
                 std::string("labels") + mark + "idx1-ubyte");
    for (const std::string& candidate : {path, path + ".gz"})
      if (std::filesystem::exists(candidate)) return candidate;
  }
  return {};
}

}  // namespace

Dataset read_idx(const std::string& path) { return parse_idx(path, read_file(path)); }

Dataset parse_idx(const std::string& source, Bytes content, const Options& options) {
  options.require_known({});
  const std::vector<long> shape = take_shape(source, content);
  require(shape.size() > 1, source, ": is 1-D (labels), expected 3-D images or a 2-D table");
  const bool images = shape.size() == 3;
  const long columns = images ? shape[1] * shape[2] : shape[1];
  require(columns <= std::numeric_limits<int>::max(), source, ": ", columns,
          " columns, at most 2^31 - 1 are handled");

  Dataset data;
  data.source = source;
  data.type = Dataset::Type::u8;
  data.rows = shape[0];
  data.columns = int(columns);
  data.bytes = std::move(content);
  if (images) {
    data.image_height = int(shape[1]);
    data.image_width = int(shape[2]);
    data.scale = image_scale(data.bytes);
  }
  if (const std::string labels = labels_of(source); !labels.empty()) {
    data.labels = read_idx_labels(labels);
    require(long(data.labels.size()) == data.rows, labels, ": has ", data.labels.size(),
            " labels, but ", source, " has ", data.rows, " images");
  }
  return data;
}

std::vector<int> read_idx_labels(const std::string& path) {
  Bytes content = read_file(path);
  const std::vector<long> shape = take_shape(path, content);
  require(shape.size() == 1, path, ": is ", shape.size(), "-D, expected 1-D labels");
  return {content.begin(), content.end()};
}

}  // namespace elbo
