#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <limits>
#include <mutex>
#include <type_traits>

#include "app/latents.h"
#include "app/pictures.h"
#include "app/train_command.h"
#include "data/lists.h"
#include "data/npy.h"
#include "models/evaluation.h"
#include "models/scores.h"

// What python/elbo/__init__.py stands on: arrays become data sets, and each call is that of the
// command of the same name, without its files.

namespace nb = nanobind;

namespace elbo {
namespace {

/// Of any type and device; nanobind copies what is not in C order.
using Array = nb::ndarray<nb::ro, nb::c_contig>;
using Indices = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// As NumPy writes it into files: <f4.
std::string type_of(nb::dlpack::dtype type) {
  const auto is = [&](nb::dlpack::dtype_code code) { return type.code == std::uint8_t(code); };
  const char kind = is(nb::dlpack::dtype_code::Bool)      ? 'b'
                    : is(nb::dlpack::dtype_code::Int)     ? 'i'
                    : is(nb::dlpack::dtype_code::UInt)    ? 'u'
                    : is(nb::dlpack::dtype_code::Float)   ? 'f'
                    : is(nb::dlpack::dtype_code::Complex) ? 'c'
                                                          : 'V';
  return (type.bits > 8 ? "<" : "|") + (kind + std::to_string(type.bits / 8));
}

Dataset of_array(const Array& array) {
  require(array.device_type() == nb::device::cpu::value,
          "array: lies on another device, expected the memory of the CPU");
  NpyShape shape{type_of(array.dtype()), {}};
  for (std::size_t i = 0; i < array.ndim(); ++i) shape.extents.push_back(long(array.shape(i)));
  const nb::gil_scoped_release free;
  return parse_array("array", shape, static_cast<const std::uint8_t*>(array.data()));
}

Dataset of_lists(const Indices& starts, const Indices& columns, const Values& values, long rows,
                 long width) {
  const nb::gil_scoped_release free;
  require(rows > 0 && width > 0 && width <= std::numeric_limits<int>::max(), "array: is ", rows,
          " x ", width, ", expected data");
  require(starts.size() == std::size_t(rows) + 1 && columns.size() == values.size() &&
              starts(0) == 0 && starts(rows) == long(values.size()) &&
              std::is_sorted(starts.data(), starts.data() + starts.size()),
          "array: ", starts.size(), " starts, ", columns.size(), " columns and ", values.size(),
          " values are no lists of ", rows, " rows");
  for (std::size_t i = 0; i < values.size(); ++i) {
    require(columns(i) >= 0 && columns(i) < width, "array: lists column ", columns(i),
            ", expected columns from 0 to ", width - 1);
    require(!std::isinf(values(i)), "array: lists ", values(i), ", expected finite numbers or NaN");
  }
  Dataset data;
  data.source = "array", data.rows = rows, data.columns = int(width);
  store(data, ListedRows{{starts.data(), starts.data() + starts.size()},
                    {columns.data(), columns.data() + columns.size()},
                    {values.data(), values.data() + values.size()}});
  return data;
}

void annotate(Dataset& data, std::string name, std::vector<std::string> levels,
              const Values& values) {
  require(long(values.size()) == data.rows, name, ": has ", values.size(), " elements, expected ",
          data.rows);
  data.annotations.push_back(
      {std::move(name), std::move(levels), {values.data(), values.data() + values.size()}});
}

/// An array that owns the numbers, which stay where they are.
template <class T>
nb::object owning(std::vector<T> numbers, const std::vector<std::size_t>& shape) {
  auto* const held = new std::vector<T>(std::move(numbers));
  const nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T>(held->data(), shape.size(), shape.data(), owner));
}

/// Row-major, as many columns as that makes.
nb::object rows_of(std::vector<float> numbers, std::size_t rows) {
  const std::size_t columns = rows > 0 ? numbers.size() / rows : 0;
  return owning(std::move(numbers), {rows, columns});
}

/// What the words ask for.  data: what stands in place of files, by the names that the words have;
/// used up.  KeyboardInterrupt stops it as Ctrl-C stops the executable.
void train(std::vector<std::string> words, const std::map<std::string, Dataset*>& data,
           bool quiet) {
  TrainCommand command;
  command.line = "elbo.train";
  for (const std::string& word : words) command.line += " " + word;
  try {
    CLI::App app;
    app.set_help_flag();
    add_train_options(&app, command);
    std::reverse(words.begin(), words.end());  // the order that CLI11 takes words in
    app.parse(std::move(words));
    finish_train(&app, command);
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  TrainingHost host{.quiet = quiet};
  host.read = [&](const std::string& what) {
    const auto found = data.find(what);
    return found != data.end() ? std::move(*found->second) : read_dataset(what);
  };
  using Clock = std::chrono::steady_clock;
  bool stopped = false;
  Clock::time_point asked;
  host.interrupted = [&] {
    // Python's lock may be some milliseconds away.
    if (!stopped && Clock::now() - asked > std::chrono::milliseconds(50)) {
      const nb::gil_scoped_acquire lock;
      stopped = PyErr_CheckSignals() != 0;
      asked = Clock::now();
    }
    return stopped ? SIGINT : 0;
  };
  try {
    const nb::gil_scoped_release free;
    run(command, host);
  } catch (const std::exception&) {
    if (!stopped) throw;
  }
  if (stopped) nb::raise_python_error();
}

/// A run's model.  One call at a time; the others wait, without Python's lock.
class Trained {
 public:
  Trained(const std::string& run, const std::string& device) : Trained(RunDirectory(run), device) {}

  nb::tuple encode(Dataset& data, std::uint64_t seed) {
    Encoded latents = work([&] {
      Batches batches = taken(data);
      return elbo::encode(model_, batches, seed);
    });
    const auto rows = std::size_t(data.rows);
    if (!model_.variational())
      return nb::make_tuple(rows_of(std::move(latents.mean), rows), nb::none(), nb::none());
    return nb::make_tuple(rows_of(std::move(latents.mean), rows),
                          rows_of(std::move(latents.log_variance), rows),
                          rows_of(std::move(latents.sample), rows));
  }

  nb::object decode(const Dataset& latents, const std::string& condition) {
    return rows_of(work([&] { return decoded_mean(model_, latents, condition); }),
                   std::size_t(latents.rows));
  }

  nb::object sample(long count, const std::string& mode, std::uint64_t seed, double temperature,
                    const std::string& condition) {
    std::vector<float> x = work([&] {
      require(count >= 1, "sample: n is ", count, ", expected at least 1");
      require(temperature >= 0, "sample: temperature is ", temperature, ", expected 0 or more");
      std::vector<float> z = prior_latents(model_, count, seed);
      for (float& number : z) number *= float(temperature);
      return in_mode(mode, model_, elbo::decode(model_, z, told_by(model_, condition)), seed);
    });
    const auto rows = std::size_t(count), columns = std::size_t(model_.config().columns());
    if (mode != "params") return rows_of(std::move(x), rows);
    return owning(std::move(x), {rows, columns, model_.parameter_names().size()});
  }

  nb::object score(Dataset& data, int samples, std::uint64_t seed) {
    Scores s = work([&] {
      Batches batches = taken(data);
      return scores(model_, batches, {.samples = samples, .seed = seed});
    });
    return owning(std::move(s.log_evidence), {std::size_t(data.rows)});
  }

  nb::object reconstruct(Dataset& data) {
    return rows_of(work([&] {
                     Batches batches = taken(data);
                     return elbo::reconstruct(model_, batches);
                   }),
                   std::size_t(data.rows));
  }

  std::string config() const { return to_json(model_.config()); }
  std::vector<std::string> parameters() const { return model_.parameter_names(); }

 private:
  Trained(const RunDirectory& folder, const std::string& device)
      : model_(folder.load_model(device_named(device, folder))) {}

  Batches taken(Dataset& data) const {
    data = model_.taken(std::move(data));
    return Batches(model_.device(), data, 0);
  }

  template <class F>
  std::invoke_result_t<F> work(F f) {
    const nb::gil_scoped_release free;
    const std::lock_guard one(calls_);
    return f();
  }

  Model model_;
  std::mutex calls_;
};

}  // namespace
}  // namespace elbo

NB_MODULE(_elbo, m) {
  using namespace elbo;
  using Free = nb::call_guard<nb::gil_scoped_release>;
  nb::exception<Error>(m, "Error", PyExc_ValueError);
  m.attr("__version__") = version;
  nb::class_<Dataset>(m, "Dataset").def("annotate", annotate);
  m.def("of_array", of_array).def("of_lists", of_lists).def("train", train);
  nb::class_<Trained>(m, "Trained")
      .def(nb::init<const std::string&, const std::string&>(), Free())
      .def("encode", &Trained::encode)
      .def("decode", &Trained::decode)
      .def("sample", &Trained::sample)
      .def("score", &Trained::score)
      .def("reconstruct", &Trained::reconstruct)
      .def("config", &Trained::config)
      .def("parameters", &Trained::parameters);
}
