#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace elbo {

/// A model in the Open Neural Network Exchange format, built node by node: IR version 8, operators
/// of opset 17, which onnxruntime ≥ 1.12 and most other runtimes read.
///
/// The file is one protobuf message, written here field by field; the numbers of the fields are
/// those of onnx/onnx.proto in ONNX 1.12.  A value is known by its name.
class OnnxGraph {
 public:
  using Attribute = std::variant<float, long, std::vector<long>>;
  enum class Type { float32 = 1, int64 = 7, float64 = 11 };

  explicit OnnxGraph(std::string name) : name_(std::move(name)) {}

  /// What the graph is given: [rows, columns] floats; any number of rows.  With a `value`, [1, 1],
  /// it need not be given.
  std::string input(const std::string& name, long columns);
  std::string input(const std::string& name, long columns, float value);
  /// What it gives: [rows, …].
  void output(const std::string& value, const std::vector<long>& columns);

  /// Numbers that belong to the model, row-major; one without a shape is a scalar.
  std::string constant(const std::vector<float>&, const std::vector<long>& shape,
                       const std::string& name = "");
  std::string constant(const std::vector<double>&, const std::vector<long>& shape);
  std::string constant(const std::vector<long>&, const std::vector<long>& shape);
  std::string constant(float);

  /// One operator; its output is called `output`, or by a number.
  std::string node(const std::string& operation, const std::vector<std::string>& inputs,
                   const std::map<std::string, Attribute>& attributes = {},
                   const std::string& output = "");

  /// The whole file.  `metadata` is text by names.
  std::string file(const std::string& producer_version, const std::string& about,
                   const std::map<std::string, std::string>& metadata) const;

 private:
  std::string next();
  std::string tensor(const std::string& name, Type, const std::vector<long>& shape,
                     std::string bytes);

  std::string name_, nodes_, tensors_, inputs_, outputs_;
  int values_ = 0;
};

}  // namespace elbo
