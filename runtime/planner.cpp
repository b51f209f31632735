#include "runtime/planner.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace elbo {

namespace {

using Operations = std::vector<Operation>;

struct Use {
  int tensor;
  Access access;
};

std::vector<Use> uses(Operation& operation) {
  std::vector<Use> all;
  const auto note = [&](const Matrix& m, Access access) {
    if (m.tensor) all.push_back({m.tensor, access});
  };
  std::visit([&](auto& o) { o.views(note); }, operation);
  return all;
}

bool moves_counters(const Operation& operation) {
  const auto* const last = std::get_if<WeightGradients>(&operation);
  return std::holds_alternative<Advance>(operation) || (last && last->tail.advance.state);
}

bool sums_losses(const Operation& operation) {
  const auto* const sum = std::get_if<GroupSum>(&operation);
  return sum && sum->count > 0;
}

bool conflict(Operation& a, Operation& b) {
  // Everything may read the counters, so nothing moves across their change; nor does an objective
  // across the sum of what it leaves.
  if (moves_counters(a) || moves_counters(b)) return true;
  if (sums_losses(a) || sums_losses(b))
    if (std::holds_alternative<Objective>(a) || std::holds_alternative<Objective>(b)) return true;
  const auto of_b = uses(b);
  for (const Use& x : uses(a))
    for (const Use& y : of_b)
      if (x.tensor == y.tensor && (x.access != Access::read || y.access != Access::read))
        return true;
  return false;
}

class Planner {
 public:
  explicit Planner(Program& program) : program_(program), list_(program.operations) {}

  void fuse() {
    join_scores();
    read_constants();
    hand_on_biases();
    see_through_sums();
    join_rates();
    attach_epilogues();
    join_narrow_products();
    attach_updates();
    group_weight_gradients();
    attach_transforms();
    list_rows();
    note_units();
    attach_gathers();
    attach_tail();
    drop_leavings();
    sum_side_scores();
    join_decoders();
  }

  /// Products that follow each other become chains.
  void chain() {
    for (int i = 0; i < int(list_.size()); ++i) {
      const std::vector<Product> links = links_of(list_[i]);
      if (links.empty() || links.size() >= std::size_t(Chain::most)) continue;
      const int left = left_by(links.back());
      for (int j = i + 1; j < int(list_.size()); ++j) {
        const Product* const next = std::get_if<Product>(&list_[j]);
        if (!next || next->a.tensor != left) continue;
        const std::vector<Product> last = links_of(list_[j]);
        if (last.empty() || !can_wait(i, j)) break;
        Chain chain{links};
        chain.links.push_back(last[0]);
        for (Product& link : chain.links) one_part(link);
        list_[j] = chain;
        erase({i--});
        break;
      }
    }
  }

 private:
  /// Whether somebody outside the list may look at the tensor after the run.
  bool kept(int tensor) const {
    const auto found = program_.tensors.find(tensor);
    return found == program_.tensors.end() || found->second.use_count() > 1;
  }
  std::vector<int> indices(int tensor, bool reading) {
    std::vector<int> found;
    for (int i = 0; i < int(list_.size()); ++i)
      for (const Use& use : uses(list_[i]))
        if (use.tensor == tensor &&
            (use.access == Access::update || (use.access == Access::read) == reading))
          found.push_back(i);
    return found;
  }
  std::vector<int> readers(int tensor) { return indices(tensor, true); }
  std::optional<int> only_writer(int tensor) {
    const auto writers = indices(tensor, false);
    return writers.size() == 1 ? std::optional(writers[0]) : std::nullopt;
  }
  /// Whether operation `from` may as well run just before operation `to`.
  bool can_wait(int from, int to) {
    for (int i = from + 1; i < to; ++i)
      if (conflict(list_[from], list_[i])) return false;
    return true;
  }
  template <class E>
  E* applied(int i) {
    Apply* const apply = std::get_if<Apply>(&list_[i]);
    return apply ? std::get_if<E>(&apply->epilogue) : nullptr;
  }
  void erase(std::set<int> gone) {
    Operations rest;
    for (int i = 0; i < int(list_.size()); ++i)
      if (!gone.count(i)) rest.push_back(std::move(list_[i]));
    list_ = std::move(rest);
  }
  /// The constant that an upstream gradient is everywhere, if it is one.
  std::optional<Scale> constant(const Matrix& upstream) {
    if (!upstream.tensor) return std::nullopt;
    const auto writer = only_writer(upstream.tensor);
    const Fill* const fill = writer ? std::get_if<Fill>(&list_[*writer]) : nullptr;
    return fill ? std::optional(fill->value) : std::nullopt;
  }

