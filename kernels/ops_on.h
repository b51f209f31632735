#pragma once
#include <stdexcept>

#include "kernels/ops.h"

namespace elbo {

/// The table of operations on one device, in terms of its skeletons:
///
// clang-format off
///     map(rows, columns, body)            body(r, c)
///     map_rows(in, body)                  body(r, unit, v), v = in's Body::width numbers at the unit
///     row_sums(rows, columns, out, body)  out(r, 0) = Σ_c body(r, c)
///     row_pass(rows, columns, body)       body(r, team): several passes over a row
///     column_pass(columns, body)          body(team): several passes over columns
///     gemm(product, body)                 body(r, unit, numbers of the product); sums per row tile
///     with(activation, f)                 f(one activation): opened, or any of them in one kernel
///     with<Law, K>(observe, law, f)       f(ObserveBody): for the parts present, or for any
///     observe_rates(body)                 body(r, team) for every row
///     summed_rows()                       how many rows' side scores it may add up
///     list(gather), lists_up_to()         its lists; from which share on not; both optional
///     bands(op, theta, f)                 f(skeletons of some rows, where their theta is); optional
///     chains(), chain(products)           whether it runs them at once; does so, and whether it did
///     narrow()                            whether a column pass works out a product of little depth
///     weight_gradients, column_sum, objective, importance_bound, aggregate_posterior, update_all,
///     clip_scale, advance
// clang-format on
///
/// A team is what works on one row, or on some adjacent columns.  Every team calls the same in the
/// same order; f gives the terms of entry i (of column c):
///
///     of a row      sum(n, f) Σ_i f(i), a Vec      max(n, f)     each(n, f)     once(f)     meet()
///     of columns    sum(n, f) Σ_i f(i)(c), at (c)  per_column(f) f(c), at (c)
///                   each(n, f)                     columns(f)    f(c) once a column
///
/// Sums have a fixed order, NaN passes through sum and max, and what one pass has written of an
/// entry the next pass finds there if both call f for it with the same i, or the team has met
/// between them.
///
/// Variants are opened here, so that kernels see concrete types.
template <class Device>
struct OpsOn final : Ops {
  Device on;
  explicit OpsOn(Device device) : on(device) {}

