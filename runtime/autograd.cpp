#include "runtime/autograd.h"

#include "runtime/error.h"
#include "runtime/program.h"

namespace elbo {

class Autograd {
 public:
  explicit Autograd(Program& program) : program_(program) {}

  void differentiate(const DenseCall& call) {
    const Matrix dy = gradient(call.y);
    if (!dy.tensor) return;
    Matrix da = dy;
    if (!std::holds_alternative<Identity>(call.activation)) {
      da = temporary(call.y.shape());
      program_.add(Apply{ActivationGradient{.in = dy,
                                            .pre = matrix(call.pre),
                                            .y = matrix(call.y),
                                            .out = da,
                                            .activation = call.activation}});
    }
    if (call.x.tracked()) {
      const auto [dx, accumulate] = contribution(call.x);
      program_.add(Product{.a = da,
                           .b = matrix(call.weight),
                           .epilogue = Store{.out = dx, .accumulate = accumulate}});
    }
    WeightGradient layer{.dy = da, .x = matrix(call.x), .weight = {}, .bias = {}};
    if (call.weight.tracked()) sink(call.weight, layer.weight);
    if (call.bias.tracked()) sink(call.bias, layer.bias);
    if (layer.weight.gradient.tensor || layer.bias.gradient.tensor)
      program_.add(WeightGradients{{layer}});
  }

  void differentiate(const LatentCall& call) {
    Matrix dz = gradient(call.z);
    const Matrix whole = gradient(call.kl), floored = gradient(call.floored);
    require(!whole.tensor || !floored.tensor,
            "backward: the loss counts a KL twice, with free bits and without");
    const bool free = floored.tensor;
    if (!call.q.tracked() || (!dz.tensor && !whole.tensor && !free)) return;
    if (!dz.tensor) {
      dz = temporary({call.q.rows(), call.q.columns() / 2});
      program_.add(Fill{dz, Scale{.factor = 0}});
    }
    write(call.q, [&](const Matrix& dq) {
      program_.add(Apply{LatentGradient{.in = dz,
                                        .q = matrix(call.q),
                                        .upstream = free ? floored : whole,
                                        .means = free ? matrix(call.unit_kl) : Matrix{},
                                        .out = dq,
                                        .floor = call.floor,
                                        .noise = call.noise}});
    });
  }

  void differentiate(const HoldSpreadCall& call) {
    const Matrix upstream = gradient(call.out);
    if (upstream.tensor)
      write(call.q, [&](const Matrix& dq) { program_.add(HoldSpread{upstream, dq}); });
  }

  void differentiate(const SampleManyCall& call) {
    const Matrix dz = gradient(call.z), upstream = gradient(call.log_ratio);
    if (!dz.tensor && !upstream.tensor) return;
    require(!call.doubly || upstream.tensor,
            "backward: a doubly reparameterised draw must reach the loss through importance_bound");
    write(call.q, [&](const Matrix& dq) {
      program_.add(SampleManyGradient{dz, matrix(call.q), upstream, dq, call.noise, call.doubly});
    });
  }

  void differentiate(const ImportanceCall& call) {
    const Matrix upstream = gradient(call.bound);
    if (!upstream.tensor) return;
    Matrix weights;
    for (const Tensor& tensor : {call.log_p, call.log_ratio})
      if (tensor.tracked())
        write(tensor, [&](const Matrix& out) {
          if (weights.tensor) return program_.add(Add{.a = weights, .b = {}, .out = out});
          weights = out;
          program_.add(ImportanceBound{.log_p = matrix(call.log_p),
                                       .log_ratio = matrix(call.log_ratio),
                                       .bound = {},
                                       .upstream = upstream,
                                       .weights = weights,
                                       .scale = {},
                                       .samples = call.samples});
        });
  }