  void join_scores() {
    for (int j = 0; j < int(list_.size()); ++j) {
      const Observe* const later = applied<Observe>(j);
      if (!later || !later->score.tensor || later->terms.tensor) continue;
      const auto scale = constant(later->upstream);
      if (!scale) continue;
      for (int i = 0; i < j; ++i) {
        Observe* const first = applied<Observe>(i);
        if (!first || first->score.tensor || first->in.tensor != later->in.tensor ||
            first->x.tensor != later->x.tensor || first->side.tensor != later->side.tensor)
          continue;
        first->score = later->score, first->side_score = later->side_score;
        first->scale = *scale;
        erase({j--});
        break;
      }
    }
    join_weights();
  }

  /// The importance weights come with the bound, and the weighed scores with them.
  void join_weights() {
    for (int j = 0; j < int(list_.size()); ++j) {
      const auto* const later = std::get_if<ImportanceBound>(&list_[j]);
      if (!later || later->bound.tensor) continue;
      const auto scale = constant(later->upstream);
      if (!scale) continue;
      for (int i = 0; i < j; ++i) {
        auto* const first = std::get_if<ImportanceBound>(&list_[i]);
        if (!first || first->weights.tensor || first->log_p.tensor != later->log_p.tensor ||
            first->log_ratio.tensor != later->log_ratio.tensor)
          continue;
        first->weights = later->weights, first->scale = *scale;
        erase({j--});
        break;
      }
    }
    for (int j = 0; j < int(list_.size()); ++j) j -= weigh_scores(j);
  }

  /// Scores that wait for importance weights are worked out beside the likelihood as well, and
  /// weighed by the operation that makes the weights.
  int weigh_scores(int j) {
    const Observe* const later = applied<Observe>(j);
    if (!later || later->terms.tensor || !later->score.tensor || !is_narrow(later->law)) return 0;
    const auto writer = only_writer(later->upstream.tensor);
    auto* const bound = writer ? std::get_if<ImportanceBound>(&list_[*writer]) : nullptr;
    if (!bound || bound->score.tensor || only_writer(later->score.tensor) != j) return 0;
    for (int i = 0; i < *writer; ++i) {
      Observe* const first = applied<Observe>(i);
      if (!first || first->score.tensor || first->in.tensor != later->in.tensor ||
          first->x.tensor != later->x.tensor || first->side.tensor != later->side.tensor)
        continue;
      first->score = bound->score = later->score;
      first->side_score = bound->side_score = later->side_score;
      first->scale = {};
      erase({j});
      return 1;
    }
    return 0;
  }

  void read_constants() {
    for (int i = 0; i < int(list_.size()); ++i) {
      LatentGradient* const gradient = applied<LatentGradient>(i);
      if (!gradient) continue;
      if (const auto scale = constant(gradient->upstream))
        gradient->upstream = {}, gradient->scale = *scale;
    }
  }

