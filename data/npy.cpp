#include "data/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "data/atomic_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

static_assert(std::endian::native == std::endian::little, "npy.cpp copies little-endian numbers");

constexpr std::string_view magic = "\x93NUMPY";

struct Header {
  std::string dtype;
  std::vector<long> shape;
  std::size_t size = 0;  // where the numbers begin
};

/// The header is a Python dictionary on one line:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const std::string& source, std::string_view text) : source_(source), text_(text) {}

  std::string dtype() const {
    const std::string_view value = after("descr");
    if (!value.starts_with('\'') && !value.starts_with('"'))
      fail(source_, ": structured dtype is not supported, expected one of <f4 <f8 |u1");
    return std::string(value.substr(1, value.find(value[0], 1) - 1));
  }
  bool fortran_order() const { return after("fortran_order").starts_with("True"); }
  std::vector<long> shape() const {
    std::string_view value = after("shape");
    const std::size_t end = value.find(')');
    require(value.starts_with('(') && end != value.npos, source_, ": shape is missing from header ",
            quoted(text_));
    value = value.substr(1, end - 1);
    std::vector<long> shape;
    while (true) {
      value.remove_prefix(std::min(value.find_first_not_of(", "), value.size()));
      if (value.empty()) return shape;
      long extent = 0;
      const auto [next, status] = std::from_chars(value.begin(), value.end(), extent);
      require(status == std::errc() && extent >= 0, source_, ": shape ", quoted(value),
              " in the header is not one");
      shape.push_back(extent);
      value.remove_prefix(std::size_t(next - value.begin()));
    }
  }

 private:
  std::string_view after(std::string_view key) const {
    for (const char quote : {'\'', '"'}) {
      const std::string word = quote + std::string(key) + quote;
      std::size_t at = text_.find(word);
      if (at == text_.npos) continue;
      at = text_.find_first_not_of(": ", at + word.size());
      if (at != text_.npos) return text_.substr(at);
    }
    fail(source_, ": '", key, "' is missing from header ", quoted(text_));
  }

  const std::string& source_;
  std::string_view text_;
};

Header parse_header(const std::string& source, const Bytes& content) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  require(text.starts_with(magic), source, ": begins with ", hex(content, 6),
          ", expected npy's 93 4e 55 4d 50 59");
  require(text.size() >= 12, source, ": truncated: ", text.size(),
          " bytes, expected an npy header");
  const int version = content[6];
  require(version >= 1 && version <= 3, source, ": npy format version ", version,
          " is not supported, expected 1 to 3");
  const std::size_t start = version == 1 ? 10 : 12;
  std::size_t length = content[8] | std::size_t(content[9]) << 8;
  if (version > 1) length |= std::size_t(content[10]) << 16 | std::size_t(content[11]) << 24;
  require(text.size() >= start + length, source, ": truncated: header says it is ", length,
          " bytes long, file has ", text.size() - start);

  const HeaderParser parser(source, text.substr(start, length));
  require(!parser.fortran_order(), source, ": Fortran order, expected C order");
  return {parser.dtype(), parser.shape(), start + length};
}

template <class Stored>
std::vector<float> to_floats(const std::string& source, const std::uint8_t* from, long rows,
                             long columns) {
  std::vector<float> floats(std::size_t(rows * columns));
  for (std::size_t i = 0; i < floats.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof stored, sizeof stored);
    floats[i] = float(stored);
    if (!std::isfinite(floats[i]) && !std::isnan(floats[i])) [[unlikely]]
      fail(source, ": row ", long(i) / columns, ", column ", long(i) % columns, " is ", stored,
           std::isfinite(double(stored)) ? ", too large for float32"
                                         : ", expected finite numbers or NaN");
  }
  return floats;
}

void unpack(Dataset& data, long bits) {
  require(data.type == Dataset::Type::u8 && data.image_height == 0, data.source,
          ": bits are of a table of bytes, this is another array");
  require(bits > 8L * (data.columns - 1) && bits <= 8L * data.columns, data.source, ": bits=", bits,
          ", but its rows of ", data.columns, " bytes have ", 8L * data.columns, " bits");
  Bytes unpacked;
  unpacked.reserve(std::size_t(data.rows * bits));
  for (long r = 0; r < data.rows; ++r)
    for (long i = 0; i < bits; ++i)
      unpacked.push_back(data.bytes[std::size_t(r * data.columns + i / 8)] >> (7 - i % 8) & 1);
  data.bytes = std::move(unpacked);
  data.columns = int(bits);
}

/// What type and shape make of an array, whose values are still to come.
struct Layout {
  Dataset data;  // without its columns
  long columns = 0;
  std::optional<std::size_t> bytes;  // nothing: more than can be counted
  std::string product;               // the same as it is worked out
};

