#include "models/export.h"

#include <cmath>
#include <numeric>

#include "elbo/version.h"
#include "nn/onnx.h"
#include "nn/safetensors.h"
#include "runtime/error.h"

namespace elbo {

namespace {

using Value = std::string;
using Longs = std::vector<long>;

/// What both halves are made of.
struct Half {
  const ModelConfig& config;
  std::map<std::string, SafeTensors::Array> arrays;
  OnnxGraph graph;

  Half(const Model& model, const std::string& name) : config(model.config()), graph(name) {
    for (const Parameter& p : model.parameters()) arrays[p.name] = to_file(p);
  }

  Value parameter(const std::string& name) {
    const SafeTensors::Array& array = arrays.at(name);
    return graph.constant(std::vector<float>(array.values.begin(), array.values.end()), array.shape,
                          name);
  }
  Value binary(const char* operation, const Value& a, const Value& b) {
    return graph.node(operation, {a, b});
  }
  Value unary(const char* operation, const Value& a) { return graph.node(operation, {a}); }
  /// Of float64 (in Elbo, too, data are prepared in double), or back.
  Value cast(const Value& a, OnnxGraph::Type type) {
    return graph.node("Cast", {a}, {{"to", long(type)}});
  }
  /// The name that an output has in the file.
  void output(const Value& value, const std::string& name, const Longs& columns) {
    graph.node("Identity", {value}, {}, name);
    graph.output(name, columns);
  }

  /// x beside what is given of it.
  Value told(const Value& x) {
    const int width = width_of(config.conditions);
    if (width == 0) return x;
    return graph.node("Concat", {x, graph.input("given", width)}, {{"axis", 1L}});
  }

  Value activated(const Value& x) {
    const std::string& name = config.activation;
    if (name == "relu") return unary("Relu", x);
    if (name == "leaky_relu") return graph.node("LeakyRelu", {x}, {{"alpha", 0.01f}});
    if (name == "elu") return unary("Elu", x);
    if (name == "tanh") return unary("Tanh", x);
    if (name == "sigmoid") return unary("Sigmoid", x);
    if (name == "softplus") return unary("Softplus", x);
    if (name == "silu") return binary("Mul", x, unary("Sigmoid", x));
    if (name == "gelu") {
      const Value erf = unary("Erf", binary("Mul", x, graph.constant(float(std::sqrt(0.5)))));
      const Value half = binary("Mul", x, graph.constant(0.5f));
      return binary("Mul", half, binary("Add", erf, graph.constant(1.f)));
    }
    require(name == "identity", "export: there is no ONNX for the activation ", name);
    return x;
  }

  /// nn/layers.h, Mlp, when nothing is trained.
  Value mlp(const std::string& name, Value x) {
    const std::size_t hidden = config.hidden.size();
    for (std::size_t i = 0; i <= hidden; ++i) {
      const std::string layer = name + ".layers." + std::to_string(i);
      x = graph.node("Gemm", {x, parameter(layer + ".weight"), parameter(layer + ".bias")},
                     {{"transB", 1L}});
      if (i == hidden) break;
      const std::string norm = name + ".norms." + std::to_string(i);
      const float epsilon = float(config.norm_epsilon);
      if (config.norm == "batch")
        x = graph.node("BatchNormalization",
                       {x, parameter(norm + ".weight"), parameter(norm + ".bias"),
                        parameter(norm + ".running_mean"), parameter(norm + ".running_var")},
                       {{"epsilon", epsilon}});
      if (config.norm == "layer")
        x = graph.node("LayerNormalization",
                       {x, parameter(norm + ".weight"), parameter(norm + ".bias")},
                       {{"axis", -1L}, {"epsilon", epsilon}});
      x = activated(x);
    }
    return x;
  }
};

struct EncoderHalf : Half {
  using Half::Half;

  /// models/preparation.h
  Value prepared(Value x) {
    const Preparation& p = config.preparation;
    if (!p.any()) return x;
    x = cast(x, OnnxGraph::Type::float64);
    if (p.log1p) x = unary("Log", binary("Add", x, graph.constant(std::vector<double>{1}, {})));
    if (p.centre == "rows") {
      const Value missing = unary("IsNaN", x), axis = graph.constant(Longs{1}, {1});
      const Value zero = graph.constant(std::vector<double>{0}, {});
      const Value there = cast(unary("Not", missing), OnnxGraph::Type::float64);
      const Value sum = graph.node("ReduceSum", {graph.node("Where", {missing, zero, x}), axis});
      x = binary("Sub", x, binary("Div", sum, graph.node("ReduceSum", {there, axis})));
    }
    if (p.standardise != "none") {
      const Longs shape{long(p.mean.size())};
      x = binary("Sub", x, graph.constant(p.mean, shape));
      x = binary("Div", x, graph.constant(p.scale, shape));
    }
    return cast(x, OnnxGraph::Type::float32);
  }

