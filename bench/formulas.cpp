#include "bench/formulas.h"

namespace elbo {

namespace {

const Formula number("w", sizeof(Real));  // the bytes of a number

/// What follows a product, but for the m n of the product itself: bytes / w.  S: draws a datum.
struct Followed {
  std::string name;
  Formula numbers;
};

Formula rows(const Matrix& m, const char* name) { return {name, double(m.rows)}; }
Formula columns(const Matrix& m, const char* name) { return {name, double(m.columns)}; }

Followed followed(const Store& e) {
  const Formula m = rows(e.out, "m"), n = columns(e.out, "n");
  return {"Store", m * n + where(e.accumulate, m * n)};
}
Followed followed(const BiasActivate& e) {
  const Formula m = rows(e.out, "m"), n = columns(e.out, "n");
  return {"BiasActivate", where(e.bias.present(), n) + m * n + where(e.pre.present(), m * n)};
}
Followed followed(const ActivationGradient& e) {
  const Formula m = rows(e.out, "m"), n = columns(e.out, "n");
  return {"ActivationGradient", 2 * (m * n) + where(e.pre.present(), m * n) +
                                    where(e.plus.present(), m * n) +
                                    where(e.stored.present(), m * n)};
}
Followed followed(const SampleLatent& e) {
  const double q = std::max(e.in.columns, e.bias.columns);
  const Formula m = rows(e.z.present() ? e.z : e.terms, "m"), n("n", q), units("n/2", q / 2);
  return {"SampleLatent", where(e.bias.present(), n) + where(e.stored.present(), m * n) +
                              where(e.noise.given.present(), m * units) +
                              where(e.z.present(), m * units) +
                              where(e.terms.present(), m * columns(e.terms, "tiles"))};
}
Followed followed(const LatentGradient& e) {
  const Formula m = rows(e.out, "m"), n("n", double(e.out.columns) / 2);
  return {"LatentGradient", 4 * (m * n) + where(e.upstream.present(), m) +
                                where(e.means.present(), n) +
                                where(e.noise.given.present(), m * n)};
}
Followed followed(const Observe& e) {
  const bool wide = e.in.present() && !is_narrow(e.law);
  const double parameters =
      wide ? double(e.in.columns) / e.x.columns
           : parameters_of(e.law) - double(e.side.present() && parameters_of(e.law) > 1);
  const Formula m("m", double(e.x.rows) * e.repeat);
  const Formula C = columns(e.x, "C"), n("n", parameters * e.x.columns);
  const Formula data("m/S", e.x.rows);
  return {"Observe", data * C + where(e.bias.present(), n) +
                         where(e.side.present(), columns(e.side, "side")) +
                         where(e.upstream.present(), m) + where(e.stored.present(), m * n) +
                         where(e.terms.present(), m * columns(e.terms, "tiles")) +
                         where(e.score.present(), m * n) + where(e.side_score.present(), m * C)};
}

/// The order's number of each row, and the row in the data set's type: of lists their two ends.
Formula gathered(const Gather& op) {
  return rows(op.out, "m") *
         (4 + Formula("row", op.source.sparse() ? 16.0 : double(op.source.stride)));
}

Formulas of(const Gather& op) {
  const Formula m = rows(op.out, "m"), k = columns(op.out, "k");
  return {"Gather", 0,
          number * (m * k + where(op.seen.present(), m * columns(op.seen, "k'"))) + gathered(op)};
}
Formulas of(const Product& op) {
  const Formula m("m", op.rows()), n("n", op.columns()), k("k", op.depth());
  const Followed next = std::visit([](const auto& e) { return followed(e); }, op.epilogue);
  const Formula from_data = op.gathers() ? gathered(op.gather) : Formula("m (4 + row)", 0);
  return {"product, " + next.name, 2 * (m * n * k),
          number * (m * k + n * k + next.numbers) + where(op.gathers(), from_data)};
}
Formulas of(const Apply& op) {
  const Matrix in = std::visit([](const auto& e) { return e.in; }, op.epilogue);
  const Followed next = std::visit([](const auto& e) { return followed(e); }, op.epilogue);
  return {"stored, " + next.name, 0, number * (rows(in, "m") * columns(in, "n") + next.numbers)};
}
/// Σ over several, with the text of the first.
template <class Many, class F>
Formula sum(const Many& many, const F& each) {
  Formula all("", 0);
  for (const auto& one : many) {
    const Formula f = each(one);
    if (all.text.empty()) all.text = "Σ (" + f.text + ")";
    all.value += f.value;
  }
  return all;
}
Formulas of(const Chain& op) {
  return {"chain", sum(op.links, [](const Product& link) { return of(link).flops; }),
          Formula("Σ of its products",
                  sum(op.links, [](const Product& link) { return of(link).bytes; }).value)};
}
/// Numbers that a parameter's gradient goes to, each read and written: itself and two moments.
double into(const Sink& sink) {
  double each = sink.gradient.present() * (1.0 + sink.accumulate);
  if (sink.updates) each += 2.0 * (1 + sink.update.m.present() + sink.update.v.present());
  return each;
}
Formulas of(const WeightGradients& op) {
  const auto parameters = [](const WeightGradient& layer, bool weight) {
    return weight ? double(layer.dy.columns) * layer.x.columns : double(layer.dy.columns);
  };
  const Formula bytes =
      number * sum(op.layers, [&](const WeightGradient& layer) {
        const Formula B = rows(layer.dy, "B"), O = columns(layer.dy, "O"),
                      I = columns(layer.x, "I");
        const bool bias = into(layer.bias) > 0;
        return B * O + B * I +
               Formula("u", into(layer.weight)) * Formula("O I", parameters(layer, true)) +
               Formula("u", into(layer.bias)) * Formula("O", bias ? parameters(layer, false) : 0);
      });
  double terms = 0;
  for (int i = 0; i < op.tail.objective.count; ++i)
    terms += double(op.tail.objective.terms[std::size_t(i)].rows) *
             op.tail.objective.terms[std::size_t(i)].columns;
  const bool tail = op.tail.objective.count > 0;
  return {"weight gradients",
          sum(op.layers,
              [](const WeightGradient& layer) {
                return 2 * (rows(layer.dy, "B") * columns(layer.dy, "O") * columns(layer.x, "I"));
              }),
          bytes + where(tail, number * (Formula("terms", terms) +
                                        Formula("1", double(op.tail.objective.loss.present()))))};
}
/// Matrices that are all read, or written, once.
Formula entries(std::initializer_list<std::pair<const char*, const Matrix*>> all) {
  Formula numbers("", 0, true);
  for (const auto& [name, m] : all) {
    numbers.text += (numbers.text.empty() ? "" : " + ") + std::string(name);
    if (m->present()) numbers.value += double(m->rows) * m->columns;
  }
  return numbers;
}
Formulas of(const ColumnSum& op) {
  const Formula n = columns(op.out, "n");
  return {"ColumnSum", 0,
          number * (rows(op.in, "B") * columns(op.in, "C") + n + where(op.accumulate, n))};
}
Formulas of(const RowSum& op) {
  return {"RowSum", 0, number * entries({{"B n", &op.in}, {"B", &op.out}})};
}
Formulas of(const Fill& op) { return {"Fill", 0, number * entries({{"B C", &op.out}})}; }
Formulas of(const Add& op) {
  return {"Add", 0, number * entries({{"B C", &op.a}, {"[B C]", &op.b}, {"B C", &op.out}})};
}
Formulas of(const Multiply& op) {
  return {"Multiply", 0, number * entries({{"a", &op.a}, {"[b]", &op.b}, {"B C", &op.out}})};
}
Formulas of(const Pointwise& op) {
  return {
      "Pointwise", 0,
      number *
          entries({{"B C", &op.x}, {"[B C]", &op.y}, {"[B C]", &op.upstream}, {"B C", &op.out}})};
}
Formulas of(const Drop& op) {
  return {"Drop", 0, number * entries({{"B C", &op.in}, {"B C", &op.out}})};
}
/// A product that a norm works out by itself: flops, and numbers besides its own.
std::pair<Formula, Formula> narrow(const NarrowProduct& p) {
  const Formula B("B", p.present() ? p.a.rows : 0), C("C", p.present() ? p.out.columns : 0);
  const Formula k("k", p.a.columns);
  return {where(p.present(), 2 * (B * C * k)),
          where(p.present(), B * k + C * k + where(p.bias.present(), C))};
}
Formulas of(const ColumnMoments& op) {
  const Formula B = rows(op.x, "B"), C = columns(op.x, "C");
  return {"ColumnMoments", 0, number * (B * C + rows(op.parts, "parts") * C)};
}
Formulas of(const CentreSlopes& op) {
  return {"CentreSlopes", 0,
          number * (entries({{"B C", &op.x},
                             {"C", &op.gamma},
                             {"C", &op.mean},
                             {"C", &op.inverse},
                             {"parts C", &op.parts},
                             {"2 C", &op.sums}}) +
                    2 * entries({{"B C", &op.dx}}))};
}
Formulas of(const NormaliseColumns& op) {
  const Formula B = rows(op.y, "B"), C = columns(op.y, "C");
  const auto [flops, factors] = narrow(op.product);
  return {"NormaliseColumns", flops,
          number * (2 * (B * C) + Formula(op.training ? 8 : 6) * C + factors +
                    where(op.parts.present(), rows(op.parts, "parts") * C))};
}
Formulas of(const NormaliseColumnsGradient& op) {
  const Formula B = rows(op.dx, "B"), C = columns(op.dx, "C");
  const auto [flops, factors] = narrow(op.product);
  return {"NormaliseColumnsGradient", flops,
          number * (3 * (B * C) + 4 * C + where(op.dgamma.present(), C) +
                    where(op.dbeta.present(), C) + where(op.sums.present(), 2 * C) + factors)};
}
Formulas of(const NormaliseRows& op) {
  const Formula B = rows(op.y, "B"), C = columns(op.y, "C");
  return {"NormaliseRows", 0, number * (2 * (B * C) + 2 * C + 2 * B)};
}
Formulas of(const NormaliseRowsGradient& op) {
  const Formula B = rows(op.dx, "B"), C = columns(op.dx, "C");
  return {"NormaliseRowsGradient", 0,
          number * (3 * (B * C) + 2 * C + 2 * B + where(op.slope.present(), B * C))};
}
Formulas of(const SumSlopes& op) {
  const Formula B = rows(op.slope, "B"), C = columns(op.slope, "C");
  return {"SumSlopes", 0,
          number *
              (2 * (B * C) + 2 * B + where(op.dgamma.present(), C) + where(op.dbeta.present(), C))};
}
Formulas of(const LogTotals& op) {
  return {"LogTotals", 0, number * entries({{"B C", &op.in}, {"B", &op.out}})};
}
Formulas of(const Corrupt& op) {
  return {"Corrupt", 0, number * entries({{"B C", &op.in}, {"B C", &op.out}})};
}
Formulas of(const Join& op) {
  return {"Join", 0, number * entries({{"a", &op.a}, {"b", &op.b}, {"B C", &op.out}})};
}
Formulas of(const Columns& op) {
  return {"Columns", 0, number * entries({{"B C", &op.in}, {"B n", &op.out}})};
}
Formulas of(const CountPresent& op) {
  return {"CountPresent", 0, number * entries({{"B C", &op.x}, {"B", &op.out}})};
}
Formulas of(const Experts& op) {
  return {"Experts", 0,
          number * entries({{"2 B D", &op.a},
                            {"2 B D", &op.b},
                            {"B", &op.there_a},
                            {"B", &op.there_b},
                            {"2 B D", &op.out}})};
}
Formulas of(const ExpertsGradient& op) {
  return {"ExpertsGradient", 0,
          number * entries({{"2 B D", &op.in},
                            {"2 B D", &op.a},
                            {"2 B D", &op.b},
                            {"B", &op.there_a},
                            {"B", &op.there_b},
                            {"2 B D", &op.out},
                            {"2 B D", &op.da},
                            {"2 B D", &op.db}})};
}
Formulas of(const Rates& op) {
  return {"Rates", 0,
          number * entries({{"B K C", &op.theta},
                            {"B/S", &op.log_size},
                            {"[B]", &op.log_sum},
                            {"B K C", &op.out}})};
}
Formulas of(const RatesGradient& op) {
  return {
      "RatesGradient", 0,
      number *
          entries(
              {{"B K C", &op.theta}, {"B", &op.log_sum}, {"B K C", &op.in}, {"B K C", &op.out}})};
}
Formulas of(const ObserveRates& op) {
  const Observe& e = op.observe;
  return {"ObserveRates", 0,
          number * entries({{"B K C", &op.rates.theta},
                            {"[B/S]", &op.rates.log_size},
                            {"[side]", &e.side},
                            {"B/S C", &e.x},
                            {"[B]", &e.upstream},
                            {"[B]", &op.rates.log_sum},
                            {"[B K C]", &e.stored},
                            {"[B]", &e.terms},
                            {"[B K C]", &e.score},
                            {"[B C]", &e.side_score}})};
}
Formulas of(const DecodeRates& op) {
  const Formulas decode = of(op.decode), rates = of(op.rates), back = of(op.back);
  const Matrix& theta = op.rates.rates.theta;
  const double stored = 2.0 * sizeof(Real) * theta.rows * theta.columns;
  return {"decode, " + rates.name + ", back",
          Formula("Σ of its products", decode.flops.value + back.flops.value),
          Formula("Σ of its parts, theta not stored",
                  decode.bytes.value + rates.bytes.value + back.bytes.value -
                      stored * !theta.present())};
}
Formulas of(const Transform& op) {
  return {"Transform", 0, number * entries({{"B C", &op.in}, {"B C width", &op.out}})};
}
Formulas of(const Objective& op) {
  double terms = double(op.loss.present());
  for (int i = 0; i < op.count; ++i)
    terms += double(op.terms[std::size_t(i)].rows) * op.terms[std::size_t(i)].columns;
  return {"Objective", 0, number * Formula("terms + 1", terms, true)};
}
Formulas of(const HoldSpread& op) {
  return {"HoldSpread", 0, number * entries({{"2 B D", &op.in}, {"2 B D", &op.out}})};
}
Formulas of(const SampleMany& op) {
  return {"SampleMany", 0,
          number * entries({{"2 B D", &op.q},
                            {"[B S D]", &op.noise.given},
                            {"B S D", &op.z},
                            {"B S", &op.terms}})};
}
Formulas of(const SampleManyGradient& op) {
  return {"SampleManyGradient", 0,
          number * entries({{"[B S D]", &op.dz},
                            {"2 B D", &op.q},
                            {"[B S]", &op.upstream},
                            {"[B S D]", &op.noise.given},
                            {"2 B D", &op.out}})};
}
Formulas of(const ImportanceBound& op) {
  return {"ImportanceBound", 0,
          number * (entries({{"B S n", &op.log_p},
                             {"B S n'", &op.log_ratio},
                             {"[B]", &op.upstream},
                             {"[B]", &op.bound},
                             {"[B S]", &op.weights}}) +
                    2 * entries({{"[B S K C]", &op.score}, {"[B S C]", &op.side_score}}))};
}
Formulas of(const UnitKl& op) {
  return {"UnitKl", 0, number * entries({{"2 B D", &op.q}, {"D", &op.means}})};
}
Formulas of(const FreeBits& op) {
  return {"FreeBits", 0, number * entries({{"2 B D", &op.q}, {"D", &op.means}, {"B", &op.terms}})};
}
Formulas of(const AggregatePosterior& op) {
  return {
      "AggregatePosterior", 0,
      number *
          entries(
              {{"M D", &op.z}, {"2 N D", &op.q}, {"M", &op.log_q}, {"M D", &op.log_marginals}})};
}
Formulas of(const UpdateAll& op) {
  const bool clips = !op.updates.empty() && op.updates.front().clip.present();
  return {"UpdateAll", 0,
          number * (sum(op.updates,
                        [](const Update& u) {
                          const double each = 2.0 * (1 + u.m.present() + u.v.present());
                          return (1 + Formula("u", each)) * (rows(u.w, "O") * columns(u.w, "I"));
                        }) +
                    where(clips, 1))};
}
Formulas of(const ClipScale& op) {
  return {
      "ClipScale", 0,
      number * (sum(op.gradients, [](const Matrix& g) { return rows(g, "O") * columns(g, "I"); }) +
                columns(op.squares, "gradients") + 1)};
}
Formulas of(const GroupSum& op) {
  return {"GroupSum", 0,
          number * (2 * sum(op.numbers, [](const Matrix& g) {
                      return rows(g, "O") * columns(g, "I");
                    }))};
}
Formulas of(const Advance&) { return {"Advance", 0, 0}; }

}  // namespace

Formulas formulas(const Operation& operation) {
  return std::visit([](const auto& o) { return of(o); }, operation);
}

}  // namespace elbo