  void hand_on_biases() {
    for (int j = 0; j < int(list_.size()); ++j) {
      if (Observe* const e = applied<Observe>(j); e && !e->bias.tensor && is_narrow(e->law))
        j -= hand_on_bias(j, *e);
      if (SampleLatent* const e = applied<SampleLatent>(j); e && !e->bias.tensor)
        j -= hand_on_bias(j, *e);
    }
  }
  template <class E>
  int hand_on_bias(int j, E& reader) {
    const int between = reader.in.tensor;
    const auto writer = only_writer(between);
    if (!writer || *writer >= j) return 0;
    const BiasActivate* const layer = applied<BiasActivate>(*writer);
    if (!layer || !std::holds_alternative<Identity>(layer->activation)) return 0;
    const auto all = readers(between);
    if (std::any_of(all.begin(), all.end(), [&](int r) { return r < j; }) || !can_wait(*writer, j))
      return 0;
    if (kept(between) || all.size() > 1) reader.stored = reader.in;
    reader.bias = layer->bias, reader.in = layer->in;
    erase({*writer});
    return 1;
  }

  /// Writing of a tensor as a multiple of another, if that is what operation i is.
  const Add* multiple(int i) {
    const Add* const add = std::get_if<Add>(&list_[i]);
    return add && !add->b.tensor && add->gamma == 0 && !kept(add->out.tensor) &&
                   only_writer(add->a.tensor)
               ? add
               : nullptr;
  }

  /// The gradient of a sum reaches its parts as copies, and what a product adds to one of them.
  void see_through_sums() {
    for (int j = 0; j < int(list_.size()); ++j)
      if (ActivationGradient* const e = applied<ActivationGradient>(j); e && !e->plus.tensor) {
        const int sum = e->in.tensor;
        const auto writers = indices(sum, false);
        if (writers.size() != 2 || writers[1] > j || readers(sum) != std::vector{writers[1], j})
          continue;
        const Add* const first = multiple(writers[0]);
        Product* const second = std::get_if<Product>(&list_[writers[1]]);
        Store* const store = second ? std::get_if<Store>(&second->epilogue) : nullptr;
        if (!first || !store) continue;
        e->plus = first->a, e->share = first->alpha;
        store->accumulate = false;
        erase({writers[0]});
        --j;
      }
    for (int i = 0; i < int(list_.size()); ++i) {
      const Add* const copy = multiple(i);
      if (!copy || copy->alpha != 1 || only_writer(copy->out.tensor) != i) continue;
      const int gone = copy->out.tensor;
      const Matrix whole = copy->a;
      const auto rename = [&](Matrix& m, Access) {
        if (m.tensor == gone) m = whole;
      };
      for (Operation& operation : list_) std::visit([&](auto& o) { o.views(rename); }, operation);
      erase({i--});
    }
  }

  void attach_epilogues() {
    for (int i = 0; i < int(list_.size()); ++i) {
      Product* const product = std::get_if<Product>(&list_[i]);
      const Store* const store = product ? std::get_if<Store>(&product->epilogue) : nullptr;
      if (!store || store->accumulate) continue;
      const Matrix between = store->out;
      const auto all = readers(between.tensor);
      if (all.empty() || only_writer(between.tensor) != i || !can_wait(i, all[0])) continue;
      Apply* const reader = std::get_if<Apply>(&list_[all[0]]);
      if (const Observe* const e = applied<Observe>(all[0]); e && !is_narrow(e->law)) continue;
      if (!reader || (all.size() > 1 && all[1] == all[0])) continue;
      const bool wanted = all.size() > 1 || kept(between.tensor);
      bool fits = false;
      std::visit(
          [&](auto& e) {
            fits = e.in.tensor == between.tensor;
            if constexpr (requires { e.plus; }) {
              if (fits && wanted) e.stored = between;
            } else {
              fits = fits && !wanted;
            }
            if (fits) e.in = {};
          },
          reader->epilogue);
      if (!fits) continue;
      const int at = all[0];
      list_[at] = Product{product->a, product->b, product->b_transposed, reader->epilogue};
      split_terms(at);
      erase({i--});
    }
  }