  void differentiate(const LogProbCall& call) {
    const Matrix upstream = gradient(call.terms);
    if (!upstream.tensor) return;
    const bool shared = call.side.tracked();
    const Matrix side_score = shared ? temporary({call.theta.rows(), call.x.columns()}) : Matrix{};
    const auto score = [&](const Matrix& dtheta) {
      program_.add(Apply{Observe{.in = matrix(call.theta),
                                 .side = matrix(call.side),
                                 .x = matrix(call.x),
                                 .upstream = upstream,
                                 .score = dtheta,
                                 .side_score = side_score,
                                 .law = call.law,
                                 .repeat = call.repeat}});
    };
    if (call.theta.tracked()) write(call.theta, score);
    else if (shared) score(temporary(call.theta.shape()));
    if (shared) {
      const auto [out, accumulate] = contribution(call.side);
      program_.add(ColumnSum{side_score, out, accumulate});
    }
  }

  void differentiate(const NormCall& call) {
    const Matrix dy = gradient(call.y);
    if (!dy.tensor) return;
    const Norm norm{.x = matrix(call.x),
                    .gamma = matrix(call.gamma),
                    .beta = matrix(call.beta),
                    .mean = matrix(call.mean),
                    .inverse = matrix(call.inverse),
                    .activation = call.activation,
                    .mask = call.mask};
    write_if_tracked(call.gamma, {}, [&](const Matrix& dgamma) {
      write_if_tracked(call.beta, {}, [&](const Matrix& dbeta) {
        write_if_tracked(call.x, temporary(call.x.shape()), [&](const Matrix& dx) {
          if (call.parts) return differentiate_part(call, norm, dy, dx, dgamma, dbeta);
          if (call.of != NormCall::Of::row)
            return program_.add(NormaliseColumnsGradient{norm, dy, dx, dgamma, dbeta,
                                                         call.of == NormCall::Of::batch});
          const bool summed = dgamma.tensor || dbeta.tensor;
          const Matrix slope = summed ? temporary(call.x.shape()) : Matrix{};
          program_.add(NormaliseRowsGradient{norm, dy, dx, slope});
          if (summed)
            program_.add(SumSlopes{slope, norm.x, norm.mean, norm.inverse, dgamma, dbeta});
        });
      });
    });
  }

  void differentiate(const DropCall& call) {
    const Matrix dy = gradient(call.y);
    if (dy.tensor) write(call.x, [&](const Matrix& dx) { program_.add(Drop{dy, dx, call.mask}); });
  }

  void differentiate(const JoinCall& call) {
    const Matrix upstream = gradient(call.out);
    if (!upstream.tensor) return;
    int first = 0;
    for (const Tensor& tensor : {call.a, call.b}) {
      if (tensor.tracked())
        write(tensor, [&](const Matrix& out) { program_.add(Columns{upstream, out, first}); });
      first += tensor.columns();
    }
  }

  void differentiate(const ExpertsCall& call) {
    const Matrix upstream = gradient(call.out);
    if (!upstream.tensor) return;
    write_if_tracked(call.a, temporary(call.a.shape()), [&](const Matrix& da) {
      write_if_tracked(call.b, temporary(call.b.shape()), [&](const Matrix& db) {
        program_.add(ExpertsGradient{upstream, matrix(call.a), matrix(call.b), matrix(call.there_a),
                                     matrix(call.there_b), matrix(call.out), da, db});
      });
    });
  }

  void differentiate(const RatesCall& call) {
    const Matrix upstream = gradient(call.out);
    if (!upstream.tensor) return;
    write(call.theta, [&](const Matrix& out) {
      if (call.softmax)
        program_.add(RatesGradient{matrix(call.theta), matrix(call.log_sum), upstream, out,
                                   call.parameters});
      else program_.add(Add{.a = upstream, .b = {}, .out = out});
    });
  }

  void differentiate(const AddCall& call) {
    const Matrix upstream = gradient(call.out);
    if (!upstream.tensor) return;
    for (const auto& [tensor, factor] : {std::pair{call.a, call.alpha}, {call.b, call.beta}})
      if (tensor.tracked())
        write(tensor, [&](const Matrix& out) {
          program_.add(Add{.a = upstream, .b = {}, .out = out, .alpha = factor});
        });
  }

