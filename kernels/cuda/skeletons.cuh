#pragma once
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/aggregate.cuh"
#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/library.cuh"
#include "kernels/cuda/persistent.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/update.cuh"
#include "kernels/ops.h"

namespace elbo::inline ELBO_TARGET {

/// In which products an epilogue occurs: after x Wᵀ (forward), after dy W (backward).  A kernel is
/// compiled for these forms alone; gemm() throws at the other.
template <class Body>
struct Forms {
  static constexpr bool forward = Body::sums, backward = false;  // sampling, likelihoods
  static constexpr bool gathers = false;                         // the factor from the data set
};
template <>
struct Forms<StoreBody> {
  static constexpr bool forward = true, backward = true, gathers = false;
};
template <class Act>
struct Forms<BiasActivateBody<Act>> {
  static constexpr bool forward = true, backward = false, gathers = true;
};
template <class Act>
struct Forms<ActivationGradientBody<Act>> {
  static constexpr bool forward = false, backward = true, gathers = false;
};
template <>
struct Forms<LatentGradientBody> {
  static constexpr bool forward = false, backward = true, gathers = false;
};

/// The likelihoods that get kernels of their own.
template <class Law>
constexpr bool is_common =
    std::is_same_v<Law, Bernoulli> || std::is_same_v<Law, Gaussian> ||
    std::is_same_v<Law, FixedGaussian> || std::is_same_v<Law, NegativeBinomial> ||
    std::is_same_v<Law, ZeroInflatedNegativeBinomial>;

/// The skeletons as CUDA kernels, in the order of their stream.
///
/// A product's numbers are rounded to the precision as they are read; sums are in Real.  The double
/// build knows no precision but its own.
struct Skeletons {
  cudaStream_t stream = nullptr;
  Precision precision = Precision::fp32;
  bool overlap = false;       // a kernel's blocks may be placed before the one in front has ended
  bool chained = true;        // a block has room for a chain
  AnyPhaseList collecting{};  // a list: works are not launched, but noted there
  std::shared_ptr<LargeProducts> library{};  // of the products that it takes; null: of none

  /// One kernel serves all activations: they differ by a few instructions, a kernel by a second of
  /// compile time.
  template <class F>
  void with(const Activation& activation, F&& f) const {
    f(AnyActivation{activation});
  }
  template <class F>
  void with(const Norm& norm, F&& f) const {
    f(AnyActivation{norm.activation}, Drops<-1>{});
  }
  /// A likelihood that is not often trained with shares its kernels with its like.
  template <class Law, int K, class F>
  void with(const Observe& op, const Law& law, F&& f) const {
    if constexpr (is_common<Law>) f(ObserveBody<Law, K>{op, law});
    else f(ObserveBody<Likelihood, K>{op, op.law});
  }

  template <class Body>
  void map(int rows, int columns, const Body& body) const {
    if (rows > 0 && columns > 0) run(MapWork<Body>(rows, columns, body));
  }
  template <class Body>
  void map_rows(const Matrix& in, const Body& body) const {
    run(MapRowsWork<Body>(in, body));
  }
  template <class Body>
  void row_sums(int rows, int columns, const Matrix& out, const Body& body) const {
    run(RowSumsWork<Body>(rows, columns, out, body));
  }
  template <class Body>
  void row_pass(int rows, int columns, const Body& body) const {
    if constexpr (requires { Body::long_rows; })
      if (columns >= very_long_row) return run(WideRowPassWork<Body>{rows, body});
    run(RowPassWork<Body>(rows, columns, body));
  }
  template <class Body>
  void column_pass(int columns, const Body& body) const {
    run(ColumnPassWork<Body>{columns, body});
  }

  int column_tiles(const Product& op, int width) const {
    if (takes(op)) return 1;
    return large(op, width) ? tiling::tiles_across<tiling::Large>(op.columns(), width)
                            : tiling::tiles_across<tiling::Small>(op.columns(), width);
  }

