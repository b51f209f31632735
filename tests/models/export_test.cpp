// The files for other runtimes, read back by a reader of protocol buffers that knows no more than
// the wire format.  scripts/onnx-parity holds them against onnxruntime.
#include "models/export.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "runtime/error.h"
#include "tests/tolerance.h"

namespace elbo {
namespace {

/// A message: what stands in each of its fields, in order.
struct Message {
  std::map<int, std::vector<std::string>> texts;  // texts and messages
  std::map<int, std::vector<long>> numbers;
  std::map<int, std::vector<float>> floats;

  explicit Message(const std::string& bytes) {
    std::size_t at = 0;
    const auto varint = [&] {
      std::uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        require(at < bytes.size() && shift < 64, "a number that does not end");
        const auto byte = std::uint8_t(bytes[at++]);
        value |= std::uint64_t(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.size()) {
      const std::uint64_t key = varint(), kind = key & 7;
      const int field = int(key >> 3);
      if (kind == 0) numbers[field].push_back(long(varint()));
      else if (kind == 2) {
        const std::uint64_t length = varint();
        require(length <= bytes.size() - at, "a field of ", length, " bytes is cut off");
        texts[field].push_back(bytes.substr(at, length)), at += length;
      } else {
        require(kind == 5 && at + 4 <= bytes.size(), "a field of kind ", kind);
        float value;
        std::memcpy(&value, &bytes[at], 4);
        floats[field].push_back(value), at += 4;
      }
    }
  }
  std::string text(int field) const { return texts.at(field).at(0); }
  std::vector<std::string> all(int field) const {
    return texts.contains(field) ? texts.at(field) : std::vector<std::string>{};
  }
};

struct Node {
  std::string operation, output;
  std::vector<std::string> inputs;
};

/// A graph whose values are all made before they are used, and once.
struct Graph {
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<long>> shapes;
  std::vector<Node> nodes;
  std::set<std::string> inputs, outputs;

  explicit Graph(const std::string& file) {
    const Message model(file), graph(model.text(7)), opset(model.text(8));
    EXPECT_EQ(model.numbers.at(1).at(0), 8);
    EXPECT_EQ(opset.numbers.at(2).at(0), 17);
    std::set<std::string> known;
    for (const std::string& bytes : graph.all(5)) {
      const Message tensor(bytes);
      const std::string name = tensor.text(8), raw = tensor.text(9);
      EXPECT_TRUE(known.insert(name).second) << name;
      const std::vector<long> shape =
          tensor.numbers.contains(1) ? tensor.numbers.at(1) : std::vector<long>{};
      std::size_t count = 1;
      for (const long n : shape) count *= std::size_t(n);
      const long type = tensor.numbers.at(2).at(0);
      EXPECT_EQ(raw.size(), count * (type == 1 ? 4 : 8)) << name;
      shapes[name] = shape;
      if (type != 1) continue;
      floats[name].resize(count);
      std::memcpy(floats[name].data(), raw.data(), raw.size());
    }
    for (const std::string& bytes : graph.all(11))
      inputs.insert(Message(bytes).text(1)), known.insert(Message(bytes).text(1));
    for (const std::string& bytes : graph.all(1)) {
      const Message node(bytes);
      nodes.push_back({node.text(4), node.text(2), node.all(1)});
      for (const std::string& name : nodes.back().inputs) EXPECT_TRUE(known.contains(name)) << name;
      EXPECT_TRUE(known.insert(nodes.back().output).second) << nodes.back().output;
    }
    for (const std::string& bytes : graph.all(12)) {
      outputs.insert(Message(bytes).text(1));
      EXPECT_TRUE(known.contains(Message(bytes).text(1)));
    }
  }

