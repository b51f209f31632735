#pragma once
#include <algorithm>
#include <map>

#include "runtime/program.h"

namespace elbo {

/// What an operation must do at the least: the multiplications and additions of its products, and
/// the bytes of every number that it reads and of every number that it writes, each once.
/// Functions (exp, log) and draws are not counted, nor what is not in a batch's lists.
struct Cost {
  double flops = 0, bytes = 0;
  Cost& operator+=(Cost b) { return flops += b.flops, bytes += b.bytes, *this; }
};

inline Cost cost(Operation operation) {
  Cost c;
  struct Moved {
    double numbers = 0;
    bool read = false, written = false;
  };
  std::map<const Real*, Moved> matrices;
  std::map<const Real*, double> listed;  // of lists the numbers that are there
  const auto share = [&](const Lists& lists, int rows, int of_an_entry = 2) {
    if (!lists.present()) return 1.0;
    listed[lists.memory.data] = of_an_entry * (double(lists.filled) * rows * lists.columns);
    return double(lists.filled);
  };
  const auto count = [&](const Product& product) {
    const int written = product.gathers() ? 2 + product.gather.lists.transformed : 2;
    c.flops += 2.0 * product.rows() * product.columns() * product.depth() *
               share(product.lists, product.rows(), written);
  };
  if (const auto* gather = std::get_if<Gather>(&operation))
    share(gather->lists, gather->out.rows, 2 + gather->lists.transformed);
  if (const auto* product = std::get_if<Product>(&operation)) count(*product);
  if (const auto* rates = std::get_if<ObserveRates>(&operation))
    share(rates->lists, rates->observe.x.rows);
  if (const auto* decoder = std::get_if<DecodeRates>(&operation)) {
    count(decoder->decode), count(decoder->back);
    share(decoder->rates.lists, decoder->rates.observe.x.rows);
  }
  if (const auto* chain = std::get_if<Chain>(&operation))
    for (const Product& link : chain->links) count(link);
  if (const auto* gradients = std::get_if<WeightGradients>(&operation))
    for (const WeightGradient& layer : gradients->layers)
      c.flops += 2.0 * layer.dy.rows * layer.dy.columns * layer.x.columns *
                 share(layer.lists, layer.dy.rows);

  std::visit(
      [&](auto& o) {
        o.views([&](const Matrix& m, Access access) {
          if (!m.present()) return;
          Moved& moved = matrices[m.data];
          const auto in_lists = listed.find(m.data);
          moved.numbers = std::max(moved.numbers, in_lists != listed.end()
                                                      ? in_lists->second
                                                      : double(m.rows) * m.columns);
          moved.read |= access != Access::write;
          moved.written |= access != Access::read;
        });
      },
      operation);
  for (const auto& [data, moved] : matrices)
    c.bytes += double(sizeof(Real)) * moved.numbers * (moved.read + moved.written);

  // The order's numbers, and the rows of the data set in its own type: of lists only their ends,
  // since how long they are is not known here.
  const auto gathered = [](const Gather& gather) {
    return double(gather.out.rows) *
           (4.0 + (gather.source.sparse() ? 16.0 : double(gather.source.stride)));
  };
  const auto count_narrow = [&](const NarrowProduct& product) {
    c.flops += 2.0 * product.a.rows * product.out.columns * product.a.columns;
  };
  if (const auto* gather = std::get_if<Gather>(&operation)) c.bytes += gathered(*gather);
  if (const auto* product = std::get_if<Product>(&operation))
    if (product->gathers()) c.bytes += gathered(product->gather);
  if (const auto* norm = std::get_if<NormaliseColumns>(&operation)) count_narrow(norm->product);
  if (const auto* norm = std::get_if<NormaliseColumnsGradient>(&operation))
    count_narrow(norm->product);
  return c;
}

/// Of a whole step whose operations leave nothing in a cache for each other.
inline Cost cost(const Program& program) {
  Cost all;
  for (const Operation& operation : program.operations) all += cost(operation);
  return all;
}

}  // namespace elbo