  void run(const Gather& op) const override {
    if constexpr (requires { on.list(op); })
      if (op.lists.present()) on.list(op);
    if (!op.out.present()) return;
    if (op.source.sparse() || op.seen.present())
      on.row_pass(op.out.rows, op.out.columns, GatherRowBody{op});
    else on.map(op.out.rows, op.out.columns, GatherBody{op});
  }
  void run(const Product& op) const override {
    body_of(op.epilogue, [&](const auto& body) { on.gemm(op, body); });
  }
  void run(const Apply& op) const override {
    if (const Observe* const e = std::get_if<Observe>(&op.epilogue); e && !is_narrow(e->law))
      return observe_wide(*e);
    const Matrix in = std::visit([](const auto& e) { return e.in; }, op.epilogue);
    body_of(op.epilogue, [&](const auto& body) { on.map_rows(in, body); });
  }
  void run(const WeightGradients& op) const override { on.weight_gradients(op); }
  void run(const ColumnSum& op) const override { on.column_sum(op); }
  void run(const RowSum& op) const override {
    on.row_sums(op.in.rows, op.in.columns, op.out, RowSumBody{op});
  }
  void run(const Fill& op) const override { on.map(op.out.rows, op.out.columns, FillBody{op}); }
  void run(const Add& op) const override { on.map(op.out.rows, op.out.columns, AddBody{op}); }
  void run(const Multiply& op) const override {
    on.map(op.out.rows, op.out.columns, MultiplyBody{op});
  }
  void run(const Pointwise& op) const override {
    std::visit(
        [&]<class F>(const F& function) {
          on.map(op.out.rows, op.out.columns, PointwiseBody<F>{op, function});
        },
        op.function);
  }
  void run(const Drop& op) const override {
    on.row_pass(op.out.rows, op.out.columns, DropBody{op});
  }
  void run(const ColumnMoments& op) const override {
    on.column_pass(op.x.columns, ColumnMomentsBody{op});
  }
  void run(const NormaliseColumns& op) const override {
    if (op.product.present() && !on.narrow()) {
      NormaliseColumns rest = op;
      rest.product = {};
      return run(whole(op.product)), run(rest);
    }
    on.with(op.norm, [&]<class Act, int drops>(const Act& act, Drops<drops>) {
      on.column_pass(op.y.columns, NormaliseColumnsBody<Act, drops>{op, act});
    });
  }
  void run(const NormaliseColumnsGradient& op) const override {
    if (op.product.present() && !on.narrow()) {
      NormaliseColumnsGradient rest = op;
      rest.product = {};
      return run(whole(op.product)), run(rest);
    }
    on.with(op.norm, [&]<class Act, int drops>(const Act& act, Drops<drops>) {
      on.column_pass(op.dx.columns, NormaliseColumnsGradientBody<Act, drops>{op, act});
    });
  }
  void run(const CentreSlopes& op) const override {
    on.column_pass(op.dx.columns, CentreSlopesBody{op});
  }
  void run(const NormaliseRows& op) const override {
    on.with(op.norm, [&]<class Act, int drops>(const Act& act, Drops<drops>) {
      on.row_pass(op.y.rows, op.y.columns, NormaliseRowsBody<Act, drops>{op, act});
    });
  }
  void run(const NormaliseRowsGradient& op) const override {
    on.with(op.norm, [&]<class Act, int drops>(const Act& act, Drops<drops>) {
      on.row_pass(op.dx.rows, op.dx.columns, NormaliseRowsGradientBody<Act, drops>{op, act});
    });
  }
  void run(const SumSlopes& op) const override {
    on.column_pass(op.slope.columns, SumSlopesBody{op});
  }
  void run(const LogTotals& op) const override {
    on.row_pass(op.in.rows, op.in.columns, LogTotalsBody{op});
  }
  void run(const Corrupt& op) const override {
    on.map(op.out.rows, op.out.columns, CorruptBody{op});
  }
  void run(const Join& op) const override { on.map(op.out.rows, op.out.columns, JoinBody{op}); }
  void run(const Columns& op) const override {
    on.map(op.out.rows, op.out.columns, ColumnsBody{op});
  }
  void run(const CountPresent& op) const override {
    on.row_sums(op.x.rows, op.x.columns, op.out, CountPresentBody{op});
  }
  void run(const Experts& op) const override {
    on.map(op.out.rows, op.out.columns / 2, ExpertsBody{op});
  }
  void run(const ExpertsGradient& op) const override {
    on.map(op.in.rows, op.in.columns / 2, ExpertsGradientBody{op});
  }
  void run(const Rates& op) const override {
    on.row_pass(op.out.rows, op.out.columns / op.parameters, RatesBody{op});
  }
  void run(const RatesGradient& op) const override {
    on.row_pass(op.out.rows, op.out.columns / op.parameters, RatesGradientBody{op});
  }
  void run(const ObserveRates& op) const override {
    std::visit(
        [&]<class Law>(const Law& law) {
          if constexpr (is_of_counts<Law>) {
            constexpr int K = Law::parameters;
            const auto pass = [&]<class Body>(const Body& body) {
              on.observe_rates(ObserveRatesBody<Body>{op, body});
            };
            if constexpr (K > 1)
              if (op.observe.side.present())
                return on.template with<Law, K - 1>(op.observe, law, pass);
            on.template with<Law, K>(op.observe, law, pass);
          }
        },
        op.observe.law);
  }
  void run(const DecodeRates& op) const override {
    if constexpr (requires { Device::rows_of_band; })
      on.bands(op, [&](const Device& band, const Matrix& theta) {
        const OpsOn ops(band);
        DecodeRates some = op;
        std::visit(
            [&](auto& e) {
              if constexpr (requires { e.out; }) e.out = theta;
            },
            some.decode.epilogue);
        some.rates.rates.theta = theta;
        ops.run(some.decode), ops.run(some.rates), ops.run(some.back);
      });
    else throw std::logic_error("this device does not decode rates by bands");
  }
  int decodes_rates() const override {
    if constexpr (requires { Device::rows_of_band; }) return 8 * Device::rows_of_band;
    else return 0;
  }
  void run(const Chain& op) const override {
    if (!on.chain(op))
      for (const Product& link : op.links) run(link);
  }
  void run(const Transform& op) const override {
    std::visit(
        [&]<class Kind>(const Kind& kind) {
          on.map(op.in.rows, op.in.columns, TransformBody<Kind>{op, kind});
        },
        op.kind);
  }
  void run(const Objective& op) const override { on.objective(op); }
  void run(const HoldSpread& op) const override {
    on.map(op.out.rows, op.out.columns / 2, HoldSpreadBody{op});
  }
  void run(const SampleMany& op) const override {
    on.row_sums(op.z.rows, op.z.columns, op.terms, SampleManyBody{op});
  }
  void run(const AggregatePosterior& op) const override { on.aggregate_posterior(op); }
  void run(const SampleManyGradient& op) const override {
    on.map(op.q.rows, op.q.columns / 2, SampleManyGradientBody{op});
  }
  void run(const ImportanceBound& op) const override { on.importance_bound(op); }
  void run(const UnitKl& op) const override {
    on.row_sums(op.means.rows, op.q.rows, op.means, UnitKlBody{op});
  }
  void run(const FreeBits& op) const override {
    on.row_sums(op.q.rows, op.means.rows, op.terms, FreeBitsBody{op});
  }
  void run(const UpdateAll& op) const override { on.update_all(op); }
  void run(const ClipScale& op) const override { on.clip_scale(op); }
  void run(const GroupSum& op) const override { op.by->run(op); }
  void run(const Advance& op) const override { on.advance(op); }
  int summed_rows() const override { return on.summed_rows(); }
  Real lists_up_to() const override {
    if constexpr (requires { on.lists_up_to(); }) return on.lists_up_to();
    else return 0;
  }
  bool chains() const override { return on.chains(); }
  int term_columns(const Product& op) const override {
    int tiles = 0;
    body_of(op.epilogue, [&](const auto& body) { tiles = on.column_tiles(op, body.width); });
    return tiles;
  }
  std::unique_ptr<Phases> phases(const std::vector<Operation>& step, int& refused) const override {
    for (refused = 0; refused < int(step.size()); ++refused)
      if (std::holds_alternative<GroupSum>(step[refused])) return nullptr;
    refused = 0;
    if constexpr (requires { on.phases([](const Device&) {}); })
      return on.phases([&](const Device& noting) {
        const OpsOn ops(noting);
        for (; refused < int(step.size()); ++refused) {
          std::visit([&](const auto& o) { ops.run(o); }, step[refused]);
          if (!noting.complete()) return;
        }
      });
    else return nullptr;
  }