  /// Rates, the law of the counts under them, and the gradient through both share a pass.
  void join_rates() {
    for (int i = 0; i < int(list_.size()); ++i) {
      const Rates* const rates = std::get_if<Rates>(&list_[i]);
      if (!rates) continue;
      const int between = rates->out.tensor;
      const auto all = readers(between);
      const int j = all.empty() ? 0 : all[0];
      const Observe* const e = applied<Observe>(j);
      if (!e || e->in.tensor != between || e->bias.tensor || e->stored.tensor ||
          !has_rates(e->law) || only_writer(between) != i || !can_wait(i, j))
        continue;
      ObserveRates joined{*rates, *e};
      std::set<int> gone{i};
      if (e->score.tensor && rates->softmax) {
        const auto through = gradient_of_rates(*e, *rates);
        if (!through) continue;
        const Matrix dtheta = std::get<RatesGradient>(list_[*through]).out;
        const int score = e->score.tensor;
        for (Operation& operation : list_)
          if (auto* const bound = std::get_if<ImportanceBound>(&operation))
            if (bound->score.tensor == score) bound->score = dtheta;
        joined.observe.score = dtheta;
        gone.insert(*through);
      }
      const int log_sum = rates->log_sum.tensor;
      const auto sums = readers(log_sum);
      if (!kept(log_sum) &&
          std::all_of(sums.begin(), sums.end(), [&](int reader) { return gone.count(reader); }))
        joined.rates.log_sum = {};
      const auto totals = only_writer(rates->log_size.tensor);
      const auto* const total = totals ? std::get_if<LogTotals>(&list_[*totals]) : nullptr;
      if (total && total->in.tensor == e->x.tensor && rates->repeat == e->repeat &&
          !kept(total->out.tensor) && readers(total->out.tensor) == std::vector{i})
        joined.rates.log_size = {}, gone.insert(*totals);
      joined.observe.stored = kept(between) || all.size() > 1 ? rates->out : Matrix{};
      joined.observe.in = joined.rates.out = {};
      list_[j] = joined;
      erase(gone);
      i = -1;
    }
  }
  /// What takes the score through the rates, if nobody else has it but who weighs its rows before.
  std::optional<int> gradient_of_rates(const Observe& e, const Rates& rates) {
    std::optional<int> through;
    if (kept(e.score.tensor)) return through;
    for (const int r : readers(e.score.tensor)) {
      const auto* const gradient = std::get_if<RatesGradient>(&list_[r]);
      const auto* const bound = std::get_if<ImportanceBound>(&list_[r]);
      const bool fits = gradient && !through && gradient->in.tensor == e.score.tensor &&
                        gradient->theta.tensor == rates.theta.tensor &&
                        only_writer(gradient->out.tensor) == r;
      if (fits) through = r;
      else if (!bound || through) return std::nullopt;
    }
    return through;
  }

  /// A normalisation works out its own argument, or the gradient that reaches it, if that is a
  /// product of little depth.
  void join_narrow_products() {
    for (int j = 0; j < int(list_.size()); ++j) {
      if (auto* const norm = std::get_if<NormaliseColumns>(&list_[j]); norm && norm->training)
        j -= join_narrow_product(j, norm->norm.x.tensor, norm->product);
      if (auto* const norm = std::get_if<NormaliseColumnsGradient>(&list_[j]))
        j -= join_narrow_product(j, norm->dy.tensor, norm->product);
    }
  }
  int join_narrow_product(int j, int between, NarrowProduct& into) {
    const auto i = only_writer(between);
    const Product* const product = i && *i < j ? std::get_if<Product>(&list_[*i]) : nullptr;
    if (!product || product->depth() > NarrowProduct::most || readers(between)[0] != j ||
        !can_wait(*i, j))
      return 0;
    const auto* const layer = std::get_if<BiasActivate>(&product->epilogue);
    const auto* const store = std::get_if<Store>(&product->epilogue);
    if (layer ? !std::holds_alternative<Identity>(layer->activation) : !store || store->accumulate)
      return 0;
    into = {product->a, product->b, layer ? layer->bias : Matrix{}, {}, product->b_transposed};
    erase({*i});
    return 1;
  }

