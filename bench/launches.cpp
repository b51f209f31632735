// What a GPU launches in a step of each case of `elbo bench`: the kernels, found by letting the
// host executor go through the step without running it, and what each operation must multiply and
// move at the least, as a number and as a formula. bench_launches: JSON, {families: [{name, flops,
// bytes, checked}], cases: [{case, name, batch, precision, plan, operations: [{operation, family,
// kernels, flops, bytes}]}]}.  Needs no GPU, about 4 GB of memory, and fails where a formula gives
// another number than cost.h.
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/cases.h"
#include "bench/formulas.h"
#include "bench/synthetic.h"
#include "bench/training.h"
#include "kernels/cuda/tiling.h"
#include "kernels/large_products.h"
#include "kernels/simt/executor.h"
#include "nn/device_rows.h"
#include "runtime/error.h"

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

/// Stands for cuBLASLt: takes what it would, and notes it.
class NotedProducts final : public LargeProducts {
 public:
  bool takes(int m, int n, int k) override { return tiling::takes_library(m, n, k); }
  void multiply(Form form, const Factor& a, const Factor&, const Matrix& c, bool) override {
    const int depth = form == Form::atb ? a.rows : a.columns;
    noted.push_back("cuBLASLt " + std::to_string(c.rows) + "×" + std::to_string(c.columns) + "×" +
                    std::to_string(depth));
  }
  void* scratch(Slot, std::size_t) override { return room_; }  // nobody writes there
  std::string description() const override { return {}; }
  std::string choices() const override { return {}; }
  std::string choose(const std::string&) override { return {}; }

  std::vector<std::string> noted;

 private:
  alignas(16) unsigned char room_[16] = {};
};

struct Family {
  std::string flops, bytes;
  long checked = 0;
};

class Launches {
 public:
  Json of(Case which, Program::Plan plan, Real clip = 0) {
    which.rows = which.batch;
    const auto library = std::make_shared<NotedProducts>();
    const Device device = Device::simt(which.precision, library);
    const Training training(device, which, {.plan = plan, .clip = clip});
    // Of lists the values of a batch's rows, beside the ends that cost() counts.
    double listed = 0;
    if (which.epoch) {
      const Dataset data = synthetic_data(which);
      listed = RowFormat(data).bytes(0, double(data.starts.back()));
    }
    Json operations = Json::array();
    const Program& program = training.program();
    simt::configuration().dry = true;
    for (std::size_t i = 0; i < program.operations.size(); ++i) {
      const Operation& operation = program.operations[i];
      simt::clear_launches(), library->noted.clear();
      std::visit([&](const auto& o) { device.backend().ops().run(o); }, operation);
      Json kernels = library->noted;
      for (const simt::LaunchRecord& launch : simt::launches())
        kernels.push_back(launch.kernel + " of " + std::to_string(launch.grid.x) + " blocks");
      Cost must = cost(operation);
      const Formulas formula = formulas(operation);
      hold(formula, must, "case " + std::to_string(which.number) + ", " + program.describe(int(i)));
      ++families_[formula.name].checked;
      if (std::holds_alternative<Gather>(operation)) must.bytes += listed;
      operations.push_back({{"operation", program.describe(int(i))},
                            {"family", formula.name},
                            {"kernels", kernels},
                            {"flops", must.flops},
                            {"bytes", must.bytes}});
    }
    simt::configuration().dry = false;
    const char* const words[] = {"fp32", "tf32", "bf16"};
    return {{"case", which.number},
            {"name", which.name},
            {"batch", which.batch},
            {"precision", words[int(which.precision)]},
            {"plan", plan == Program::Plan::fused ? "fused" : "composed"},
            {"operations", operations}};
  }

  /// Operations of which no case has any: held with every matrix there.
  template <class... Operations>
  void add_others(const std::variant<Operations...>*) {
    (add(Operations{}), ...);
  }

  Json families() const {
    Json all = Json::array();
    for (const auto& [name, family] : families_)
      all.push_back({{"name", name},
                     {"flops", family.flops},
                     {"bytes", family.bytes},
                     {"checked", family.checked}});
    return all;
  }

 private:
  void hold(const Formulas& formula, const Cost& must, const std::string& where) {
    require(formula.flops.value == must.flops && formula.bytes.value == must.bytes, where,
            ": the formulas give ", formula.flops.value, " FLOP and ", formula.bytes.value,
            " bytes, cost() ", must.flops, " and ", must.bytes);
    Family& family = families_[formula.name];
    family.flops = formula.flops.text, family.bytes = formula.bytes.text;
  }
  template <class O>
  void add(O operation) {
    if (families_.contains(formulas(operation).name)) return;
    constexpr int rows = 6, columns = 4, most = 16;
    std::vector<Real> room(most * rows * columns);
    Real* next = room.data();
    operation.views([&](Matrix& m, Access) {
      m = {next, rows, columns, columns};
      next += rows * columns;
    });
    const Formulas formula = formulas(operation);
    hold(formula, cost(operation), formula.name);
  }

  std::map<std::string, Family> families_;
};

int run() {
  Launches launches;
  Json cases = Json::array();
  for (const Case& which : training_cases()) {
    cases.push_back(launches.of(which, Program::Plan::fused));
    std::fprintf(stderr, "case %d\n", which.number);
  }
  // What no case's fused step has: held against cost(), and not listed.
  for (Case which : training_cases()) {
    if (which.number == 8) continue;  // as case 1
    launches.of(which, Program::Plan::composed);
    if (which.number != 3) continue;
    launches.of(which, Program::Plan::fused, 1);
    which.model.norm = "layer";
    launches.of(which, Program::Plan::fused);
  }
  launches.add_others(static_cast<const Operation*>(nullptr));
  std::puts(Json{{"families", launches.families()}, {"cases", cases}}.dump(1).c_str());
  return 0;
}

}  // namespace

}  // namespace elbo

int main() {
  try {
    return elbo::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_launches: %s\n", error.what());
    return 1;
  }
}