  template <class Body>
  void gemm(const Product& op, const Body& body) const {
    if (takes(op)) return by_library(op, body);
    if constexpr (Forms<Body>::forward)
      if (op.b_transposed) return multiply<true>(op, body);
    if constexpr (Forms<Body>::backward)
      if (!op.b_transposed) return multiply<false>(op, body);
    throw std::logic_error(op.b_transposed
                               ? "this epilogue follows dy W only; no kernel has it after x Wᵀ"
                               : "this epilogue follows x Wᵀ only; no kernel has it after dy W");
  }

  template <class Body>
  void observe_rates(const ObserveRatesBody<Body>& body) const {
    row_pass(body.op.rates.theta.rows, body.scalars(), body);
  }
  static bool narrow() { return true; }
  bool chains() const { return chained; }
  static int summed_rows() { return 1; }

  /// Phases are not chained: the blocks that a chain leaves idle cost more than a meeting.
  bool chain(const Chain& op) const {
    if (collecting.index() > 0) return false;
    with_mainloop([&]<class Mainloop>() {
      ChainWork<Mainloop> work{op.links[0].rows(), int(op.links.size()), {}};
      for (int i = 0; i < work.count; ++i) {
        const Product& link = op.links[std::size_t(i)];
        work.links[i] = {{link.a.data, link.a.stride, link.rows()},
                         {link.b.data, link.b.stride, link.columns()},
                         link.depth(),
                         link_body(link.epilogue)};
      }
      run(work);
    });
    return true;
  }

  /// The library's products first, one by one; the others, and the biases, share launches.
  void weight_gradients(const WeightGradients& op) const {
    const auto taken = [&](const WeightGradient& layer) { return takes(layer); };
    if (!library || std::none_of(op.layers.begin(), op.layers.end(), taken)) return grouped(op);
    if (collecting.index() > 0) return refuse();
    WeightGradients rest{{}, op.tail};
    for (const WeightGradient& layer : op.layers) {
      if (!taken(layer)) {
        rest.layers.push_back(layer);
        continue;
      }
      by_library(layer);
      if (Target(layer.bias).present()) rest.layers.push_back({layer.dy, {}, {}, layer.bias});
    }
    if (!rest.layers.empty()) return grouped(rest);
    if (op.tail.objective.count > 0) objective(op.tail.objective);
    if (op.tail.advance.state) advance(op.tail.advance);
  }
  void grouped(const WeightGradients& op) const {
    constexpr std::size_t most = LayerTable::most;
    const std::size_t all = op.layers.size();
    for (std::size_t first = 0; first < all; first += most) {
      const std::size_t end = std::min(all, first + most);
      std::int64_t tiles = 0;
      for (std::size_t i = first; i < end; ++i)
        tiles += tiling::tiles<tiling::Large>(op.layers[i].dy.columns, op.layers[i].x.columns, 1);
      const Tail tail = end == all ? op.tail : Tail();
      with_mainloop([&]<class Mainloop>() {
        if (tiling::takes_large(tiles))
          weight_gradients<tiling::Large, Mainloop>(op, first, end, tail);
        else weight_gradients<tiling::Small, Mainloop>(op, first, end, tail);
      });
    }
  }

  void column_sum(const ColumnSum& op) const {
    if (op.out.columns == 1 && op.in.columns != 1) run(TotalWork{op.in, op.out, op.accumulate});
    else run(ColumnSumWork{op.in, op.out, op.accumulate});
  }

  void objective(const Objective& op) const { run(ObjectiveWork{op}); }

  void aggregate_posterior(const AggregatePosterior& op) const { run(AggregateWork{op}); }
  void importance_bound(const ImportanceBound& op) const {
    if (op.score.present()) row_pass(op.score.rows, op.score.columns, ImportanceRowBody{op});
    else run(ImportanceBoundWork(op));
  }

  void update_all(const UpdateAll& op) const {
    constexpr std::size_t most = UpdateTable::most;
    for (std::size_t first = 0; first < op.updates.size(); first += most) {
      UpdateAllWork work;
      UpdateTable& table = work.table;
      for (std::size_t i = first; i < std::min(op.updates.size(), first + most); ++i) {
        const Update& u = op.updates[i];
        table.entries[table.count++] = {Target(u), u.in.data,   u.in.stride,
                                        u.w.rows,  u.w.columns, table.blocks};
        table.blocks += tiling::divide_up(u.w.rows * tiling::divide_up(u.w.columns, Piece::count),
                                          UpdateAllWork::pieces_per_block);
      }
      run(work);
    }
  }

