// What a trainer does when something has gone wrong: it looks at one step, or at one datum of it.
#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "models/trainer.h"

namespace elbo {

namespace {

/// Whether a row of what the operation leaves can be that of a datum.
bool by_rows(const Operation& operation) {
  return !std::holds_alternative<WeightGradients>(operation) &&
         !std::holds_alternative<UpdateAll>(operation) &&
         !std::holds_alternative<ColumnSum>(operation) &&
         !std::holds_alternative<SumSlopes>(operation) &&
         !std::holds_alternative<UnitKl>(operation) &&
         !std::holds_alternative<ClipScale>(operation);
}

double norm_of(const Tensor& gradient) {
  double squares = 0;
  if (gradient)
    for (Real x : gradient.read()) squares += double(x) * double(x);
  return std::sqrt(squares);
}

/// The terms [B,1] or [B·S,1] of one row of the batch, as if the mean over it were that row alone.
Tensor only(const Tensor& terms, int row, int rows) {
  const int each = terms.rows() / rows;
  std::vector<Real> mask(std::size_t(terms.rows()), Real(0));
  std::fill_n(mask.begin() + row * each, each, Real(rows));
  return multiply(terms, Tensor(terms.device(), terms.shape(), mask));
}

}  // namespace

std::string NonFinite::sentence() const {
  std::ostringstream text;
  text << "step " << step << " (epoch " << epoch << "): `" << operation << "`";
  if (!layer.empty()) text << " of " << layer;
  text << " left " << value << " in row " << row << ", column " << column;
  if (datum) text << ", of datum " << *datum;
  return text.str();
}

std::optional<NonFinite> Trainer::watched_step() {
  require(!options_.group, "replay: of several processes each has a part of the step");
  if (position_ == batches_.rows()) end_epoch();
  begin_epoch();
  const int rows = next_rows();
  batches_.provide(position_, rows);
  const Program& program = (rows == options_.batch ? full_ : last_)->program();
  const auto found = program.run_watched();
  std::optional<NonFinite> result;
  if (found) {
    Operation operation = program.operations[std::size_t(found->operation)];
    result = NonFinite{.step = step_ + 1,
                       .epoch = epoch_ + 1,
                       .operation = program.describe(found->operation),
                       .layer = {},
                       .row = found->row,
                       .column = found->column,
                       .value = found->value,
                       .datum = {},
                       .batch = next_data()};
    std::map<int, std::string> names;
    for (std::size_t i = 0; i < optimizer_.parameters().size(); ++i) {
      const Parameter& p = optimizer_.parameters()[i];
      names[p.tensor.matrix().tensor] = p.name;
      if (!p.trained) continue;
      names[optimizer_.first_moment(i).matrix().tensor] = p.name;
      names[optimizer_.second_moment(i).matrix().tensor] = p.name;
    }
    // Of an operation of many layers only the one that it was left in.
    const auto own = names.find(found->matrix.tensor);
    if (own != names.end()) result->layer = own->second;
    std::string read;
    const auto collect = [&](const Matrix& m, Access) {
      const auto name = names.find(m.tensor);
      if (name != names.end() && read.find(name->second) == std::string::npos)
        read += (read.empty() ? "" : ", ") + name->second;
    };
    std::visit([&](auto& o) { o.views(collect); }, operation);
    if (result->layer.empty()) result->layer = read;
    if (by_rows(operation) && found->matrix.rows % rows == 0)
      result->datum = result->batch[std::size_t(found->row / (found->matrix.rows / rows))];
  }
  position_ += std::uint32_t(rows), ++step_;
  return result;
}

Replayed Trainer::replay(long datum, const Encoder& encode) {
  require(options_.free_bits == 0,
          "replay: free bits tie the data of a batch together; no gradient is that of one");
  require(!options_.group, "replay: of several processes each has a part of the step");
  if (position_ == batches_.rows()) end_epoch();
  begin_epoch();
  const int rows = next_rows(), samples = options_.samples;
  const std::vector<std::uint32_t> data = next_data();
  const auto at_row = std::ranges::find(data, std::uint32_t(datum));
  std::ostringstream first;
  for (std::size_t i = 0; i < std::min<std::size_t>(data.size(), 5); ++i)
    first << (i ? ", " : "") << data[i];
  require(at_row != data.end(), "replay: datum ", datum, " is not in step ", step_ + 1, ", whose ",
          data.size(), " data are ", first.str(), data.size() > 5 ? ", ..." : "");
  const int row = int(at_row - data.begin());
  batches_.provide(position_, rows);

  Tensor x, q, z;
  Terms terms;
  const auto body = [&] {
    x = batches_.next(rows);
    const Pass with = pass({0, rows, false});
    if (encode) q = encode(x, with.of_data()), z = sample_posterior(q, with.noise).z;
    terms = model_(x, with);
    Scale beta{.schedule = options_.beta, .state = batches_.progress().state()};
    if (options_.budget) beta.found = weight_.data();
    const Scale gain{.factor = -1};
    std::vector<Term> weighted;
    if (terms.bound) weighted = {{only(terms.bound, row, rows), gain}};
    else weighted = {{only(terms.log_likelihood, row, rows), gain}};
    if (terms.kl && !terms.bound) weighted.push_back({only(terms.kl, row, rows), beta});
    backward(objective(weighted));
  };
  for (const Parameter& p : optimizer_.parameters()) p.tensor.drop_gradient();
  Step step(batches_.device(), body, Program::Plan::composed);
  step();

  const auto rows_of = [&](const Tensor& t, int each) {
    const std::vector<Real> all = t.read();
    const std::size_t width = std::size_t(each) * t.columns();
    return std::vector<Real>(all.begin() + row * width, all.begin() + (row + 1) * width);
  };
  Replayed r{.step = step_ + 1, .epoch = epoch_ + 1, .datum = datum, .row = row};
  r.x = rows_of(x, 1);
  if (encode) {
    const std::vector<Real> posterior = rows_of(q, 1), drawn = rows_of(z, samples);
    const std::size_t units = posterior.size() / 2;
    for (int s = 0; s < samples; ++s) {
      const Noise::Row noise{.datum = std::uint32_t(datum),
                             .sample = std::uint32_t(Stream::latent) << 24 | std::uint32_t(s),
                             .epoch = epoch_,
                             .seed = options_.seed};
      for (std::size_t u = 0; u < units; ++u) {
        r.mean.push_back(double(posterior[2 * u]));
        r.deviation.push_back(std::exp(double(posterior[2 * u + 1]) / 2));
        r.noise.push_back(double(noise.normal(int(u))));
        r.z.push_back(double(drawn[std::size_t(s) * units + u]));
      }
    }
  }
  for (Real nats : rows_of(terms.log_likelihood, terms.log_likelihood.rows() / rows))
    r.log_likelihood += double(nats) / (terms.log_likelihood.rows() / rows);
  if (terms.kl) r.kl = double(rows_of(terms.kl, 1)[0]);
  const double beta = options_.budget ? double(multiplier().value) : at(options_.beta, step_);
  r.loss = terms.bound ? -double(rows_of(terms.bound, 1)[0]) : beta * r.kl - r.log_likelihood;
  for (const Parameter& p : optimizer_.parameters()) {
    if (p.trained) r.gradients.emplace_back(p.name, norm_of(p.tensor.gradient()));
    p.tensor.drop_gradient();
  }
  return r;
}

}  // namespace elbo