 private:
  static Product whole(const NarrowProduct& p) {
    Product all{p.a, p.b, p.b_transposed, Store{.in = {}, .out = p.out}};
    if (p.bias.present())
      all.epilogue = BiasActivate{.in = {}, .bias = p.bias, .pre = {}, .out = p.out};
    return all;
  }
  void observe_wide(const Observe& e) const {
    std::visit(
        [&]<class Law>(const Law& law) {
          if constexpr (!Narrow<Law>)
            on.row_sums(e.in.rows, e.x.columns, e.terms, ObserveWideBody<Law>{e, law});
        },
        e.law);
  }
  template <class F>
  void body_of(const Epilogue& epilogue, F&& f) const {
    std::visit([&](const auto& e) { open_body(e, f); }, epilogue);
  }
  template <class F>
  void open_body(const Store& e, F&& f) const {
    f(StoreBody{e});
  }
  template <class F>
  void open_body(const BiasActivate& e, F&& f) const {
    on.with(e.activation, [&]<class Act>(const Act& act) { f(BiasActivateBody<Act>{e, act}); });
  }
  template <class F>
  void open_body(const ActivationGradient& e, F&& f) const {
    on.with(e.activation,
            [&]<class Act>(const Act& act) { f(ActivationGradientBody<Act>{e, act}); });
  }
  template <class F>
  void open_body(const SampleLatent& e, F&& f) const {
    f(SampleLatentBody{e});
  }
  template <class F>
  void open_body(const LatentGradient& e, F&& f) const {
    f(LatentGradientBody{e});
  }
  template <class F>
  void open_body(const Observe& e, F&& f) const {
    std::visit(
        [&]<class Law>(const Law& law) {
          if constexpr (Narrow<Law>) {
            constexpr int K = Law::parameters;
            if constexpr (K > 1)
              if (e.side.present()) return on.template with<Law, K - 1>(e, law, f);
            on.template with<Law, K>(e, law, f);
          }
        },
        e.law);
  }
};

}  // namespace elbo