  void clip_scale(const ClipScale& op) const {
    const int count = int(op.gradients.size());
    for (int first = 0; first < count; first += GradientTable::most) {
      SquaresWork work{{}, std::min(GradientTable::most, count - first), first, op.squares};
      std::copy_n(op.gradients.begin() + first, work.count, work.table.gradients);
      run(work);
    }
    run(ClipWork{op.squares, op.scale, count, op.limit});
  }

  void advance(const Advance& op) const { run(AdvanceWork{op}); }

  /// Whether everything noted so far can be a phase.
  bool complete() const {
    return std::visit(
        [](auto list) {
          if constexpr (requires { list->complete; }) return list->complete;
          else return true;
        },
        collecting);
  }
  /// What `record` runs on the skeletons given to it, as phases; null if it is not possible.
  template <class Record>
  std::unique_ptr<Phases> phases(Record&& record) const {
    std::unique_ptr<Phases> all;
    with_mainloop([&]<class Mainloop>() {
      if constexpr (std::is_constructible_v<AnyPhaseList, PhaseList<Mainloop>*>) {
        PhaseList<Mainloop> list;
        Skeletons noting = *this;
        noting.collecting = &list;
        record(noting);
        if (list.complete && !list.phases.empty())
          all = std::make_unique<PhasesOf<Mainloop>>(std::move(list.phases), stream);
      }
    });
    return all;
  }

 private:
  bool takes(const Product& op) const {
    return library && library->takes(op.rows(), op.columns(), op.depth());
  }
  bool takes(const WeightGradient& layer) const {
    return library && library->takes(layer.dy.columns, layer.x.columns, layer.dy.rows);
  }
  /// What was just asked for is no phase.
  void refuse() const {
    std::visit(
        [](auto list) {
          if constexpr (requires { list->complete; }) list->complete = false;
        },
        collecting);
  }
  Matrix scratch(int rows, int columns) const {
    const int stride = padded(columns);
    const std::size_t bytes = sizeof(Real) * std::size_t(rows) * std::size_t(stride);
    return {static_cast<Real*>(library->scratch(LargeProducts::Slot::product, bytes)), rows,
            columns, stride};
  }
  /// A matrix as the library multiplies it.
  LargeProducts::Factor factor([[maybe_unused]] LargeProducts::Slot slot, const Matrix& m) const {
#ifndef ELBO_DOUBLE
    if (precision == Precision::bf16) {
      Bf16CopyBody copy{m, nullptr, Bf16CopyBody::padded(m.columns)};
      copy.to = static_cast<std::uint16_t*>(
          library->scratch(slot, 2 * std::size_t(m.rows) * std::size_t(copy.stride)));
      map(m.rows, copy.stride / Bf16CopyBody::each, copy);
      return {copy.to, m.rows, m.columns, copy.stride};
    }
#endif
    return {m.data, m.rows, m.columns, m.stride};
  }
  void by_library(LargeProducts::Form form, const Matrix& a, const Matrix& b, const Matrix& c,
                  bool accumulate) const {
    library->multiply(form, factor(LargeProducts::Slot::a, a), factor(LargeProducts::Slot::b, b), c,
                      accumulate);
  }
  /// The numbers of the product pass through memory, and the epilogue runs as an operation does.
  template <class Body>
  void by_library(const Product& op, const Body& body) const {
    using enum LargeProducts::Form;
    if (collecting.index() > 0) return refuse();
    if (op.gathers()) map(op.gather.out.rows, op.gather.out.columns, GatherBody{op.gather});
    const auto form = op.b_transposed ? abt : ab;
    if constexpr (std::is_same_v<Body, StoreBody>) {
      by_library(form, op.a, op.b, body.op.out, body.op.accumulate);
    } else {
      const Matrix product = scratch(op.rows(), op.columns());
      by_library(form, op.a, op.b, product, false);
      map_rows(product, body);
    }
  }
  void by_library(const WeightGradient& layer) const {
    using enum LargeProducts::Form;
    const Sink& sink = layer.weight;
    const Matrix& stored = sink.gradient;
    if (!sink.updates) {
      if (stored.present()) by_library(atb, layer.dy, layer.x, stored, sink.accumulate);
      return;
    }
    const Matrix gradient = scratch(layer.dy.columns, layer.x.columns);
    by_library(atb, layer.dy, layer.x, gradient, false);
    if (stored.present()) map_rows(gradient, StoreBody{{gradient, stored, sink.accumulate}});
    UpdateAll update{{sink.update}};
    update.updates[0].in = gradient;
    update_all(update);
  }