  /// The links that an operation is, if it can be part of a chain; a product is one.
  static std::vector<Product> links_of(const Operation& operation) {
    if (const auto* const chain = std::get_if<Chain>(&operation)) return chain->links;
    const Product* const product = std::get_if<Product>(&operation);
    if (!product || product->gathers() || product->columns() > Chain::widest ||
        product->depth() > Chain::widest || !left_by(*product))
      return {};
    return {*product};
  }
  /// What the next link of a chain would take from this one; 0: there cannot be one.
  static int left_by(const Product& product) {
    return std::visit(
        [&]<class E>(const E& e) {
          constexpr bool forward = requires { e.bias; };
          if (forward != product.b_transposed) return 0;
          if constexpr (std::is_same_v<E, Observe>) return 0;
          else if constexpr (std::is_same_v<E, SampleLatent>) return e.z.tensor;
          else if constexpr (std::is_same_v<E, Store>) return e.accumulate ? 0 : e.out.tensor;
          else return e.out.tensor;
        },
        product.epilogue);
  }
  /// A chain's tile is as wide as its widest link: terms come in one part.
  void one_part(const Product& link) {
    const auto* const sample = std::get_if<SampleLatent>(&link.epilogue);
    if (!sample || !sample->terms.tensor) return;
    Matrix& terms = program_.tensors.at(sample->terms.tensor)->matrix;
    terms.columns = 1, terms.stride = padded(1);
  }

  /// A product emits each row's terms in as many parts as it has tiles across.
  void split_terms(int at) {
    Product& product = std::get<Product>(list_[at]);
    Matrix* terms = nullptr;
    std::visit(
        [&](auto& e) {
          if constexpr (requires { e.terms; }) terms = e.terms.tensor ? &e.terms : nullptr;
        },
        product.epilogue);
    if (!terms) return;
    const int parts = program_.device().backend().ops().term_columns(product);
    if (parts == terms->columns) return;
    const int whole = terms->tensor;
    const auto all = readers(whole);
    const bool summed_anyway = !kept(whole) && std::all_of(all.begin(), all.end(), [&](int r) {
      return std::holds_alternative<Objective>(list_[r]) ||
             std::holds_alternative<ImportanceBound>(list_[r]);
    });
    if (summed_anyway) {
      Matrix& m = program_.tensors.at(whole)->matrix;
      m.columns = parts, m.stride = padded(parts);
      return;
    }
    const Matrix sums = *terms;
    *terms = program_.transient({terms->rows, parts})->matrix;
    list_.insert(list_.begin() + at + 1, RowSum{*terms, sums});
  }

  void attach_updates() {
    for (int j = 0; j < int(list_.size()); ++j) {
      if (!std::holds_alternative<UpdateAll>(list_[j])) continue;
      std::vector<Update> rest;
      std::set<int> moved;
      WeightGradients rows;
      const std::vector<Update> updates = std::get<UpdateAll>(list_[j]).updates;
      for (const Update& update : updates) {
        const int gradient = update.in.tensor;
        const auto writer = only_writer(gradient);
        auto* const group = writer ? std::get_if<WeightGradients>(&list_[*writer]) : nullptr;
        const bool fits = group && *writer < j && !update.clip.tensor && !kept(gradient) &&
                          readers(gradient).size() == 1 &&
                          (moved.count(*writer) || can_wait(*writer, j));
        if (!fits && !update.clip.tensor && update.w.rows == 1) {
          rows.layers.push_back(row_update(update, moved));
          continue;
        }
        if (!fits) {
          rest.push_back(update);
          continue;
        }
        moved.insert(*writer);
        pending_.push_back({*writer, gradient, update});
      }
      Operations fused;
      for (int i : moved) {
        if (std::holds_alternative<ColumnSum>(list_[i])) continue;  // in `rows`
        auto group = std::get<WeightGradients>(list_[i]);
        for (WeightGradient& layer : group.layers)
          for (Sink* sink : {&layer.weight, &layer.bias})
            for (const auto& [writer, gradient, update] : pending_)
              if (writer == i && sink->gradient.tensor == gradient)
                *sink = {.updates = true, .update = update}, sink->update.in = {};
        fused.push_back(group);
      }
      pending_.clear();
      if (!rows.layers.empty()) fused.push_back(rows);
      if (rest.empty()) moved.insert(j);
      std::get<UpdateAll>(list_[j]).updates = rest;
      const int shift =
          int(std::count_if(moved.begin(), moved.end(), [&](int i) { return i < j; }));
      const bool gone = rest.empty();
      erase(moved);
      list_.insert(list_.begin() + (j - shift), fused.begin(), fused.end());
      j += int(fused.size()) - shift - int(gone);
    }
  }

