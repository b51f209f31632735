#include "nn/functions.h"

#include <cmath>
#include <limits>

#include "runtime/error.h"

namespace elbo {

namespace {

Program& program_of(const Tensor& t, const char* function, const char* name) {
  require(bool(t), function, ": ", name, " is an empty tensor");
  return Program::current(t.device());
}

/// A tensor that needs a gradient if any of those it is made from does.
Tensor made(const Tensor& from, Shape shape, bool tracked) {
  Tensor t = Tensor::transient(from.device(), shape);
  return tracked ? t.track() : t;
}

}  // namespace

Tensor dense(const Activation& activation, const Tensor& x, const Tensor& weight,
             const Tensor& bias) {
  Program& program = program_of(x, "dense", "x");
  require(weight && weight.columns() == x.columns(), "dense: weight is ",
          weight ? weight.shape() : Shape{0, 0}, ", expected ", x.columns(), " columns as x ",
          x.shape());
  const Shape expected{1, weight.rows()};
  require(bias && bias.shape() == expected, "dense: bias is ", bias ? bias.shape() : Shape{0, 0},
          ", expected ", expected);
  const Shape shape{x.rows(), weight.rows()};
  const bool tracked = x.tracked() || weight.tracked() || bias.tracked();
  const Tensor sums = made(x, shape, false), y = made(x, shape, tracked);
  const Tensor pre = needs_input(activation) ? made(x, shape, false) : Tensor();
  program.add(Product{.a = program.use(x),
                      .b = program.use(weight),
                      .b_transposed = true,
                      .epilogue = Store{.out = sums.matrix()}});
  program.add(Apply{BiasActivate{.in = sums.matrix(),
                                 .bias = program.use(bias),
                                 .pre = pre ? pre.matrix() : Matrix{},
                                 .out = y.matrix(),
                                 .activation = activation}});
  if (tracked) program.tape.push_back(DenseCall{x, weight, bias, pre, y, activation});
  return y;
}

Sampled sample_posterior(const Tensor& q, const Noise& noise) {
  Program& program = program_of(q, "sample_posterior", "q");
  require(q.columns() % 2 == 0, "sample_posterior: q is ", q.shape(),
          ", expected an even number of columns (mean and log-variance of each unit)");
  if (noise.samples > 1) {
    const Tensor kl = posterior_kl(q);
    return {sample_many(q, noise).z, kl};
  }
  const int units = q.columns() / 2;
  const Matrix& given = noise.given;
  require(!given.tensor || (given.rows == q.rows() && given.columns == units),
          "sample_posterior: the given noise is ", Shape{given.rows, given.columns}, ", expected ",
          Shape{q.rows(), units});
  const Tensor z = made(q, {q.rows(), units}, q.tracked());
  const Tensor kl = made(q, {q.rows(), 1}, q.tracked());
  program.add(Apply{
      SampleLatent{.in = program.use(q), .z = z.matrix(), .terms = kl.matrix(), .noise = noise}});
  if (q.tracked()) program.tape.push_back(LatentCall{q, z, kl, noise});
  return {z, kl};
}

Tensor hold_spread(const Tensor& q, double deviation) {
  Program& program = program_of(q, "hold_spread", "q");
  require(q.columns() % 2 == 0, "hold_spread: q is ", q.shape(),
          ", expected an even number of columns (mean and log-variance of each unit)");
  require(deviation > 0 && std::isfinite(deviation), "hold_spread: the deviation is ", deviation,
          ", expected a number > 0");
  const Tensor out = made(q, q.shape(), q.tracked());
  program.add(HoldSpread{program.use(q), out.matrix(), Real(2 * std::log(deviation))});
  if (q.tracked()) program.tape.push_back(HoldSpreadCall{q, out});
  return out;
}

Tensor posterior_kl(const Tensor& q) {
  Program& program = program_of(q, "posterior_kl", "q");
  require(q.columns() % 2 == 0, "posterior_kl: q is ", q.shape(),
          ", expected an even number of columns (mean and log-variance of each unit)");
  const Tensor kl = made(q, {q.rows(), 1}, q.tracked());
  program.add(Apply{SampleLatent{.in = program.use(q), .terms = kl.matrix()}});
  if (q.tracked()) program.tape.push_back(LatentCall{q, {}, kl, {}});
  return kl;
}

Tensor free_bits(const Tensor& kl, Real nats) {
  Program& program = program_of(kl, "free_bits", "kl");
  require(nats > 0 && std::isfinite(nats), "free_bits: ", nats, " nats, expected a number > 0");
  for (Call& entry : program.tape)
    if (auto* const call = std::get_if<LatentCall>(&entry);
        call && call->kl.storage() == kl.storage()) {
      require(!call->floored, "free_bits: this KL has free bits already");
      call->floor = nats;
      call->unit_kl = made(kl, {call->q.columns() / 2, 1}, false);
      call->floored = made(kl, kl.shape(), true);
      program.add(UnitKl{program.use(call->q), call->unit_kl.matrix()});
      program.add(
          FreeBits{program.use(call->q), call->unit_kl.matrix(), call->floored.matrix(), nats});
      return call->floored;
    }
  fail("free_bits: kl is not a posterior's KL, with a gradient, of the program that is recorded");
}

Tensor log_prob(const Likelihood& law, const Tensor& x, const Tensor& theta, const Tensor& side) {
  Program& program = program_of(x, "log_prob", "x");
  const int given = parameters_of(law) - (side ? 1 : 0);
  require(!side || parameters_of(law) > 1, "log_prob: this likelihood has no parameter to share");
  require(theta && theta.rows() % x.rows() == 0 && theta.columns() == given * x.columns(),
          "log_prob: theta is ", theta ? theta.shape() : Shape{0, 0}, ", expected ",
          Shape{x.rows(), given * x.columns()});
  require(!side || (side.rows() == 1 && (side.columns() == 1 || side.columns() == x.columns())),
          "log_prob: side is ", side ? side.shape() : Shape{0, 0}, ", expected ",
          Shape{1, x.columns()}, " or [1,1]");
  const int repeat = theta.rows() / x.rows();
  const bool tracked = theta.tracked() || side.tracked();
  const Tensor terms = made(x, {theta.rows(), 1}, tracked);
  program.add(Apply{Observe{.in = program.use(theta),
                            .side = side ? program.use(side) : Matrix{},
                            .x = program.use(x),
                            .terms = terms.matrix(),
                            .law = law,
                            .repeat = repeat}});
  if (tracked) program.tape.push_back(LogProbCall{x, theta, side, terms, law, repeat});
  return terms;
}

Tensor add(const Tensor& a, const Tensor& b, Real alpha, Real beta) {
  Program& program = program_of(a, "add", "a");
  require(b && b.shape() == a.shape(), "add: b is ", b ? b.shape() : Shape{0, 0}, ", expected ",
          a.shape());
  const Tensor out = made(a, a.shape(), a.tracked() || b.tracked());
  program.add(Add{program.use(a), program.use(b), out.matrix(), alpha, beta});
  if (out.tracked()) program.tape.push_back(AddCall{a, b, out, alpha, beta});
  return out;
}

Tensor affine(const Tensor& a, Real alpha, Real gamma) {
  Program& program = program_of(a, "affine", "a");
  const Tensor out = made(a, a.shape(), a.tracked());
  program.add(Add{program.use(a), {}, out.matrix(), alpha, 0, gamma});
  if (out.tracked()) program.tape.push_back(AddCall{a, {}, out, alpha, 0});
  return out;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  Program& program = program_of(a, "multiply", "a");
  require(b && b.shape() == a.shape(), "multiply: b is ", b ? b.shape() : Shape{0, 0},
          ", expected ", a.shape());
  const Tensor out = made(a, a.shape(), a.tracked() || b.tracked());
  program.add(Multiply{program.use(a), program.use(b), out.matrix()});
  if (out.tracked()) program.tape.push_back(MultiplyCall{a, b, out});
  return out;
}

Tensor pointwise(const Function& f, const Tensor& x) {
  Program& program = program_of(x, "pointwise", "x");
  const Tensor out = made(x, x.shape(), x.tracked());
  program.add(Pointwise{program.use(x), {}, {}, out.matrix(), f});
  if (out.tracked()) program.tape.push_back(PointwiseCall{x, out, f});
  return out;
}

Tensor row_sums(const Tensor& x) {
  Program& program = program_of(x, "row_sums", "x");
  const Tensor out = made(x, {x.rows(), 1}, x.tracked());
  program.add(RowSum{program.use(x), out.matrix()});
  if (out.tracked()) program.tape.push_back(RowSumCall{x, out});
  return out;
}

DropoutMask dropout_mask(double probability, const Noise& noise, int layer) {
  constexpr int samples = 1 << 16;
  require(probability >= 0 && probability < 1, "dropout: the probability is ", probability,
          ", expected at least 0 and less than 1");
  require(layer >= 0 && layer < 256, "dropout: layer ", layer, ", expected 0 to 255");
  require(
      noise.samples > 0 && noise.first_sample >= 0 && noise.first_sample + noise.samples <= samples,
      "dropout: samples ", noise.first_sample, " to ", noise.first_sample + noise.samples,
      ", expected at most ", samples);
  DropoutMask mask{.dropped = std::uint32_t(std::llround(std::ldexp(probability, 32))),
                   .scale = Real(1 / (1 - probability)),
                   .noise = noise};
  mask.noise.stream = std::uint32_t(Stream::dropout);
  mask.noise.first_sample += layer * samples;
  mask.noise.given = {};
  return mask;
}

Tensor dropout(const Tensor& x, const DropoutMask& mask) {
  Program& program = program_of(x, "dropout", "x");
  if (!mask.present()) return x;
  const Tensor y = made(x, x.shape(), x.tracked());
  program.add(Drop{program.use(x), y.matrix(), mask});
  if (y.tracked()) program.tape.push_back(DropCall{x, y, mask});
  return y;
}

namespace {

void require_row(const Tensor& t, const Tensor& x, const char* function, const char* name) {
  const Shape expected{1, x.columns()};
  require(t && t.shape() == expected, function, ": ", name, " is ", t ? t.shape() : Shape{0, 0},
          ", expected ", expected, " as x is ", x.shape());
}

/// Makes a normalisation's call, whose statistics have that shape; `add` appends its operation.
template <class F>
Tensor normalised(NormCall call, Shape statistics, const NormOptions& options, F&& add) {
  Program& program = Program::current(call.x.device());
  const bool tracked = call.x.tracked() || call.gamma.tracked() || call.beta.tracked();
  call.mean = made(call.x, statistics, false), call.inverse = made(call.x, statistics, false);
  call.y = made(call.x, call.x.shape(), tracked);
  call.activation = options.activation, call.mask = options.mask;
  add(program,
      Norm{program.use(call.x), program.use(call.gamma), program.use(call.beta), call.mean.matrix(),
           call.inverse.matrix(), options.epsilon, options.activation, options.mask},
      call.y.matrix());
  if (tracked) program.tape.push_back(call);
  return call.y;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_variance, bool training,
                  Real momentum, const NormOptions& options, const StepState* state) {
  program_of(x, "batch_norm", "x");
  require_row(gamma, x, "batch_norm", "gamma"), require_row(beta, x, "batch_norm", "beta");
  require_row(running_mean, x, "batch_norm", "running_mean");
  require_row(running_variance, x, "batch_norm", "running_variance");
  require(!training || x.rows() > 1, "batch_norm: x is ", x.shape(),
          ", expected at least 2 rows in training: one has no variance");
  return normalised(
      {.of = training ? NormCall::Of::batch : NormCall::Of::estimates,
       .x = x,
       .gamma = gamma,
       .beta = beta},
      {1, x.columns()}, options, [&](Program& program, const Norm& norm, const Matrix& y) {
        program.add(NormaliseColumns{norm, program.use(running_mean), program.use(running_variance),
                                     y, momentum, training, state});
      });
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const NormOptions& options) {
  program_of(x, "layer_norm", "x");
  require_row(gamma, x, "layer_norm", "gamma"), require_row(beta, x, "layer_norm", "beta");
  return normalised({.of = NormCall::Of::row, .x = x, .gamma = gamma, .beta = beta}, {x.rows(), 1},
                    options, [](Program& program, const Norm& norm, const Matrix& y) {
                      program.add(NormaliseRows{norm, y});
                    });
}

Tensor log_totals(const Tensor& x) {
  Program& program = program_of(x, "log_totals", "x");
  require(!x.tracked(), "log_totals: x is tracked, but this function has no gradient");
  const Tensor out = made(x, {x.rows(), 1}, false);
  program.add(LogTotals{program.use(x), out.matrix()});
  return out;
}

namespace {

Tensor rates(const Tensor& theta, int parameters, const Tensor& log_size, bool softmax,
             const char* function) {
  Program& program = program_of(theta, function, "theta");
  require(parameters > 0 && theta.columns() % parameters == 0, function, ": theta is ",
          theta.shape(), ", expected whole scalars of ", parameters, " columns");
  require(log_size && log_size.columns() == 1 && theta.rows() % log_size.rows() == 0, function,
          ": the logarithm of the size is ", log_size ? log_size.shape() : Shape{0, 0},
          ", expected ", Shape{theta.rows(), 1}, ", or one row for each so many of theta");
  require(!log_size.tracked(), function, ": the size is tracked, but it has no gradient");
  const Tensor out = made(theta, theta.shape(), theta.tracked());
  const Tensor log_sum = softmax ? made(theta, {theta.rows(), 1}, false) : Tensor();
  program.add(Rates{program.use(theta), program.use(log_size),
                    softmax ? log_sum.matrix() : Matrix{}, out.matrix(), parameters, softmax,
                    theta.rows() / log_size.rows()});
  if (theta.tracked()) program.tape.push_back(RatesCall{theta, log_sum, out, parameters, softmax});
  return out;
}

}  // namespace

Tensor library_rates(const Tensor& theta, int parameters, const Tensor& log_library) {
  return rates(theta, parameters, log_library, true, "library_rates");
}

Tensor size_factor_rates(const Tensor& theta, int parameters, const Tensor& log_size) {
  return rates(theta, parameters, log_size, false, "size_factor_rates");
}

Tensor transform(const Tensor& x, const InputTransform& kind) {
  Program& program = program_of(x, "transform", "x");
  require(!x.tracked(), "transform: x is tracked, but data have no gradient");
  require(width_of(kind) > 0, "transform: ", width_of(kind), " classes, expected at least 1");
  const Tensor out = made(x, {x.rows(), x.columns() * width_of(kind)}, false);
  program.add(Transform{program.use(x), out.matrix(), kind});
  return out;
}

Tensor corrupt(const Tensor& x, const Corruption& how, const Noise& noise) {
  Program& program = program_of(x, "corrupt", "x");
  require(!x.tracked(), "corrupt: x is tracked, but data have no gradient");
  const bool share = how.kind != Corruption::Kind::gaussian;
  require(how.amount >= 0 && (!share || how.amount <= 1), "corrupt: ", how.amount,
          share ? ", expected a probability" : ", expected a deviation of at least 0");
  Noise own = noise;
  own.stream = std::uint32_t(Stream::corruption), own.samples = 1, own.given = {};
  const Tensor out = made(x, x.shape(), false);
  program.add(Corrupt{program.use(x), out.matrix(), how, own});
  return out;
}

Tensor join(const Tensor& a, const Tensor& b) {
  Program& program = program_of(a, "join", "a");
  require(b && b.rows() > 0 && a.rows() % b.rows() == 0, "join: b is ", b ? b.shape() : Shape{0, 0},
          ", expected rows that divide those of a, ", a.shape());
  require(!b.tracked() || a.rows() == b.rows(), "join: b is tracked, and serves ",
          a.rows() / b.rows(), " rows of a each; what does so is given, it has no gradient");
  const Tensor out = made(a, {a.rows(), a.columns() + b.columns()}, a.tracked() || b.tracked());
  program.add(Join{program.use(a), program.use(b), out.matrix(), a.rows() / b.rows()});
  if (out.tracked()) program.tape.push_back(JoinCall{a, b, out});
  return out;
}

Tensor columns(const Tensor& x, int first, int count) {
  Program& program = program_of(x, "columns", "x");
  require(first >= 0 && count > 0 && first + count <= x.columns(), "columns: ", first, " to ",
          first + count - 1, " of ", x.shape());
  require(!x.tracked(), "columns: x is tracked, but this function has no gradient");
  const Tensor out = made(x, {x.rows(), count}, false);
  program.add(Columns{program.use(x), out.matrix(), first});
  return out;
}

Tensor count_present(const Tensor& x) {
  Program& program = program_of(x, "count_present", "x");
  require(!x.tracked(), "count_present: x is tracked, but this function has no gradient");
  const Tensor out = made(x, {x.rows(), 1}, false);
  program.add(CountPresent{program.use(x), out.matrix()});
  return out;
}

Tensor product_of_experts(const Tensor& a, const Tensor& b, const Tensor& there_a,
                          const Tensor& there_b) {
  Program& program = program_of(a, "product_of_experts", "a");
  require(b && b.shape() == a.shape() && a.columns() % 2 == 0, "product_of_experts: b is ",
          b ? b.shape() : Shape{0, 0}, ", expected ", a.shape(), ", two columns a unit");
  for (const Tensor& there : {there_a, there_b}) {
    const Shape expected{a.rows(), 1};
    require(there && there.shape() == expected && !there.tracked(),
            "product_of_experts: a count is ", there ? there.shape() : Shape{0, 0}, ", expected ",
            expected, ", not tracked");
  }
  const Tensor out = made(a, a.shape(), a.tracked() || b.tracked());
  program.add(Experts{program.use(a), program.use(b), program.use(there_a), program.use(there_b),
                      out.matrix()});
  if (out.tracked()) program.tape.push_back(ExpertsCall{a, b, there_a, there_b, out});
  return out;
}

Tensor objective(const std::vector<Term>& terms, double* totals, StepState* state,
                 Outcome* outcomes) {
  require(!terms.empty() && terms.size() <= std::size_t(Objective::most),
          "objective: ", terms.size(), " terms, expected 1 to ", Objective::most);
  require(state || !outcomes,
          "objective: outcomes need a state, which says of which step they are");
  Program& program = program_of(terms[0].rows, "objective", "the first term");
  Objective operation;
  ObjectiveCall call;
  for (const Term& term : terms) {
    const Shape expected{terms[0].rows.rows(), 1};
    require(term.rows && term.rows.columns() == 1 && expected.rows % term.rows.rows() == 0,
            "objective: a term is ", term.rows ? term.rows.shape() : Shape{0, 0}, ", expected ",
            expected, ", or a part of those rows");
    operation.terms[operation.count] = program.use(term.rows);
    operation.weights[operation.count++] = term.weight;
    call.terms.push_back(term.rows), call.weights.push_back(term.weight);
  }
  call.loss = made(terms[0].rows, {1, 1}, true);
  operation.loss = call.loss.matrix();
  operation.totals = totals, operation.state = state, operation.outcomes = outcomes;
  program.add(operation);
  const Tensor loss = call.loss;
  program.tape.push_back(std::move(call));
  return loss;
}

Draws sample_many(const Tensor& q, const Noise& noise, Gradient gradient) {
  Program& program = program_of(q, "sample_many", "q");
  require(q.columns() % 2 == 0 && noise.samples > 0, "sample_many: q is ", q.shape(), ", ",
          noise.samples, " samples; expected an even number of columns and at least one sample");
  constexpr long most_samples = 1 << 24;  // of a datum: kernels/state.h
  require(long(noise.first_sample) + noise.samples <= most_samples &&
              long(q.rows()) * noise.samples <= std::numeric_limits<int>::max(),
          "sample_many: ", noise.samples, " samples of ", q.rows(), " data, expected at most ",
          most_samples, " samples, and rows that an int counts");
  const Shape shape{q.rows() * noise.samples, q.columns() / 2};
  const Matrix& given = noise.given;
  require(!given.tensor || (given.rows == shape.rows && given.columns == shape.columns),
          "sample_many: the given noise is ", Shape{given.rows, given.columns}, ", expected ",
          shape);
  const Tensor z = made(q, shape, q.tracked()), log_ratio = made(q, {shape.rows, 1}, q.tracked());
  program.add(SampleMany{program.use(q), z.matrix(), log_ratio.matrix(), noise});
  if (q.tracked())
    program.tape.push_back(SampleManyCall{q, z, log_ratio, noise, gradient == Gradient::dreg});
  return {z, log_ratio};
}

Aggregate aggregate_posterior(const Tensor& z, const Tensor& q) {
  Program& program = program_of(z, "aggregate_posterior", "z");
  require(q && q.columns() == 2 * z.columns(), "aggregate_posterior: q is ",
          q ? q.shape() : Shape{0, 0}, ", expected ", 2 * z.columns(), " columns as z is ",
          z.shape());
  const Tensor log_q = made(z, {z.rows(), 1}, false), log_marginals = made(z, z.shape(), false);
  program.add(
      AggregatePosterior{program.use(z), program.use(q), log_q.matrix(), log_marginals.matrix()});
  return {log_q, log_marginals};
}

Tensor importance_bound(const Tensor& log_p, const Tensor& log_ratio, int samples) {
  Program& program = program_of(log_p, "importance_bound", "log_p");
  require(samples > 0 && log_p.columns() == 1 && log_p.rows() % samples == 0,
          "importance_bound: log_p is ", log_p.shape(), ", expected a column of a multiple of ",
          samples, " rows");
  require(log_ratio && log_ratio.shape() == log_p.shape(), "importance_bound: log_ratio is ",
          log_ratio ? log_ratio.shape() : Shape{0, 0}, ", expected ", log_p.shape());
  const bool tracked = log_p.tracked() || log_ratio.tracked();
  const Tensor bound = made(log_p, {log_p.rows() / samples, 1}, tracked);
  program.add(ImportanceBound{.log_p = program.use(log_p),
                              .log_ratio = program.use(log_ratio),
                              .bound = bound.matrix(),
                              .upstream = {},
                              .weights = {},
                              .scale = {},
                              .samples = samples});
  if (tracked) program.tape.push_back(ImportanceCall{log_p, log_ratio, bound, samples});
  return bound;
}

}  // namespace elbo