  /// kernels/math/transforms.h: what the network reads of each entry; zeros where it is missing.
  Value read(const Value& x) {
    const auto input = encoder_input(config);
    if (!input) return x;
    const Value missing = unary("IsNaN", x), zero = graph.constant(0.f);
    const Value there = graph.node("Where", {missing, zero, x});
    const Value last = graph.constant(Longs{2}, {1});
    const auto side_by_side = [&](const Value& entries, long width) {
      const long columns = long(config.observed) * width;
      return binary("Reshape", entries, graph.constant(Longs{-1, columns}, {2}));
    };
    if (std::holds_alternative<Log1p>(*input))
      return unary("Log", binary("Add", there, graph.constant(1.f)));
    if (const auto* affine = std::get_if<Affine>(&*input)) {
      const Value scaled = binary("Mul", there, graph.constant(float(affine->scale)));
      const Value shifted = binary("Add", scaled, graph.constant(float(affine->shift)));
      return graph.node("Where", {missing, zero, shifted});
    }
    if (const auto* one_hot = std::get_if<OneHot>(&*input)) {  // a NaN equals no class
      std::vector<float> classes(std::size_t(one_hot->classes));
      std::iota(classes.begin(), classes.end(), 0.f);
      const Value equal = binary("Equal", binary("Unsqueeze", x, last),
                                 graph.constant(classes, {one_hot->classes}));
      return side_by_side(cast(equal, OnnxGraph::Type::float32), one_hot->classes);
    }
    const Value present = cast(unary("Not", missing), OnnxGraph::Type::float32);
    return side_by_side(
        graph.node("Concat", {binary("Unsqueeze", there, last), binary("Unsqueeze", present, last)},
                   {{"axis", 2L}}),
        2);
  }

  void build(bool variational) {
    const Value x = prepared(graph.input("x", config.observed));
    const Value q = mlp("encoder", told(read(x)));
    if (!variational) return output(q, "mean", {config.latent});
    const auto part = [&](long first) {
      return graph.node("Slice", {q, graph.constant(Longs{first}, {1}),
                                  graph.constant(Longs{first + config.latent}, {1}),
                                  graph.constant(Longs{1}, {1})});
    };
    output(part(0), "mean", {config.latent});
    if (config.posterior_sigma == 0)
      return output(part(config.latent), "log_variance", {config.latent});
    const float held = float(2 * std::log(config.posterior_sigma));
    output(binary("Expand", graph.constant(held), unary("Shape", part(0))), "log_variance",
           {config.latent});
  }
};

struct DecoderHalf : Half {
  using Half::Half;
  Value theta;  // [N,K,C]

  Value number(double value) { return graph.constant(float(value)); }
  /// [N,C]: the k-th parameter of each scalar.
  Value raw(long k) {
    return graph.node("Gather", {theta, graph.constant(Longs{k}, {})}, {{"axis", 1L}});
  }
  /// Σ_k weights_k v_k of v [N,K,C]
  Value mixed(const Value& weights, const Value& v) {
    return graph.node("ReduceSum", {binary("Mul", weights, v), graph.constant(Longs{1}, {1})},
                      {{"keepdims", 0L}});
  }
  Value softmax(const Value& v) { return graph.node("Softmax", {v}, {{"axis", 1L}}); }

