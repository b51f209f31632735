#pragma once
#include "kernels/ops.h"

namespace elbo {

/// The table of operations on one device, in terms of its skeletons:
///
///     map(rows, columns, body)            body(r, c)
///     map_rows<Body>(rows, units, in, body)   v = in's Body::width numbers at the unit; body(r,
///     unit, v) row_sums(rows, columns, out, body)  out(r, 0) = Σ_c body(r, c) gemm(product, body)
///     body(r, unit, numbers of the product); sums per row tile weight_gradients, column_sum,
///     objective, importance_bound, update_all, clip_scale, advance with(activation, f) f(one
///     activation): opened, or any of them in one kernel with<Law, K>(observe, law, f)
///     f(ObserveBody): for the parts present, or for any
///
/// Variants are opened here, so that kernels see concrete types.
template <class Device>
struct OpsOn final : Ops {
  Device on;
  explicit OpsOn(Device device) : on(device) {}

  void run(const Gather& op) const override { on.map(op.out.rows, op.out.columns, GatherBody{op}); }
  void run(const Product& op) const override {
    body_of(op.epilogue, [&](const auto& body) { on.gemm(op, body); });
  }
  void run(const Apply& op) const override {
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
  void run(const Objective& op) const override { on.objective(op); }
  void run(const SampleMany& op) const override {
    on.row_sums(op.z.rows, op.z.columns, op.terms, SampleManyBody{op});
  }
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
  void run(const Advance& op) const override { on.advance(op); }
  int term_columns(const Product& op) const override {
    int tiles = 0;
    body_of(op.epilogue, [&](const auto& body) { tiles = on.column_tiles(op, body.width); });
    return tiles;
  }

 private:
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
    open_law(e, [&]<class Law, int K>(const Law& law, std::integral_constant<int, K>) {
      on.template with<Law, K>(e, law, f);
    });
  }
};

}  // namespace elbo