  template <class Work>
  void run(const Work& work) const {
    if (collecting.index() > 0)
      return std::visit(
          [&](auto list) {
            if constexpr (requires { list->add(work); }) list->add(work);
          },
          collecting);
    Launch shape{dim3(unsigned(work.blocks())), dim3(unsigned(Work::threads))};
    shape.shared_bytes = Work::shared_bytes, shape.stream = stream, shape.overlap = overlap;
    launch(work_kernel<Work>, shape, work);
  }
  static LinkBody link_body(const Epilogue& epilogue) {
    return std::visit(
        []<class E>(const E& e) -> LinkBody {
          if constexpr (std::is_same_v<E, Observe>)
            throw std::logic_error("a likelihood is no link of a chain");
          else if constexpr (requires { e.activation; }) {
            if constexpr (requires { e.bias; })
              return BiasActivateBody<AnyActivation>{e, {e.activation}};
            else return ActivationGradientBody<AnyActivation>{e, {e.activation}};
          } else if constexpr (requires { e.z; }) return SampleLatentBody{e};
          else if constexpr (requires { e.q; }) return LatentGradientBody{e};
          else return StoreBody{e};
        },
        epilogue);
  }
  static bool large(const Product& op, int width) {
    return tiling::takes_large(tiling::tiles<tiling::Large>(op.rows(), op.columns(), width));
  }

  template <class F>
  void with_mainloop(F&& f) const {
#ifndef ELBO_DOUBLE
    if (precision == Precision::tf32) return f.template operator()<Tf32>();
    if (precision == Precision::bf16) return f.template operator()<Bf16>();
#endif
    f.template operator()<Fma>();
  }

  template <bool b_transposed, class Body>
  void multiply(const Product& op, const Body& body) const {
    with_mainloop([&]<class Mainloop>() {
      if (large(op, Body::width)) multiply<tiling::Large, Mainloop, b_transposed>(op, body);
      else multiply<tiling::Small, Mainloop, b_transposed>(op, body);
    });
  }
  template <class Tile, class Mainloop, bool b_transposed, class Body>
  void multiply(const Product& op, const Body& body) const {
    const Operand b{op.b.data, op.b.stride, op.columns()};
    const auto with_factor = [&]<class Factor>(const Factor& a) {
      run(GemmWork<Tile, Mainloop, b_transposed, Body, Factor>{a, b, op.rows(), op.depth(), body});
    };
    if constexpr (Forms<Body>::gathers)
      if (op.gathers()) return with_factor(op.gather);
    if (op.gathers()) throw std::logic_error("no kernel gathers the factor before this epilogue");
    with_factor(Operand{op.a.data, op.a.stride, op.rows()});
  }

  template <class Tile, class Mainloop>
  void weight_gradients(const WeightGradients& op, std::size_t first, std::size_t end,
                        const Tail& tail) const {
    using Work = WeightGradientsWork<Tile, Mainloop>;
    Work work;
    work.tail = tail;
    LayerTable& table = work.table;
    for (std::size_t i = first; i < end; ++i) {
      const WeightGradient& from = op.layers[i];
      LayerGradient& to = table.layers[table.count++];
      to.dy = {from.dy.data, from.dy.stride, from.dy.columns};
      to.x = {from.x.data, from.x.stride, from.x.columns};
      to.batch = from.dy.rows, to.first_block = table.blocks;
      to.weight = Target(from.weight), to.bias = Target(from.bias);
      table.blocks += Work::tiles(from.dy.columns, from.x.columns);
    }
    run(work);
  }
};

}  // namespace elbo::inline ELBO_TARGET
