#include "nn/onnx.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace elbo {

namespace {

// The wire format of protocol buffers: a key, number · 8 + kind, and then what the kind says.

void varint(std::string& out, std::uint64_t value) {
  for (; value > 127; value >>= 7) out += char((value & 127) | 128);
  out += char(value);
}
/// Kind 0: a number in groups of 7 bits.
void put(std::string& out, int field, long value) {
  varint(out, std::uint64_t(field) << 3);
  varint(out, std::uint64_t(value));
}
/// Kind 2: a length, and so many bytes: text or a message.
void put(std::string& out, int field, std::string_view bytes) {
  varint(out, (std::uint64_t(field) << 3) | 2);
  varint(out, bytes.size());
  out += bytes;
}
/// Kind 5: four bytes, the lowest first.
void put(std::string& out, int field, float value) {
  varint(out, (std::uint64_t(field) << 3) | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int i = 0; i < 4; ++i) out += char((bits >> (8 * i)) & 255);
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; its elem_type 1, shape 2;
/// TensorShapeProto: dim 1; Dimension: dim_value 1, dim_param 2.
std::string value_info(const std::string& name, const std::vector<long>& columns) {
  std::string rows, shape, tensor, type, info;
  put(rows, 2, "rows"), put(shape, 1, rows);
  for (const long n : columns) {
    std::string dimension;
    put(dimension, 1, n), put(shape, 1, dimension);
  }
  put(tensor, 1, long(OnnxGraph::Type::float32)), put(tensor, 2, shape);
  put(type, 1, tensor);
  put(info, 1, name), put(info, 2, type);
  return info;
}

}  // namespace

std::string OnnxGraph::next() { return "v" + std::to_string(++values_); }

std::string OnnxGraph::input(const std::string& name, long columns) {
  put(inputs_, 11, value_info(name, {columns}));  // GraphProto: input 11
  return name;
}

std::string OnnxGraph::input(const std::string& name, long columns, float value) {
  constant(std::vector<float>{value}, {1, 1}, name);
  return input(name, columns);
}

void OnnxGraph::output(const std::string& value, const std::vector<long>& columns) {
  put(outputs_, 12, value_info(value, columns));  // GraphProto: output 12
}

/// TensorProto: dims 1, data_type 2, name 8, raw_data 9; GraphProto: initializer 5.
std::string OnnxGraph::tensor(const std::string& name, Type type, const std::vector<long>& shape,
                              std::string bytes) {
  std::string tensor;
  for (const long n : shape) put(tensor, 1, n);
  put(tensor, 2, long(type)), put(tensor, 8, name), put(tensor, 9, bytes);
  put(tensors_, 5, tensor);
  return name;
}
std::string OnnxGraph::constant(const std::vector<float>& values, const std::vector<long>& shape,
                                const std::string& name) {
  return tensor(name.empty() ? next() : name, Type::float32, shape, bytes_of(values));
}
std::string OnnxGraph::constant(const std::vector<double>& values, const std::vector<long>& shape) {
  return tensor(next(), Type::float64, shape, bytes_of(values));
}
std::string OnnxGraph::constant(const std::vector<long>& values, const std::vector<long>& shape) {
  return tensor(next(), Type::int64, shape,
                bytes_of(std::vector<std::int64_t>(values.begin(), values.end())));
}
std::string OnnxGraph::constant(float value) { return constant(std::vector<float>{value}, {}); }

/// NodeProto: input 1, output 2, name 3, op_type 4, attribute 5; AttributeProto: name 1, f 2, i 3,
/// ints 8, type 20 (FLOAT 1, INT 2, INTS 7); GraphProto: node 1.
std::string OnnxGraph::node(const std::string& operation, const std::vector<std::string>& inputs,
                            const std::map<std::string, Attribute>& attributes,
                            const std::string& output) {
  const std::string made = output.empty() ? next() : output;
  std::string node;
  for (const std::string& input : inputs) put(node, 1, input);
  put(node, 2, made), put(node, 3, operation + "_" + made), put(node, 4, operation);
  for (const auto& [name, value] : attributes) {
    std::string attribute;
    put(attribute, 1, name);
    if (const auto* f = std::get_if<float>(&value)) put(attribute, 2, *f);
    if (const auto* i = std::get_if<long>(&value)) put(attribute, 3, *i);
    if (const auto* all = std::get_if<std::vector<long>>(&value))
      for (const long i : *all) put(attribute, 8, i);
    constexpr long types[] = {1, 2, 7};
    put(attribute, 20, types[value.index()]);
    put(node, 5, attribute);
  }
  put(nodes_, 1, node);
  return made;
}

/// GraphProto: name 2; ModelProto: ir_version 1, producer_name 2, producer_version 3, doc_string 6,
/// graph 7, opset_import 8, metadata_props 14; OperatorSetIdProto: version 2;
/// StringStringEntryProto: key 1, value 2.
std::string OnnxGraph::file(const std::string& producer_version, const std::string& about,
                            const std::map<std::string, std::string>& metadata) const {
  std::string graph = nodes_, model, opset;
  put(graph, 2, name_);
  graph += tensors_ + inputs_ + outputs_;
  put(opset, 2, 17L);
  put(model, 1, 8L), put(model, 2, "elbo"), put(model, 3, producer_version), put(model, 6, about);
  put(model, 7, graph), put(model, 8, opset);
  for (const auto& [key, value] : metadata) {
    std::string entry;
    put(entry, 1, key), put(entry, 2, value);
    put(model, 14, entry);
  }
  return model;
}

}  // namespace elbo