Layout layout_of(const std::string& source, const NpyShape& array) {
  const std::string& dtype = array.type;
  const bool byte = dtype == "|u1" || dtype == "|b1";
  const bool four = dtype == "<f4" || dtype == "<i4", eight = dtype == "<f8" || dtype == "<i8";
  require(byte || four || eight, source, ": dtype ", quoted(dtype, '\''),
          " is not supported, expected one of <f4 <f8 |u1 (or <i4 <i8 |b1)");

  const std::vector<long>& shape = array.extents;
  const bool images = shape.size() == 3;
  require(images || shape.size() == 2, source, ": is ", shape.size(),
          "-D, expected 2-D [rows, columns] or 3-D [images, height, width]");
  Layout layout;
  long size = byte ? 1 : four ? 4 : 8;
  bool fits = true;
  for (const long extent : shape) {
    require(extent > 0, source, ": a dimension of its shape is 0, expected data");
    fits = fits && !__builtin_mul_overflow(size, extent, &size);
    layout.product += std::to_string(extent) + " x ";
  }
  layout.product += dtype;
  if (fits) layout.product += " = " + std::to_string(size), layout.bytes = std::size_t(size);
  layout.columns = images && fits ? shape[1] * shape[2] : shape[1];

  layout.data.source = source;
  layout.data.type = byte ? Dataset::Type::u8 : Dataset::Type::f32;
  layout.data.rows = shape[0];
  if (images) layout.data.image_height = int(shape[1]), layout.data.image_width = int(shape[2]);
  return layout;
}

Dataset of_columns(const Layout& layout) {
  Dataset data = layout.data;
  require(layout.columns <= std::numeric_limits<int>::max(), data.source, ": ", layout.columns,
          " columns, at most 2^31 - 1 are handled");
  data.columns = int(layout.columns);
  return data;
}

void take_bytes(Dataset& data, Bytes bytes) {
  data.bytes = std::move(bytes);
  if (data.image_height > 0) data.scale = image_scale(data.bytes);
}

void take_numbers(Dataset& data, const std::string& dtype, const std::uint8_t* from) {
  const auto read = [&]<class Stored>(Stored) {
    data.floats = to_floats<Stored>(data.source, from, data.rows, data.columns);
  };
  if (dtype == "<f4") read(float());
  else if (dtype == "<f8") read(double());
  else if (dtype == "<i4") read(std::int32_t());
  else read(std::int64_t());
}

}  // namespace

Dataset read_npy(const std::string& path) { return parse_npy(path, read_file(path)); }

NpyShape npy_shape(const std::string& source, const Bytes& content) {
  Header header = parse_header(source, content);
  return {std::move(header.dtype), std::move(header.shape)};
}

std::vector<int> parse_npy_labels(const std::string& source, const Bytes& content) {
  const Header header = parse_header(source, content);
  require(header.shape.size() == 1, source, ": is ", header.shape.size(),
          "-D, expected 1-D labels");
  const std::uint8_t* const from = content.data() + header.size;
  const std::size_t found = content.size() - header.size;
  const auto read = [&]<class Stored>(Stored) {
    require(found % sizeof(Stored) == 0 && found / sizeof(Stored) == std::size_t(header.shape[0]),
            source, ": header says ", header.shape[0], " x ", header.dtype, ", file has ", found,
            " bytes");
    std::vector<int> labels(std::size_t(header.shape[0]));
    for (std::size_t i = 0; i < labels.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, from + i * sizeof stored, sizeof stored);
      require(std::in_range<int>(stored), source, ": label ", i, " is ", stored,
              ", expected 32 bits");
      labels[i] = int(stored);
    }
    return labels;
  };
  const std::string& type = header.dtype;
  if (type == "|b1" || type == "|u1") return read(std::uint8_t());
  if (type == "|i1") return read(std::int8_t());
  if (type == "<i2") return read(std::int16_t());
  if (type == "<u2") return read(std::uint16_t());
  if (type == "<i4") return read(std::int32_t());
  if (type == "<u4") return read(std::uint32_t());
  if (type == "<i8") return read(std::int64_t());
  fail(source, ": dtype ", quoted(type, '\''), ", expected whole numbers as labels");
}

Dataset parse_npy(const std::string& source, Bytes content, const Options& options) {
  options.require_known({"bits"});
  const Header header = parse_header(source, content);
  const Layout layout = layout_of(source, {header.dtype, header.shape});
  const std::size_t found = content.size() - header.size;
  require(layout.bytes && found >= *layout.bytes, source, ": truncated: header says ",
          layout.product, " bytes, file has ", found);
  require(found == *layout.bytes, source, ": too long: header says ", layout.product,
          " bytes, file has ", found);
  Dataset data = of_columns(layout);
  if (data.type == Dataset::Type::u8) {
    content.erase(content.begin(), content.begin() + std::ptrdiff_t(header.size));
    take_bytes(data, std::move(content));
  } else {
    take_numbers(data, header.dtype, content.data() + header.size);
  }
  if (const long bits = options.whole("bits", 1, 0)) unpack(data, bits);
  return data;
}

Dataset parse_array(const std::string& source, const NpyShape& array, const std::uint8_t* numbers) {
  const Layout layout = layout_of(source, array);
  Dataset data = of_columns(layout);
  if (data.type == Dataset::Type::u8) take_bytes(data, {numbers, numbers + layout.bytes.value()});
  else take_numbers(data, array.type, numbers);
  return data;
}

void write_npy(const std::string& path, long rows, long columns, const float* values) {
  require(rows >= 0 && columns >= 0, path, ": shape to write is [", rows, ",", columns,
          "], expected no negative extent");
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                     ", " + std::to_string(columns) + "), }";
  // Spaces and a line feed, so that the numbers begin at a multiple of 64 bytes.
  text.resize((10 + text.size()) / 64 * 64 + 64 - 11, ' ');
  text += '\n';
  const char version_and_length[] = {1, 0, char(text.size() & 255), char(text.size() >> 8)};

  AtomicFile file(path);
  file.write(magic);
  file.write(version_and_length, sizeof version_and_length);
  file.write(text);
  file.write(values, std::size_t(rows) * std::size_t(columns) * sizeof(float));
  file.commit();
}

}  // namespace elbo
