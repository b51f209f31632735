#include "nn/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/atomic_file.h"
#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace {

using Json = nlohmann::json;

constexpr const char* real_type = sizeof(Real) == 4 ? "F32" : "F64";

std::string shape_text(const std::vector<long>& shape) {
  std::string text = "[";
  for (long extent : shape) text += (text.size() > 1 ? "," : "") + std::to_string(extent);
  return text + "]";
}

float from_half(std::uint16_t bits) {
  const float sign = bits & 0x8000 ? -1.f : 1.f;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return sign * (fraction ? NAN : INFINITY);
  if (exponent == 0) return sign * std::ldexp(float(fraction), -24);
  return sign * std::ldexp(float(fraction + 1024), exponent - 25);
}

/// The numbers of one stored type, at `from`.
template <class Stored, class Convert>
void convert(const char* from, std::vector<Real>& to, Convert&& value) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    to[i] = Real(value(stored));
  }
}

std::size_t bytes_of(const std::string& type) {
  if (type == "F64") return 8;
  if (type == "F32") return 4;
  if (type == "F16" || type == "BF16") return 2;
  fail("arrays of type ", type, " are not read, only F16, BF16, F32 and F64");
}

std::vector<std::size_t> whole_numbers(const Json& entry, const char* key) {
  const Json& list = entry.at(key);
  std::vector<std::size_t> numbers;
  require(list.is_array(), "its ", key, " is no list");
  for (const Json& number : list) {
    require(number.is_number_unsigned(), "its ", key, " holds ", number.type_name(),
            " other than whole numbers from 0");
    numbers.push_back(number.get<std::size_t>());
  }
  return numbers;
}

/// `left`: the bytes of the body that no array has taken yet.
SafeTensors::Array read_array(const Json& entry, const std::vector<char>& body, std::size_t& left) {
  const auto type = entry.at("dtype").get<std::string>();
  const std::vector<std::size_t> place = whole_numbers(entry, "data_offsets");
  require(place.size() == 2 && place[0] <= place[1], "its data_offsets are no begin and end");
  const std::size_t begin = place[0], end = place[1];
  SafeTensors::Array array;
  std::size_t size = bytes_of(type);
  for (const std::size_t extent : whole_numbers(entry, "shape")) {
    require(extent <= body.size() && !__builtin_mul_overflow(size, extent, &size),
            "its shape is larger than the file");
    array.shape.push_back(long(extent));
  }
  require(end <= body.size(), "its numbers lie beyond the end of the file");
  require(size == end - begin, "its shape ", shape_text(array.shape), " does not fit its ",
          end - begin, " bytes");
  require(size <= left, "its numbers are also another array's");
  left -= size;
  const std::size_t count = size / bytes_of(type);
  array.values.resize(count);
  const char* from = body.data() + begin;
  if (type == "F64") convert<double>(from, array.values, [](double v) { return v; });
  if (type == "F32") convert<float>(from, array.values, [](float v) { return v; });
  if (type == "F16") convert<std::uint16_t>(from, array.values, from_half);
  if (type == "BF16")
    convert<std::uint16_t>(from, array.values, [](std::uint16_t v) {
      return std::bit_cast<float>(std::uint32_t(v) << 16);
    });
  return array;
}

/// Of one row, only the name tells a weight of one output from a bias.
bool is_weight(const Parameter& p) {
  return p.tensor.rows() > 1 || (p.name.ends_with("weight") && !p.flat);
}

std::vector<long> file_shape(const Parameter& p) {
  const Shape s = p.tensor.shape();
  if (is_weight(p)) return {s.rows, s.columns};
  return {long(s.rows) * s.columns};
}

/// Calls f(place here, place in a file) for each number of a parameter.
template <class F>
void each_place(const Parameter& p, F&& f) {
  const Shape s = p.tensor.shape();
  const bool weight = is_weight(p);
  const int units = (weight ? s.rows : s.columns) / p.interleave;
  const auto moved = [&](int i) { return i % p.interleave * units + i / p.interleave; };
  for (int r = 0; r < s.rows; ++r)
    for (int c = 0; c < s.columns; ++c) {
      const int to_row = weight ? moved(r) : r, to_column = weight ? c : moved(c);
      f(std::size_t(r) * s.columns + c, std::size_t(to_row) * s.columns + to_column);
    }
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const SafeTensors& file) {
  nlohmann::ordered_json header;
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::size_t offset = 0;
  for (const auto& [name, array] : file.arrays) {
    const std::size_t end = offset + array.values.size() * sizeof(Real);
    header[name] = {{"dtype", real_type}, {"shape", array.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the numbers start aligned
  const std::uint64_t length = text.size();
  AtomicFile out(path.string());
  out.write(&length, sizeof(length));
  out.write(text.data(), text.size());
  for (const auto& [name, array] : file.arrays)
    out.write(array.values.data(), array.values.size() * sizeof(Real));
  out.commit();
}

SafeTensors read_safetensors(const std::filesystem::path& path) {
  std::error_code status;
  const auto size = std::filesystem::file_size(path, status);
  std::ifstream in(path, std::ios::binary);
  require(!status && in.is_open(), path.string(), ": cannot be read");
  std::uint64_t length = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof(length));
  require(in.good() && length <= size - sizeof(length), path.string(),
          ": is not a safetensors file, or is cut off");
  std::string text(length, '\0');
  std::vector<char> body(size - sizeof(length) - length);
  in.read(text.data(), std::streamsize(text.size()));
  in.read(body.data(), std::streamsize(body.size()));
  require(in.good(), path.string(), ": cannot be read to its end");
  SafeTensors file;
  std::string at = "its header";
  try {
    const Json header = Json::parse(text);
    require(header.is_object(), "is no JSON object");
    std::size_t left = body.size();
    for (const auto& [name, entry] : header.items()) {
      at = elbo::quoted(name);
      if (name == "__metadata__") entry.get_to(file.metadata);
      else file.arrays[name] = read_array(entry, body, left);
    }
  } catch (const Json::exception& error) {
    fail(path.string(), ": ", at, ": is not as safetensors have it: ", error.what());
  } catch (const Error& error) {
    fail(path.string(), ": ", at, ": ", error.what());
  }
  return file;
}

SafeTensors::Array to_file(const Parameter& parameter) {
  const std::vector<Real> values = parameter.tensor.read();
  SafeTensors::Array array{file_shape(parameter), std::vector<Real>(values.size())};
  each_place(parameter,
             [&](std::size_t here, std::size_t there) { array.values[there] = values[here]; });
  return array;
}

void from_file(const SafeTensors& file, const Parameter& parameter, const std::string& where) {
  const auto found = file.arrays.find(parameter.name);
  require(found != file.arrays.end(), where, ": has no tensor '", parameter.name, "'");
  const SafeTensors::Array& array = found->second;
  const std::vector<long> expected = file_shape(parameter);
  require(array.shape == expected, where, ": ", parameter.name, " is ", shape_text(array.shape),
          ", expected ", shape_text(expected));
  std::vector<Real> values(array.values.size());
  each_place(parameter,
             [&](std::size_t here, std::size_t there) { values[here] = array.values[there]; });
  parameter.tensor.write(values);
}

}  // namespace elbo
