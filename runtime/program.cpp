#include "runtime/program.h"

#include <chrono>
#include <cmath>
#include <set>
#include <sstream>

#include "runtime/error.h"
#include "runtime/planner.h"

namespace elbo {

namespace {

thread_local Program* recorded = nullptr;

/// What is recorded outside a Step, one program a device.
std::vector<std::unique_ptr<Program>>& unbound() {
  thread_local std::vector<std::unique_ptr<Program>> programs;
  return programs;
}

/// Whether all can be phases of one kernel, and launches weigh beside the rows of their products.
bool gains_by_phases(const Program& program) {
  constexpr int most_rows = 512;
  for (const Operation& operation : program.operations)
    if (const auto* product = std::get_if<Product>(&operation))
      if (product->rows() > most_rows) return false;
  int refused = 0;
  return program.device().backend().ops().phases(program.operations, refused) != nullptr;
}

}  // namespace

Program& Program::current(const Device& device) {
  if (recorded) {
    require(recorded->device() == device, "a tensor on ", device.name(),
            " in a step that is recorded for ", recorded->device().name());
    return *recorded;
  }
  for (const auto& program : unbound())
    if (program->device() == device) return *program;
  return *unbound().emplace_back(std::make_unique<Program>(device));
}

bool Program::recording() { return recorded != nullptr; }

Program::Recording::Recording(Program& program) : outer_(recorded) { recorded = &program; }
Program::Recording::~Recording() { recorded = outer_; }

std::shared_ptr<Storage> Program::transient(Shape shape) {
  auto storage = std::make_shared<Storage>(device_, shape);
  tensors[storage->matrix.tensor] = storage;
  return storage;
}

const Matrix& Program::use(const Tensor& t) {
  if (t.storage()->memory) operands.push_back(t.storage());
  return t.matrix();
}

bool Program::plan(Plan how, bool phased) {
  if (how != Plan::composed) fuse(*this);
  phased = phased && gains_by_phases(*this);
  if (how == Plan::fused && !phased) chain(*this);
  place(*this);
  return phased;
}

void Program::run(std::size_t first, std::size_t last) const {
  const Ops& ops = device_.backend().ops();
  for (std::size_t i = first; i < last; ++i)
    std::visit([&](const auto& o) { ops.run(o); }, operations[i]);
}

std::vector<double> Program::run_timed() const {
  using Clock = std::chrono::steady_clock;
  Backend& backend = device_.backend();
  std::vector<double> seconds;
  backend.wait();
  for (const Operation& operation : operations) {
    const auto start = Clock::now();
    std::visit([&](const auto& o) { backend.ops().run(o); }, operation);
    backend.wait();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

namespace {

/// The matrices that hold data, as they are or spoilt.
struct DataOf {
  std::set<int>& data;
  void operator()(const Gather& o) const {
    data.insert(o.out.tensor), data.insert(o.lists.memory.tensor);
  }
  void operator()(const Product& o) const {
    if (o.gathers()) data.insert(o.a.tensor), data.insert(o.lists.memory.tensor);
  }
  void operator()(const Chain& o) const {
    for (const Product& link : o.links) (*this)(link);
  }
  void operator()(const Corrupt& o) const { data.insert(o.out.tensor); }
  void operator()(const Columns& o) const { data.insert(o.out.tensor); }
  void operator()(const auto&) const {}
};

}  // namespace

std::optional<Program::NonFinite> Program::run_watched() const {
  Backend& backend = device_.backend();
  std::set<int> data;
  for (int i = 0; i < int(operations.size()); ++i) {
    Operation operation = operations[std::size_t(i)];
    std::visit([&](const auto& o) { backend.ops().run(o), DataOf{data}(o); }, operation);
    std::optional<NonFinite> found;
    const auto look = [&](const Matrix& m, Access access) {
      if (found || access == Access::read || !m.present() || m.rows == 0 || data.count(m.tensor))
        return;
      std::vector<Real> numbers(std::size_t(m.rows - 1) * m.stride + m.columns);
      backend.copy_to_host(numbers.data(), m.data, numbers.size() * sizeof(Real));
      for (int r = 0; r < m.rows && !found; ++r)
        for (int c = 0; c < m.columns && !found; ++c)
          if (const Real x = numbers[std::size_t(r) * m.stride + c]; !std::isfinite(x))
            found = NonFinite{i, m, r, c, double(x)};
    };
    std::visit([&](auto& o) { o.views(look); }, operation);
    if (found) return found;
  }
  return {};
}

void flush(const Device& device) {
  Program& program = Program::current(device);
  if (program.operations.empty()) return;
  program.plan(Program::Plan::fused);
  program.run();
  program.operations.clear();
  program.tensors.clear();
  program.operands.clear();
}

namespace {

struct Describe {
  std::ostream& out;
  static std::string size(const Matrix& m) {
    return "[" + std::to_string(m.rows) + "," + std::to_string(m.columns) + "]";
  }
  void operator()(const Store& e) const { out << (e.accumulate ? "add" : "store"); }
  void operator()(const BiasActivate&) const { out << "bias, activation"; }
  void operator()(const ActivationGradient&) const { out << "activation's slope"; }
  void operator()(const SampleLatent& e) const {
    out << (e.bias.tensor ? "bias, " : "") << (e.z.tensor ? "sample, KL" : "KL");
  }
  void operator()(const LatentGradient&) const { out << "gradient of sample and KL"; }
  void operator()(const Observe& e) const {
    out << (e.bias.tensor ? "bias, " : "") << (e.terms.tensor ? "log-likelihood" : "")
        << (e.terms.tensor && e.score.tensor ? ", " : "") << (e.score.tensor ? "score" : "");
  }
  void operator()(const Gather& o) const {
    out << "gather " << size(o.out);
    if (o.lists.present()) out << ", lists";
    if (o.seen.tensor) out << ", transformed to " << size(o.seen);
  }
  void operator()(const Product& o) const {
    out << (o.gathers() ? "gather, " : "") << (o.lists.present() ? "listed " : "") << "product ["
        << o.rows() << ',' << o.depth() << "] x [" << o.depth() << ',' << o.columns() << "]: ";
    std::visit(*this, o.epilogue);
  }
  void operator()(const Apply& o) const {
    out << "apply: ";
    std::visit(*this, o.epilogue);
  }
  void operator()(const WeightGradients& o) const {
    out << "weight gradients of " << o.layers.size() << " layers:";
    for (const WeightGradient& l : o.layers) {
      out << (l.lists.present() ? " listed [" : " [") << l.dy.columns;
      if (l.x.columns > 0) out << ',' << l.x.columns;
      out << ']' << (l.weight.updates || l.bias.updates ? " with update" : " stored");
    }
    if (o.tail.objective.count > 0) out << ", objective of " << o.tail.objective.count << " terms";
    if (o.tail.advance.state) out << ", ", (*this)(o.tail.advance);
  }
  void operator()(const ColumnSum& o) const { out << "column sum " << size(o.in); }
  void operator()(const RowSum& o) const { out << "row sum " << size(o.in); }
  void operator()(const Fill& o) const { out << "fill " << size(o.out); }
  void operator()(const Add& o) const { out << "add " << size(o.out); }
  void operator()(const Multiply& o) const {
    out << (o.b.tensor ? "multiply " : "copy ") << size(o.out);
  }
  void operator()(const Pointwise& o) const {
    out << (o.upstream.tensor ? "slope of a function " : "function ") << size(o.out);
  }
  void operator()(const Drop& o) const { out << "dropout " << size(o.in); }
  void operator()(const ColumnMoments& o) const { out << "moments of columns " << size(o.x); }
  void operator()(const NormaliseColumns& o) const {
    out << "normalise columns " << size(o.y) << (o.training ? " of the batch" : " as estimated")
        << (o.norm.mask.present() ? ", dropout" : "");
  }
  void operator()(const NormaliseColumnsGradient& o) const {
    out << "gradient of normalised columns " << size(o.dx);
  }
  void operator()(const CentreSlopes& o) const { out << "centre slopes " << size(o.dx); }
  void operator()(const NormaliseRows& o) const {
    out << "normalise rows " << size(o.y) << (o.norm.mask.present() ? ", dropout" : "");
  }
  void operator()(const NormaliseRowsGradient& o) const {
    out << "gradient of normalised rows " << size(o.dx);
  }
  void operator()(const SumSlopes& o) const {
    out << "gradient of scale and shift " << size(o.slope);
  }
  void operator()(const LogTotals& o) const { out << "log of row totals " << size(o.in); }
  void operator()(const Corrupt& o) const { out << "corrupt " << size(o.in); }
  void operator()(const Join& o) const { out << "join " << size(o.a) << " and " << size(o.b); }
  void operator()(const Columns& o) const { out << "columns " << size(o.out); }
  void operator()(const CountPresent& o) const { out << "count of entries " << size(o.x); }
  void operator()(const Experts& o) const { out << "product of experts " << size(o.out); }
  void operator()(const ExpertsGradient& o) const {
    out << "gradient of the product of experts " << size(o.out);
  }
  void operator()(const Rates& o) const {
    out << "rates " << size(o.out) << (o.softmax ? " by softmax" : " by size");
  }
  void operator()(const RatesGradient& o) const { out << "gradient of rates " << size(o.out); }
  void operator()(const ObserveRates& o) const {
    out << (o.lists.present() ? "listed " : "") << "rates " << size(o.rates.theta)
        << (o.rates.softmax ? " by softmax, " : " by size, ");
    (*this)(o.observe);
  }
  void operator()(const DecodeRates& o) const {
    (*this)(o.decode), out << "; ", (*this)(o.rates), out << "; ", (*this)(o.back);
  }
  void operator()(const Chain& o) const {
    out << "chain:";
    for (const Product& link : o.links) {
      out << (&link == o.links.data() ? " " : "; ");
      (*this)(link);
    }
  }
  void operator()(const Transform& o) const {
    out << "transform " << size(o.in) << " to " << size(o.out);
  }
  void operator()(const Objective& o) const { out << "objective of " << o.count << " terms"; }
  void operator()(const HoldSpread& o) const { out << "hold the spread of " << size(o.out); }
  void operator()(const SampleMany& o) const { out << "sample " << size(o.z); }
  void operator()(const AggregatePosterior& o) const {
    out << "aggregate posterior of " << o.q.rows << " at " << size(o.z);
  }
  void operator()(const SampleManyGradient& o) const {
    out << (o.doubly ? "doubly reparameterised " : "") << "gradient of " << o.noise.samples
        << " samples a datum";
  }
  void operator()(const ImportanceBound& o) const {
    out << (o.bound.tensor ? "importance-weighted bound" : "")
        << (o.bound.tensor && o.weights.tensor ? ", " : "") << (o.weights.tensor ? "weights" : "")
        << (o.score.tensor ? ", weighed score" : "");
  }
  void operator()(const UnitKl& o) const { out << "KL of " << o.means.rows << " units"; }
  void operator()(const FreeBits&) const { out << "KL with free bits"; }
  void operator()(const UpdateAll& o) const { out << "update " << o.updates.size() << " tensors"; }
  void operator()(const ClipScale& o) const {
    out << "norm of " << o.gradients.size() << " gradients";
  }
  void operator()(const GroupSum& o) const {
    out << "sum over the processes of ";
    if (o.numbers.size() == 1) out << size(o.numbers[0]);
    else out << o.numbers.size() << " tensors";
    if (o.count > 0) out << ", losses";
  }
  void operator()(const Advance& o) const {
    out << "advance" << (o.ascent.weight ? ", dual ascent" : "");
  }
};

}  // namespace

std::string Program::describe(int operation) const {
  std::ostringstream out;
  std::visit(Describe{out}, operations[std::size_t(operation)]);
  return out.str();
}

std::string Program::describe() const {
  std::string all;
  for (int i = 0; i < int(operations.size()); ++i) all += describe(i) + '\n';
  return all;
}

}  // namespace elbo