  /// Row-major rows through layers and ReLU, up to the last product.
  std::vector<double> layers(std::vector<double> x, int rows) const {
    for (const Node& node : nodes) {
      if (node.operation == "Relu")
        for (double& v : x) v = std::max(v, 0.0);
      if (node.operation != "Gemm") continue;
      const std::vector<float>&w = floats.at(node.inputs[1]), &b = floats.at(node.inputs[2]);
      const long outputs = shapes.at(node.inputs[1])[0], inputs = shapes.at(node.inputs[1])[1];
      std::vector<double> y(std::size_t(rows * outputs));
      for (long r = 0; r < rows; ++r)
        for (long o = 0; o < outputs; ++o) {
          double sum = b[std::size_t(o)];
          for (long i = 0; i < inputs; ++i)
            sum += x[std::size_t(r * inputs + i)] * w[std::size_t(o * inputs + i)];
          y[std::size_t(r * outputs + o)] = sum;
        }
      x = std::move(y);
    }
    return x;
  }
};

TEST(Onnx, halves_hold_the_layers_that_the_model_has_with_heads_in_blocks) {
  constexpr int rows = 3, observed = 7, latent = 4;
  const Device cpu = Device::cpu();
  const Model model(cpu,
                    {.observed = observed,
                     .hidden = {6},
                     .latent = latent,
                     .likelihood = "gaussian",
                     .sigma = "datum"},
                    5);
  const OnnxFiles files = to_onnx(model);
  std::vector<Real> x(rows * observed), z(rows * latent);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = Real(std::sin(double(i)));
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = Real(std::cos(double(i)));
  // Sums of at most 7 products, twice, of magnitude 10 at most; the files' weights are floats,
  // which rounds each product once more where Real is double.
  const double allowed = tolerance::sum(10, 10) + 10 * std::ldexp(1.0, -24);
  const auto check = [&](const std::string& file, const std::vector<Real>& in,
                         const std::vector<Real>& wanted, int units) {
    const std::vector<double> got = Graph(file).layers({in.begin(), in.end()}, rows);
    ASSERT_EQ(got.size(), wanted.size());
    for (int r = 0; r < rows; ++r)
      for (int u = 0; u < units; ++u)
        for (int k = 0; k < 2; ++k)  // side by side here, in blocks there
          EXPECT_NEAR(got[std::size_t((r * 2 + k) * units + u)],
                      wanted[std::size_t((r * units + u) * 2 + k)], allowed);
  };
  check(files.encoder, x, model.encode(Tensor(cpu, {rows, observed}, x)).read(), latent);
  check(files.decoder, z, model.decode(Tensor(cpu, {rows, latent}, z)).read(), observed);
}

TEST(Onnx, files_of_every_kind_of_model_make_each_value_once_and_before_it_is_used) {
  std::vector<ModelConfig> all;
  for (const std::string& name : likelihood_names()) {
    all.push_back({.observed = 5, .hidden = {4}, .latent = 2, .likelihood = name, .levels = 8});
    all.back().classes = 3;
  }
  for (const std::string& name : activation_names())
    all.push_back(
        {.observed = 5, .hidden = {4, 3}, .latent = 2, .activation = name, .norm = "batch"});
  for (const char* input : {"masked", "indicated", "log1p"})
    all.push_back(
        {.model = "ae", .observed = 5, .hidden = {}, .latent = 2, .norm = "layer", .input = input});
  for (const char* rates : {"size", "library"})
    all.push_back(
        {.observed = 5, .hidden = {4}, .latent = 2, .likelihood = "zinb", .rates = rates});
  all.push_back({.observed = 5, .hidden = {4}, .latent = 2, .likelihood = "gaussian"});
  all.back().preparation = {true, "rows", "columns", {1, 2, 3, 4, 5}, {1, 1, 2, 2, 3}};
  all.back().posterior_sigma = 0.5;
  for (const ModelConfig& config : all) {
    SCOPED_TRACE(to_json(config));
    const OnnxFiles files = to_onnx(Model(Device::cpu(), config, 0));
    const Graph encoder(files.encoder), decoder(files.decoder);
    const bool vae = config.model == "vae";
    EXPECT_EQ(encoder.outputs, (vae ? std::set<std::string>{"mean", "log_variance"}
                                    : std::set<std::string>{"mean"}));
    EXPECT_EQ(decoder.outputs, (std::set<std::string>{"parameters", "x"}));
    EXPECT_EQ(decoder.inputs.contains("log_total"), config.rates != "plain");
  }
}

TEST(Onnx, refuses_a_model_of_two_domains) {
  ModelConfig config{.observed = 5, .with_observed = 3, .hidden = {4}, .latent = 2};
  EXPECT_THROW(to_onnx(Model(Device::cpu(), config, 0)), Error);
}

}  // namespace
}  // namespace elbo