  /// A parameter of one row is updated like a bias: from the column sums of its gradient's one row,
  /// or of the rows that an operation sums for it, which is then gone.
  WeightGradient row_update(const Update& update, std::set<int>& gone) {
    WeightGradient layer{.dy = update.in, .x = {}, .weight = {}, .bias = {}};
    layer.bias = {.updates = true, .update = update};
    layer.bias.update.in = {};
    const int gradient = update.in.tensor;
    const auto writer = only_writer(gradient);
    const auto* const sum = writer ? std::get_if<ColumnSum>(&list_[*writer]) : nullptr;
    if (sum && sum->in.columns == sum->out.columns && !kept(gradient) &&
        readers(gradient).size() == 1 && only_writer(sum->in.tensor))
      layer.dy = sum->in, gone.insert(*writer);
    return layer;
  }

  void group_weight_gradients() {
    Operations grouped;
    std::optional<Operation> group;
    const auto close = [&] {
      if (group) grouped.push_back(*group);
      group.reset();
    };
    for (Operation& operation : list_) {
      if (group && conflict(*group, operation)) close();
      if (auto* const next = std::get_if<WeightGradients>(&operation)) {
        if (!group) group = WeightGradients{};
        auto& layers = std::get<WeightGradients>(*group).layers;
        layers.insert(layers.end(), next->layers.begin(), next->layers.end());
      } else {
        grouped.push_back(operation);
      }
    }
    close();
    list_ = std::move(grouped);
  }

  /// The batch is transformed as it is gathered.
  void attach_transforms() {
    for (int j = 0; j < int(list_.size()); ++j) {
      const Transform* const transform = std::get_if<Transform>(&list_[j]);
      const auto i = transform ? only_writer(transform->in.tensor) : std::nullopt;
      Gather* const gather = i && *i < j ? std::get_if<Gather>(&list_[*i]) : nullptr;
      if (!gather || gather->seen.tensor || only_writer(transform->out.tensor) != j) continue;
      gather->seen = transform->out, gather->kind = transform->kind;
      erase({j--});
    }
  }

  /// What reads a batch, or what a transform makes of it, goes through lists of what is not 0
  /// instead, where all do that read it.
  void list_rows() {
    const Real most = program_.device().backend().ops().lists_up_to();
    for (int i = 0; i < int(list_.size()) && most > 0; ++i) {
      Gather* const gather = std::get_if<Gather>(&list_[i]);
      if (!gather || gather->source.filled > most) continue;
      const Matrix out = gather->out, seen = gather->seen;
      const bool of_seen = seen.tensor && Lists::take(gather->kind) && takes_lists(i, seen.tensor);
      const bool of_out = (of_seen || !seen.tensor) && takes_lists(i, out.tensor);
      if (!of_seen && !of_out) continue;
      const Matrix memory = Lists::memory_of(out.rows, out.columns, of_seen);
      Lists lists{program_.transient({memory.rows, memory.columns})->matrix, out.columns,
                  gather->source.filled};
      if (of_out) gather->out.tensor = 0, give_lists(out.tensor, lists);
      lists.transformed = of_seen;
      if (of_seen) gather->seen = {}, give_lists(seen.tensor, lists);
      gather->lists = lists;
    }
  }
  /// Calls f(the matrix, its lists) for all that an operation may read as lists.
  template <class F>
  static void may_read_lists(Operation& operation, F&& f) {
    if (auto* const product = std::get_if<Product>(&operation)) f(product->a, product->lists);
    if (auto* const group = std::get_if<WeightGradients>(&operation))
      for (WeightGradient& layer : group->layers) f(layer.x, layer.lists);
    if (auto* const rates = std::get_if<ObserveRates>(&operation))
      f(rates->observe.x, rates->lists);
  }
  bool takes_lists(int writer, int tensor) {
    if (kept(tensor) || only_writer(tensor) != writer) return false;
    long as_lists = 0, in_all = 0;
    for (Operation& operation : list_) {
      may_read_lists(operation, [&](const Matrix& m, Lists&) { as_lists += m.tensor == tensor; });
      for (const Use& use : uses(operation))
        in_all += use.tensor == tensor && use.access != Access::write;
    }
    return as_lists == in_all;
  }
  void give_lists(int tensor, const Lists& lists) {
    for (Operation& operation : list_)
      may_read_lists(operation, [&](const Matrix& m, Lists& to) {
        if (m.tensor == tensor) to = lists;
      });
  }