  void differentiate(const MultiplyCall& call) {
    const Matrix upstream = gradient(call.out);
    if (!upstream.tensor) return;
    for (const auto& [tensor, other] : {std::pair{call.a, call.b}, {call.b, call.a}})
      if (tensor.tracked())
        write(tensor, [&](const Matrix& out) {
          program_.add(Multiply{upstream, matrix(other), out});
        });
  }

  void differentiate(const PointwiseCall& call) {
    const Matrix upstream = gradient(call.out);
    if (upstream.tensor)
      write(call.x, [&](const Matrix& out) {
        program_.add(Pointwise{matrix(call.x), matrix(call.out), upstream, out, call.function});
      });
  }

  void differentiate(const RowSumCall& call) {
    const Matrix upstream = gradient(call.out);
    if (upstream.tensor)
      write(call.x, [&](const Matrix& out) { program_.add(Multiply{upstream, {}, out}); });
  }

  void differentiate(const ObjectiveCall& call) {
    for (std::size_t i = 0; i < call.terms.size(); ++i)
      if (call.terms[i].tracked() && call.weights[i].factor != 0)
        write(call.terms[i], [&](const Matrix& out) {
          Scale weight = call.weights[i];
          weight.factor /= Real(call.terms[i].rows());
          program_.add(Fill{out, weight});
        });
  }

 private:
  /// A batch norm whose batch lies in several processes.
  void differentiate_part(const NormCall& call, const Norm& norm, const Matrix& dy,
                          const Matrix& dx, const Matrix& dgamma, const Matrix& dbeta) {
    const Together& together = program_.together;
    const Matrix sums = temporary({2, call.x.columns()});
    program_.add(NormaliseColumnsGradient{.norm = norm,
                                          .dy = dy,
                                          .dx = dx,
                                          .dgamma = dgamma,
                                          .dbeta = dbeta,
                                          .sums = sums,
                                          .counts = together.share > 0});
    program_.add(GroupSum{.numbers = {sums}, .by = together.sums});
    program_.add(
        CentreSlopes{norm.x, norm.gamma, norm.mean, norm.inverse, matrix(call.parts), sums, dx});
  }

  Matrix matrix(const Tensor& t) { return t ? program_.use(t) : Matrix{}; }
  Matrix gradient(const Tensor& t) {
    return t && t.node_->gradient ? program_.use(t.gradient()) : Matrix{};
  }
  Matrix temporary(Shape shape) { return program_.transient(shape)->matrix; }

  /// Where the next part of t's gradient goes, and whether it adds to what is there.
  std::pair<Matrix, bool> contribution(const Tensor& t) {
    auto& gradient = t.node_->gradient;
    const bool accumulate = gradient != nullptr;
    if (!accumulate) gradient = program_.transient(t.shape());
    return {program_.use(Tensor(gradient)), accumulate};
  }
  void sink(const Tensor& t, Sink& into) {
    std::tie(into.gradient, into.accumulate) = contribution(t);
  }

  /// For operations that can only write: a second part goes through a temporary.
  template <class F>
  void write(const Tensor& t, F&& operation) {
    const auto [out, accumulate] = contribution(t);
    if (!accumulate) return operation(out);
    const Matrix part = temporary(t.shape());
    operation(part);
    program_.add(Add{.a = out, .b = part, .out = out});
  }

  /// Into t's gradient if it has one, else into `otherwise`.
  template <class F>
  void write_if_tracked(const Tensor& t, const Matrix& otherwise, F&& operation) {
    if (t.tracked()) write(t, operation);
    else operation(otherwise);
  }

  Program& program_;
};

void backward(const Tensor& loss) {
  Program& program = Program::current(loss.device());
  Tape tape = std::move(program.tape);
  program.tape.clear();
  Autograd autograd(program);
  bool found = false;
  for (auto call = tape.rbegin(); call != tape.rend(); ++call) {
    if (const auto* objective = std::get_if<ObjectiveCall>(&*call)) {
      if (objective->loss.storage() != loss.storage()) continue;
      found = true;
    }
    std::visit([&](const auto& c) { autograd.differentiate(c); }, *call);
  }
  require(found, "backward: the tensor given is not an objective recorded since the last backward");
}

}  // namespace elbo