  /// E[x] under each law, as `mean` in kernels/math/likelihoods.h.
  template <class Law>
    requires(std::is_same_v<Law, FixedGaussian> || std::is_same_v<Law, Gaussian> ||
             std::is_same_v<Law, Laplace> || std::is_same_v<Law, StudentT>)
  Value mean(const Law&) {
    return raw(0);
  }
  Value mean(const Bernoulli&) { return unary("Sigmoid", raw(0)); }
  Value mean(const ContinuousBernoulli&) {
    // 1/(1 - e^-l) - 1/l, and below 1 the series of ContinuousBernoulli::from_half.
    const Value l = raw(0), near = binary("Less", unary("Abs", l), number(1));
    const Value far = graph.node("Where", {near, number(1), l}), z = binary("Mul", l, l);
    Value series = number(-1. / 47900160);
    for (const double term : {1. / 1209600, -1. / 30240, 1. / 720})
      series = binary("Add", number(term), binary("Mul", z, series));
    series = binary("Sub", number(1. / 12), binary("Mul", z, series));
    series = binary("Add", number(0.5), binary("Mul", l, series));
    const Value decay = unary("Exp", unary("Neg", far));
    const Value formula = binary("Sub", unary("Reciprocal", binary("Sub", number(1), decay)),
                                 unary("Reciprocal", far));
    return graph.node("Where", {near, series, formula});
  }
  Value mean(const Beta&) { return unary("Sigmoid", binary("Sub", raw(0), raw(1))); }
  Value mean(const Poisson&) { return unary("Exp", raw(0)); }
  Value mean(const NegativeBinomial&) { return unary("Exp", raw(0)); }
  Value mean(const ZeroInflatedNegativeBinomial&) {
    return binary("Mul", unary("Exp", raw(0)), unary("Sigmoid", unary("Neg", raw(1))));
  }
  Value level(const DiscretisedLogistic& law, const Value& m) {
    const Value at =
        binary("Add", binary("Mul", m, number(law.half())), number((law.levels - 1) / 2.));
    return graph.node("Clip", {at, number(0), number(law.levels - 1)});
  }
  Value mean(const DiscretisedLogistic& law) { return level(law, raw(0)); }
  Value mean(const DiscretisedLogisticMixture& law) {
    const auto every_third = [&](long first) {
      return graph.node("Slice", {theta, graph.constant(Longs{first}, {1}),
                                  graph.constant(Longs{3L * law.components}, {1}),
                                  graph.constant(Longs{1}, {1}), graph.constant(Longs{3}, {1})});
    };
    return mixed(softmax(every_third(0)), level({law.levels}, every_third(1)));
  }
  Value mean(const Categorical& law) {
    std::vector<float> classes(std::size_t(law.classes));
    std::iota(classes.begin(), classes.end(), 0.f);
    return mixed(softmax(theta), graph.constant(classes, {1, law.classes, 1}));
  }

  /// The first parameter relative to the datum's total: kernels/ops/rates.h.
  void relate() {
    const RateScale rates = rates_of(config);
    if (rates == RateScale::plain) return;
    Value a = raw(0);
    if (rates == RateScale::library)
      a = binary("Sub", a, graph.node("ReduceLogSumExp", {a}, {{"axes", Longs{1}}}));
    a = binary("Add", a, graph.input("log_total", 1, float(std::log(config.total))));
    const Value axis = graph.constant(Longs{1}, {1});
    const Value first = binary("Unsqueeze", a, axis);
    const Value rest = graph.node("Slice", {theta, graph.constant(Longs{1}, {1}),
                                            graph.constant(Longs{1L << 30}, {1}), axis});
    theta = graph.node("Concat", {first, rest}, {{"axis", 1L}});
  }

  Value in_own_units(Value x) {
    const Preparation& p = config.preparation;
    if (!p.log1p && p.standardise == "none") return x;
    x = cast(x, OnnxGraph::Type::float64);
    if (p.standardise != "none") {
      const Longs shape{long(p.mean.size())};
      x = binary("Mul", x, graph.constant(p.scale, shape));
      x = binary("Add", x, graph.constant(p.mean, shape));
    }
    if (p.log1p) x = binary("Sub", unary("Exp", x), graph.constant(std::vector<double>{1}, {}));
    return cast(x, OnnxGraph::Type::float32);
  }

  void build(const Observation& observed) {
    const Value numbers = mlp("decoder", told(graph.input("z", config.latent)));
    theta =
        binary("Reshape", numbers, graph.constant(Longs{-1, observed.heads, config.observed}, {3}));
    relate();
    output(theta, "parameters", {observed.heads, config.observed});
    output(in_own_units(std::visit([&](const auto& law) { return mean(law); }, observed.law)), "x",
           {config.observed});
  }
};

}  // namespace

OnnxFiles to_onnx(const Model& model) {
  require(!model.config().two_domains(),
          "export: the model has two domains, expected one encoder and one decoder");
  EncoderHalf encoder(model, "encoder");
  encoder.build(model.variational());
  DecoderHalf decoder(model, "decoder");
  decoder.build(observation(model.config()));
  std::string names;
  for (const std::string& name : model.parameter_names())
    names += (names.empty() ? "" : " ") + name;
  const std::map<std::string, std::string> metadata{{"likelihood", model.config().likelihood},
                                                    {"parameters", names}};
  return {encoder.graph.file(version, "The encoder of a model that Elbo trained", metadata),
          decoder.graph.file(version, "The decoder of a model that Elbo trained", metadata)};
}

}  // namespace elbo