  /// Products of a data set's bytes are told of what their numbers are multiples.
  void note_units() {
    for (int i = 0; i < int(list_.size()); ++i) {
      const Gather* const gather = std::get_if<Gather>(&list_[i]);
      if (!gather || only_writer(gather->out.tensor) != i) continue;
      const int out = gather->out.tensor;
      const Source& source = gather->source;
      if ((source.type != Source::Type::bits && source.type != Source::Type::u8) ||
          !std::isnormal(1 / source.scale))
        continue;
      for (const int reader : readers(out))
        if (auto* const product = std::get_if<Product>(&list_[reader])) {
          if (product->a.tensor == out) product->unit = source.scale;
        } else if (auto* const group = std::get_if<WeightGradients>(&list_[reader])) {
          for (WeightGradient& layer : group->layers)
            if (layer.x.tensor == out) layer.unit = source.scale;
        }
    }
  }

  /// The one tensor that a product could leave behind in the gather's place, or 0: the rows of a
  /// dense source, or lists.
  static int alone_made_by(const Gather& gather) {
    const int lists = gather.lists.memory.tensor, rows = gather.out.tensor;
    if (gather.seen.tensor || (lists && rows)) return 0;
    return lists ? lists : gather.source.sparse() ? 0 : rows;
  }
  /// The first layer's product takes the batch from the data set itself.
  void attach_gathers() {
    for (int i = 0; i < int(list_.size()); ++i) {
      const Gather* const gather = std::get_if<Gather>(&list_[i]);
      const int made = gather ? alone_made_by(*gather) : 0;
      if (!made || only_writer(made) != i) continue;
      const auto all = readers(made);
      Product* const product = all.empty() ? nullptr : std::get_if<Product>(&list_[all[0]]);
      if (!product || (product->a.tensor != made && product->lists.memory.tensor != made) ||
          product->b.tensor == made || !can_wait(i, all[0]) ||
          !std::holds_alternative<BiasActivate>(product->epilogue))
        continue;
      product->gather = *gather;
      erase({i--});
    }
  }

  /// The objective and the counters ride in the step's last launch.
  void attach_tail() {
    const int end = int(list_.size()) - 1;
    if (end < 1 || !std::holds_alternative<Advance>(list_[end])) return;
    auto* const last = std::get_if<WeightGradients>(&list_[end - 1]);
    if (!last) return;
    std::set<int> gone{end};
    for (int i = end - 2; i >= 0; --i)
      if (const auto* objective = std::get_if<Objective>(&list_[i]);
          objective && can_wait(i, end)) {
        last->tail.objective = *objective;
        gone.insert(i);
        break;
      }
    last->tail.advance = std::get<Advance>(list_[end]);
    erase(gone);
  }

  void drop_leavings() {
    for (int i = int(list_.size()) - 1; i >= 0; --i) {
      if (std::holds_alternative<Objective>(list_[i]) || moves_counters(list_[i]) ||
          sums_losses(list_[i]))
        continue;
      const auto all = uses(list_[i]);
      const bool needed = std::any_of(all.begin(), all.end(), [&](const Use& use) {
        if (use.access == Access::read) return false;
        if (kept(use.tensor)) return true;
        const auto reading = readers(use.tensor);
        return std::any_of(reading.begin(), reading.end(), [&](int r) { return r > i; });
      });
      if (!needed) erase({i});
    }
  }

  /// Side scores that are only summed over their rows are summed in part where they are made.
  void sum_side_scores() {
    const int together = program_.device().backend().ops().summed_rows();
    if (together == 1) return;
    for (int i = 0; i < int(list_.size()); ++i) {
      const auto* const rates = std::get_if<ObserveRates>(&list_[i]);
      const int side = rates ? rates->observe.side_score.tensor : 0;
      if (!side || kept(side) || only_writer(side) != i) continue;
      const auto all = readers(side);
      const bool summed = std::all_of(all.begin(), all.end(), [&](int r) {
        if (std::holds_alternative<ColumnSum>(list_[r])) return true;
        const auto* const group = std::get_if<WeightGradients>(&list_[r]);
        return group && std::all_of(group->layers.begin(), group->layers.end(), [&](const auto& l) {
                 return l.x.tensor != side && (l.dy.tensor != side || !l.x.tensor);
               });
      });
      Matrix& m = program_.tensors.at(side)->matrix;
      if (summed) m.rows = (m.rows + together - 1) / together;
    }
  }

  /// A large batch's last layer, the law of its counts, and the product that takes their score back
  /// go through its rows together.
  void join_decoders() {
    const int least = program_.device().backend().ops().decodes_rates();
    for (int i = 0; least > 0 && i + 2 < int(list_.size()); ++i) {
      const auto* const decode = std::get_if<Product>(&list_[i]);
      const auto* const rates = std::get_if<ObserveRates>(&list_[i + 1]);
      const auto* const back = std::get_if<Product>(&list_[i + 2]);
      if (!decode || !rates || !back || decode->rows() < least || decode->gathers()) continue;
      const int theta = rates->rates.theta.tensor;
      if (left_by(*decode) != theta) continue;
      if (kept(theta) || readers(theta) != std::vector{i + 1} || only_writer(theta) != i ||
          !rates->observe.score.tensor || back->a.tensor != rates->observe.score.tensor ||
          back->rows() != decode->rows())
        continue;
      list_[i] = DecodeRates{*decode, *rates, *back};
      erase({i + 1, i + 2});
    }
  }

  struct Pending {
    int writer, gradient;
    Update update;
  };

  Program& program_;
  Operations& list_;
  std::vector<Pending> pending_;
};

}  // namespace

void fuse(Program& program) { Planner(program).fuse(); }
void chain(Program& program) {
  if (program.device().backend().ops().chains()) Planner(program).chain();
}

void place(Program& program) {
  constexpr std::size_t alignment = 256;
  std::set<int> used;
  for (Operation& operation : program.operations)
    for (const Use& use : uses(operation)) used.insert(use.tensor);
  std::erase_if(program.tensors, [&](const auto& entry) { return !used.count(entry.first); });

  std::size_t bytes = 0;
  std::map<int, std::size_t> offsets;
  for (const auto& [tensor, storage] : program.tensors) {
    offsets[tensor] = bytes;
    const Matrix& m = storage->matrix;
    bytes +=
        (std::size_t(m.rows) * m.stride * sizeof(Real) + alignment - 1) / alignment * alignment;
  }
  const Device device = program.device();
  const std::shared_ptr<void> block(device.backend().allocate(bytes),
                                    [device](void* memory) { device.backend().release(memory); });
  for (auto& [tensor, storage] : program.tensors) {
    storage->memory = block;
    storage->matrix.data =
        reinterpret_cast<Real*>(static_cast<std::byte*>(block.get()) + offsets[tensor]);
  }
  const auto bind = [&](Matrix& m, Access) {
    if (const auto found = program.tensors.find(m.tensor); found != program.tensors.end())
      m = found->second->matrix;
  };
  for (Operation& operation : program.operations)
    std::visit([&](auto& o) { o.views(bind); }, operation);
}

}  // namespace elbo
