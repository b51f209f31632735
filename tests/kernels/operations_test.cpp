#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/kernels/devices.h"
#include "tests/tolerance.h"

namespace elbo::test {

namespace {

const Activation activations[] = {Identity{}, Relu{},     LeakyRelu{}, Elu{}, Tanh{},
                                  Sigmoid{},  Softplus{}, Silu{},      Gelu{}};

/// An epilogue with everything it reads in a device's memory; what it writes, and its terms.
struct Built {
  Epilogue epilogue;
  std::vector<Matrix> outputs;
  Matrix terms;
};

/// One way to use an epilogue on rows x units, each unit taking `width` numbers.
struct Case {
  std::string name;
  bool forward;
  int width;
  std::function<Built(Memory&, int rows, int units, int term_columns)> build;
};

/// Noise that is drawn for shuffled data in the middle of an epoch, or given.
Noise noise(Memory& memory, int rows, int units, bool given) {
  Noise out{.seed = 0x1234567890abcdef, .first_sample = 2};
  std::vector<std::uint32_t> order;
  for (int r = 0; r < rows + 5; ++r) order.push_back(std::uint32_t(97 * r % 1009));
  out.samples = 1;
  out.batch.order = memory.put(order);
  out.batch.state = memory.put(std::vector<StepState>{{.step = 3, .epoch = 2, .position = 5}});
  if (given) out.given = memory.put(uniform(rows, units, 91, -2, 2));
  return out;
}
Scale scale(Memory& memory) {
  return {.factor = Real(-0.25),
          .schedule = WarmUp{.value = Real(0.5), .steps = 10},
          .state = memory.put(std::vector<StepState>{{.step = 7}})};
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Activation& activation : activations) {
    const std::string kind = "activation " + std::to_string(activation.index());
    for (const bool keep : {false, true})
      all.push_back({kind + (keep ? ", keeping its input" : ""), true, 1,
                     [=](Memory& memory, int rows, int units, int) {
                       BiasActivate e{.activation = activation};
                       e.bias = memory.put(uniform(1, units, 21));
                       e.out = memory.out(rows, units);
                       Built built{e, {e.out}, {}};
                       if (keep) {
                         e.pre = memory.out(rows, units);
                         built = {e, {e.out, e.pre}, {}};
                       }
                       return built;
                     }});
    all.push_back({kind + ", backward", false, 1, [=](Memory& memory, int rows, int units, int) {
                     Values pre = uniform(rows, units, 22, -3, 3), y = pre;
                     for (Real& x : y.v) x = AnyActivation{activation}.value(x);
                     ActivationGradient e{.activation = activation};
                     e.y = memory.put(y), e.out = memory.out(rows, units);
                     if (needs_input(activation)) e.pre = memory.put(pre);
                     return Built{e, {e.out}, {}};
                   }});
  }
  for (const bool given : {false, true}) {
    const std::string drawn = given ? ", given noise" : ", drawn noise";
    all.push_back({"latent" + drawn, true, 2, [=](Memory& memory, int rows, int units, int parts) {
                     SampleLatent e;
                     e.bias = memory.put(uniform(1, 2 * units, 23));
                     e.stored = memory.out(rows, 2 * units), e.z = memory.out(rows, units);
                     e.terms = memory.out(rows, parts), e.noise = noise(memory, rows, units, given);
                     return Built{e, {e.stored, e.z}, e.terms};
                   }});
    for (const bool upstream : {false, true})
      all.push_back({"latent, backward" + drawn + (upstream ? ", weights" : ", one weight"), false,
                     1, [=](Memory& memory, int rows, int units, int) {
                       LatentGradient e;
                       e.q = memory.put(uniform(rows, 2 * units, 24)),
                       e.out = memory.out(rows, 2 * units);
                       if (upstream) e.upstream = memory.put(uniform(rows, 1, 25));
                       else e.scale = scale(memory);
                       e.noise = noise(memory, rows, units, given);
                       return Built{e, {e.out}, {}};
                     }});
  }
  all.push_back(
      {"latent, backward, with free bits", false, 1, [](Memory& memory, int rows, int units, int) {
         LatentGradient e{.floor = Real(0.4)};
         e.q = memory.put(uniform(rows, 2 * units, 24));
         e.means = memory.put(uniform(units, 1, 20, 0, 1));
         e.out = memory.out(rows, 2 * units);
         e.scale = scale(memory), e.noise = noise(memory, rows, units, false);
         return Built{e, {e.out}, {}};
       }});
  all.push_back({"latent, terms alone", true, 2, [](Memory& memory, int rows, int, int parts) {
                   SampleLatent e;
                   e.terms = memory.out(rows, parts);
                   return Built{e, {}, e.terms};
                 }});

  // σ known; from the decoder; one per feature; one for all.
  struct Law {
    std::string name;
    Likelihood law;
    int width, side;  // side: 0 none, 1 one for all, 2 one per feature
  };
  for (const Law& l : {Law{"Bernoulli", Bernoulli{}, 1, 0},
                       {"fixed Gaussian", FixedGaussian{Real(0.7)}, 1, 0},
                       {"Gaussian", Gaussian{}, 2, 0},
                       {"Gaussian, σ for all", Gaussian{}, 1, 1},
                       {"Gaussian, σ per feature", Gaussian{}, 1, 2}})
    for (int mode = 0; mode < 4; ++mode)
      all.push_back(
          {l.name + ", mode " + std::to_string(mode), true, l.width,
           [=](Memory& memory, int rows, int units, int parts) {
             Observe e{.law = l.law};
             Built built;
             if (l.side) e.side = memory.put(uniform(1, l.side == 1 ? 1 : units, 26));
             if (mode == 3 && rows % 2 == 0) e.repeat = 2;
             e.x = memory.put(uniform(rows / e.repeat, units, 27, 0, 1));
             if (mode != 0) e.bias = memory.put(uniform(1, units * l.width, 28));
             if (mode != 1) e.terms = built.terms = memory.out(rows, parts);
             if (mode >= 1) {
               e.score = memory.out(rows, units * l.width), built.outputs.push_back(e.score);
               if (mode == 1) e.upstream = memory.put(uniform(rows, 1, 29));
               else e.scale = scale(memory);
             }
             if (mode >= 2) {
               e.stored = memory.out(rows, units * l.width), built.outputs.push_back(e.stored);
               if (l.side)
                 e.side_score = memory.out(rows, units), built.outputs.push_back(e.side_score);
             }
             built.epilogue = e;
             return built;
           }});
  return all;
}

void set_in(Epilogue& epilogue, const Matrix& in) {
  std::visit([&](auto& e) { e.in = in; }, epilogue);
}

/// A row's terms, whatever parts they come in.
std::vector<double> row_sums(const Values& terms) {
  std::vector<double> sums;
  for (int r = 0; r < terms.rows; ++r) {
    double sum = 0;
    for (int c = 0; c < terms.columns; ++c) sum += terms(r, c);
    sums.push_back(sum);
  }
  return sums;
}

struct Results {
  std::vector<Values> outputs;
  std::vector<double> terms;
};
Results results(Memory& memory, const Built& built, int parts) {
  Results out;
  for (const Matrix& m : built.outputs) out.outputs.push_back(memory.get(m));
  if (built.terms.present()) {
    Matrix terms = built.terms;
    terms.columns = parts;
    out.terms = row_sums(memory.get(terms));
  }
  return out;
}

double worst_of(const Values& got, const Values& wanted, double roundings) {
  double worst = got.v.size() == wanted.v.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < got.v.size(); ++i) {
    const double off =
        std::abs(double(got.v[i]) - wanted.v[i]) / tolerance::formula(roundings, wanted.v[i]);
    if (!(off <= worst)) worst = std::isnan(off) ? INFINITY : off;
  }
  return worst;
}

/// A formula here is up to a dozen operations on values of a few units; a term is at most 10 nats.
constexpr double roundings = 12, largest_term = 10;

void expect_alike(const Results& got, const Results& wanted, int units) {
  ASSERT_EQ(got.outputs.size(), wanted.outputs.size());
  for (std::size_t i = 0; i < got.outputs.size(); ++i)
    EXPECT_LE(worst_of(got.outputs[i], wanted.outputs[i], roundings), 1) << "output " << i;
  ASSERT_EQ(got.terms.size(), wanted.terms.size());
  const double each = tolerance::formula(roundings, largest_term);
  for (std::size_t r = 0; r < got.terms.size(); ++r)
    EXPECT_NEAR(got.terms[r], wanted.terms[r],
                units * each + tolerance::sum(units, units * largest_term))
        << "terms of row " << r;
}

void each_other_device(const std::function<void(Backend&)>& body) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    if (device.name != "cpu") body(*device.backend);
  }
}
Backend& cpu() { return *make_backends(Precision::fp32).front().backend; }

struct Size {
  int rows, units;
};
// The last are of whole tiles.
const Size sizes[] = {{1, 1}, {33, 37}, {6, 301}, {66, 33}, {32, 48}};

}  // namespace

TEST(Epilogues, agree_with_the_cpu_on_stored_numbers) {
  for (const Case& c : cases())
    for (const auto [rows, units] : sizes) {
      SCOPED_TRACE(c.name + " on " + std::to_string(rows) + "x" + std::to_string(units));
      const Values in = uniform(rows, units * c.width, 31, -2, 2);
      const auto run = [&, rows = rows, units = units](Backend& backend) {
        Memory memory(backend);
        Built built = c.build(memory, rows, units, 1);
        set_in(built.epilogue, memory.put(in));
        memory.ops().run(Apply{built.epilogue});
        return results(memory, built, 1);
      };
      const Results wanted = run(cpu());
      each_other_device(
          [&, units = units](Backend& backend) { expect_alike(run(backend), wanted, units); });
    }
}

TEST(Epilogues, fused_equal_a_stored_product_and_the_epilogue_after_it) {
  constexpr int depth = 19;
  for (const Case& c : cases())
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
      for (const Named& device : make_backends(precision))
        for (const auto [rows, units] : sizes) {
          SCOPED_TRACE(c.name + " on " + device.name + ", " + std::to_string(rows) + "x" +
                       std::to_string(units) + ", precision " + std::to_string(int(precision)));
          const int columns = units * c.width;
          Memory memory(*device.backend);
          const Matrix a = memory.put(uniform(rows, depth, 41, -0.7, 0.7));
          const Matrix b = memory.put(c.forward ? uniform(columns, depth, 42, -0.7, 0.7)
                                                : uniform(depth, columns, 42, -0.7, 0.7));

          Product fused{a, b, c.forward, c.build(memory, rows, units, 1).epilogue};
          const int parts = memory.ops().term_columns(fused);
          const Built one = c.build(memory, rows, units, parts);
          fused.epilogue = one.epilogue;
          memory.ops().run(fused);

          Built two = c.build(memory, rows, units, 1);
          const Matrix between = memory.out(rows, columns);
          memory.ops().run(Product{a, b, c.forward, Store{.out = between}});
          set_in(two.epilogue, between);
          memory.ops().run(Apply{two.epilogue});

          expect_alike(results(memory, one, parts), results(memory, two, 1), units);
        }
}

TEST(Epilogues, hold_for_the_large_tile) {
  constexpr int rows = 705, depth = 5;
  for (const Case& c : cases()) {
    if (c.name != "latent, given noise" && c.name != "Gaussian, mode 3" &&
        c.name != "Bernoulli, mode 2")
      continue;
    const int units = 769 / c.width, columns = units * c.width;
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(c.name + " on " + device.name);
      Memory memory(*device.backend);
      const Matrix a = memory.put(uniform(rows, depth, 41)),
                   b = memory.put(uniform(columns, depth, 42));
      Product fused{a, b, true, c.build(memory, rows, units, 1).epilogue};
      const int parts = memory.ops().term_columns(fused);
      const Built one = c.build(memory, rows, units, parts);
      fused.epilogue = one.epilogue;
      memory.ops().run(fused);
      Built two = c.build(memory, rows, units, 1);
      const Matrix between = memory.out(rows, columns);
      memory.ops().run(Product{a, b, true, Store{.out = between}});
      set_in(two.epilogue, between);
      memory.ops().run(Apply{two.epilogue});
      expect_alike(results(memory, one, parts), results(memory, two, 1), units);
    }
  }
}

/// Data in some type, and what a datum's values are (without the scale).
struct Stored {
  std::string name;
  Source::Type type;
  bool sparse;
  std::function<double(int row, int column)> value;
};

/// A zero, mostly; row 0 has nothing but zeros, row 1 none.
bool is_zero(int row, int column) { return row == 0 || (row > 1 && (row * 7 + column * 5) % 11); }

const Stored stored[] = {
    {"bits", Source::Type::bits, false, [](int r, int c) { return (r * 5 + c * 3) / 4 % 2; }},
    {"bytes", Source::Type::u8, false, [](int r, int c) { return (r * 31 + c * 7) % 256; }},
    {"floats", Source::Type::f32, false, [](int r, int c) { return r - c / 8.0; }},
    {"listed bytes", Source::Type::u8, true,
     [](int r, int c) { return is_zero(r, c) ? 0 : 1 + (r + c) % 255; }},
    {"listed words", Source::Type::u16, true,
     [](int r, int c) { return is_zero(r, c) ? 0 : 1 + (r * 977 + c) % 65535; }},
    {"listed floats", Source::Type::f32, true,
     [](int r, int c) { return is_zero(r, c) ? 0 : 0.25 + r + c; }}};

/// `count` numbers side by side, as a source of that type has them.
void append(std::vector<std::uint8_t>& to, Source::Type type, int count,
            const std::function<double(int)>& value) {
  const std::size_t first = to.size();
  const auto add = [&](const auto& number) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&number);
    to.insert(to.end(), bytes, bytes + sizeof number);
  };
  for (int i = 0; i < count; ++i) {
    if (type == Source::Type::u8) add(std::uint8_t(value(i)));
    if (type == Source::Type::u16) add(std::uint16_t(value(i)));
    if (type == Source::Type::f32) add(float(value(i)));
    if (type != Source::Type::bits) continue;
    if (i % 8 == 0) to.push_back(0);
    to[first + std::size_t(i / 8)] |= std::uint8_t(unsigned(value(i)) << i % 8);
  }
}

Source put(Memory& memory, const Stored& stored, int rows, int columns) {
  std::vector<std::uint8_t> values, narrow, wide;
  std::vector<std::uint64_t> starts{0};
  Source source{.type = stored.type, .rows = rows, .columns = columns, .scale = Real(1) / 255};
  const std::size_t bits = stored.type == Source::Type::bits  ? 1
                           : stored.type == Source::Type::u8  ? 8
                           : stored.type == Source::Type::u16 ? 16
                                                              : 32;
  source.stride = std::int64_t((bits * std::size_t(columns) + 127) / 128 * 16);
  for (int r = 0; r < rows; ++r) {
    std::vector<int> listed;
    for (int c = 0; c < columns; ++c)
      if (!stored.sparse || stored.value(r, c) != 0) listed.push_back(c);
    append(values, stored.type, int(listed.size()),
           [&](int i) { return stored.value(r, listed[std::size_t(i)]); });
    if (!stored.sparse) values.resize(std::size_t((r + 1) * source.stride), 0xff);
    append(narrow, Source::Type::u16, int(listed.size()),
           [&](int i) { return listed[std::size_t(i)]; });
    for (const int c : listed) {
      const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&c);
      wide.insert(wide.end(), bytes, bytes + sizeof c);
    }
    starts.push_back(starts.back() + listed.size());
  }
  source.data = memory.put(values);
  if (!stored.sparse) return source;
  source.starts = memory.put(starts);
  source.indices = memory.put(columns < Source::wide_from ? narrow : wide);
  return source;
}

/// Whether lists hold what is not 0 of `dense`, and that times `by`.
bool lists_are(const Lists& lists, const Values& dense, Real by) {
  for (int r = 0; r < dense.rows; ++r) {
    int i = lists.start(r, 0);
    for (int c = 0; c < dense.columns; ++c) {
      if (c % Lists::piece == 0 && lists.start(r, c / Lists::piece) != i) return false;
      if (dense(r, c) == 0) continue;
      if (lists.places(r)[i] != c || lists.values(r)[i] != dense(r, c) ||
          lists.seen(r)[i] != by * dense(r, c))
        return false;
      ++i;
    }
    if (lists.start(r, lists.pieces()) != i) return false;
  }
  return true;
}

TEST(Gathering, gives_the_values_of_any_type_exactly) {
  for (const Stored& kind : stored)
    for (const auto [rows, columns] :
         {Size{1, 1}, {33, 37}, {5, 785}, {40, 16}, {7, 1025}, {3, 65536}, {3, 65537}}) {
      SCOPED_TRACE(testing::Message() << kind.name << ", " << rows << "x" << columns);
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(device.name);
        Memory memory(*device.backend);
        const int all = rows + 7;
        std::vector<std::uint32_t> order;
        for (int r = 0; r < rows + 3; ++r) order.push_back(std::uint32_t((r * 5 + 2) % all));
        const Batch shuffled{memory.put(order),
                             memory.put(std::vector<StepState>{{.position = 3}})};
        // Blocks of 4 data, in memory in the opposite order.
        std::vector<std::uint32_t> blocks;
        for (int b = 0; b * 4 < all; ++b)
          blocks.push_back(std::uint32_t((all - 1) / 4 * 4 - b * 4));
        Stored turned = kind;
        turned.value = [&](int r, int c) {
          const int last = (all - 1) / 4;
          return kind.value((last - r / 4) * 4 + r % 4, c);
        };
        for (const int way : {0, 1, 2}) {
          Gather gather{.source = put(memory, way == 2 ? turned : kind, (all + 3) / 4 * 4, columns),
                        .batch = way > 0 ? shuffled : Batch{},
                        .out = memory.out(rows, columns)};
          if (way == 2) gather.source.blocks = memory.put(blocks), gather.source.block_shift = 2;
          memory.ops().run(gather);
          const Values got = memory.get(gather.out);
          bool same = true;
          for (int r = 0; r < rows; ++r)
            for (int c = 0; c < columns; ++c) {
              const int datum = way > 0 ? int(order[std::size_t(r + 3)]) : r;
              const Real wanted = Real(1) / 255 * Real(float(kind.value(datum, c)));
              same = same && got(r, c) == wanted;
            }
          EXPECT_TRUE(same) << (way == 0 ? "in order" : way == 1 ? "shuffled" : "from blocks");
          if (memory.ops().lists_up_to() == 0) continue;  // else it is the host's memory
          const Matrix shape = Lists::memory_of(rows, columns, true);
          Gather listing = gather;
          listing.out.data = nullptr, listing.kind = Affine{2, 0};
          listing.lists = {.memory = memory.out(shape.rows, shape.columns),
                           .columns = columns,
                           .transformed = true};
          memory.ops().run(listing);
          EXPECT_TRUE(lists_are(listing.lists, got, 2));
        }
      }
    }
}

TEST(Entries, agree_with_the_cpu) {
  for (const auto [rows, columns] : {Size{1, 1}, {33, 37}, {5, 785}, {301, 2}}) {
    SCOPED_TRACE(testing::Message() << rows << "x" << columns);
    const auto run = [rows = rows, columns = columns](Backend& backend) {
      Memory memory(backend);
      std::vector<Values> out;
      const auto keep = [&](const Matrix& m) { out.push_back(memory.get(m)); };

      const Fill fill{memory.out(rows, columns), scale(memory)};
      memory.ops().run(fill), keep(fill.out);

      Add add{memory.put(uniform(rows, columns, 51)), memory.put(uniform(rows, columns, 52)),
              memory.out(rows, columns), Real(0.3), Real(-1.7)};
      memory.ops().run(add), keep(add.out);
      add.b = {}, add.out = add.a, add.gamma = Real(0.7);
      memory.ops().run(add), keep(add.out);

      const Matrix positive = memory.put(uniform(rows, columns, 53, Real(0.1), 3));
      Multiply multiply{positive, memory.put(uniform(rows, 1, 54)), memory.out(rows, columns)};
      memory.ops().run(multiply), keep(multiply.out);
      for (const Function& f : {Function{Exp{}}, Function{Log{}}, Function{Log1p{}},
                                Function{Softplus{}}, Function{Sigmoid{}}, Function{Tanh{}}}) {
        const Pointwise value{positive, {}, {}, memory.out(rows, columns), f};
        memory.ops().run(value), keep(value.out);
        const Pointwise slope{positive, value.out, positive, memory.out(rows, columns), f};
        memory.ops().run(slope), keep(slope.out);
      }
      return out;
    };
    const std::vector<Values> wanted = run(cpu());
    each_other_device([&](Backend& backend) {
      const std::vector<Values> got = run(backend);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        EXPECT_LE(worst_of(got[i], wanted[i], 3), 1) << "result " << i;
    });
  }
}

TEST(Sums, equal_plain_loops_in_double) {
  for (const auto [rows, columns] : {Size{1, 1}, {33, 37}, {3, 1030}, {1025, 5}, {700, 1}}) {
    SCOPED_TRACE(testing::Message() << rows << "x" << columns);
    const Values in = uniform(rows, columns, 61), there = uniform(1, columns, 62);
    std::vector<double> by_row(rows), by_column(columns);
    double total = 0;
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c)
        by_row[r] += in(r, c), by_column[c] += in(r, c), total += in(r, c);
    for (const Named& device : make_backends(Precision::fp32)) {
      SCOPED_TRACE(device.name);
      Memory memory(*device.backend);
      const Matrix on = memory.put(in), of_rows = memory.out(rows, 1),
                   of_columns = memory.out(1, columns), added = memory.put(there),
                   of_all = memory.out(1, 1);
      memory.ops().run(RowSum{on, of_rows});
      memory.ops().run(ColumnSum{on, of_columns});
      memory.ops().run(ColumnSum{on, added, true});
      memory.ops().run(ColumnSum{on, of_all});
      for (int r = 0; r < rows; ++r)
        EXPECT_NEAR(memory.get(of_rows)(r, 0), by_row[r], tolerance::sum(columns, columns));
      const Values sums = memory.get(of_columns), more = memory.get(added);
      for (int c = 0; c < columns; ++c) {
        EXPECT_NEAR(sums(0, c), by_column[c], tolerance::sum(rows, rows));
        EXPECT_NEAR(more(0, c), there(0, c) + by_column[c], tolerance::sum(rows + 1, rows + 1));
      }
      EXPECT_NEAR(memory.get(of_all)(0, 0), total,
                  columns == 1 ? tolerance::sum(rows, rows)
                               : tolerance::formula(1, total) +
                                     tolerance::sum_in_double(rows * columns, rows * columns));
    }
  }
}

TEST(SampleMany, agrees_with_the_cpu) {
  for (const int samples : {1, 5})
    for (const bool given : {false, true})
      for (const int units : {1, 37, 300}) {
        const auto run = [&](Backend& backend) {
          Memory memory(backend);
          const int rows = 7 * samples;
          SampleMany op{memory.put(uniform(7, 2 * units, 71)), memory.out(rows, units),
                        memory.out(rows, 1), noise(memory, rows, units, given)};
          op.noise.samples = samples;
          memory.ops().run(op);
          return Results{{memory.get(op.z)}, row_sums(memory.get(op.terms))};
        };
        const Results wanted = run(cpu());
        each_other_device([&](Backend& backend) { expect_alike(run(backend), wanted, units); });
      }
}

/// A doubly reparameterised gradient has the largest numbers: e/σ - z up to 10, a sum of S of them.
TEST(SampleManyGradient, agrees_with_the_cpu_whatever_is_there) {
  enum { both, draws_alone, terms_alone, doubly };
  for (const int data : {1, 5, 33})
    for (const int samples : {1, 2, 7, 50})
      for (const int what : {both, draws_alone, terms_alone, doubly}) {
        SCOPED_TRACE(testing::Message() << data << " data, " << samples << " draws, " << what);
        constexpr int units = 5;
        const auto run = [&](Backend& backend) {
          Memory memory(backend);
          const int rows = data * samples;
          SampleManyGradient op;
          op.q = memory.put(uniform(data, 2 * units, 72));
          if (what != terms_alone) op.dz = memory.put(uniform(rows, units, 73));
          if (what != draws_alone) op.upstream = memory.put(uniform(rows, 1, 74, Real(0.1), 1));
          op.out = memory.out(data, 2 * units), op.doubly = what == doubly;
          op.noise = noise(memory, rows, units, what == both), op.noise.samples = samples;
          memory.ops().run(op);
          return memory.get(op.out);
        };
        const Values wanted = run(cpu());
        each_other_device([&](Backend& backend) {
          const Values got = run(backend);
          for (std::size_t i = 0; i < got.v.size(); ++i)
            EXPECT_NEAR(got.v[i], wanted.v[i],
                        samples * tolerance::formula(roundings, 10) +
                            tolerance::sum(samples, 10.0 * samples));
        });
      }
}

TEST(ImportanceBound, is_the_log_of_the_mean_weight_and_its_weights_add_up) {
  for (const int data : {1, 5, 33})
    for (const int samples : {1, 2, 7, 50, 300})
      for (const int parts : {1, 3})
        for (const Named& device : make_backends(Precision::fp32)) {
          SCOPED_TRACE(testing::Message() << data << " data, " << samples << " draws in " << parts
                                          << " parts on " << device.name);
          // Nats of an image: the weights themselves are below what a float holds.
          const Values log_p = uniform(data * samples, parts, 75, -100, -90),
                       log_ratio = uniform(data * samples, 1, 76, -9, 0),
                       upstream = uniform(data, 1, 77);
          Memory memory(*device.backend);
          ImportanceBound op{.samples = samples};
          op.log_p = memory.put(log_p), op.log_ratio = memory.put(log_ratio);
          op.bound = memory.out(data, 1), op.weights = memory.out(data * samples, 1);
          op.scale = scale(memory);
          memory.ops().run(op);
          const Values bound = memory.get(op.bound), scaled = memory.get(op.weights);
          op.bound = {}, op.weights = memory.out(data * samples, 1);
          op.upstream = memory.put(upstream);
          memory.ops().run(op);
          const Values weighted = memory.get(op.weights);
          const double factor = double(Real(-0.25) * (Real(0.5) * (Real(7) / Real(10))));

          // A log weight is a sum of up to four numbers; what it errs by is a weight's relative
          // error.
          const double largest = 100.0 * parts + 9;
          const double error = tolerance::sum(parts + 1, largest) + tolerance::formula(6, 1);
          for (int b = 0; b < data; ++b) {
            std::vector<double> log_w;
            for (int r = b * samples; r < (b + 1) * samples; ++r) {
              log_w.push_back(log_ratio(r, 0));
              for (int c = 0; c < parts; ++c) log_w.back() += log_p(r, c);
            }
            const double most = *std::max_element(log_w.begin(), log_w.end());
            double total = 0;
            for (const double w : log_w) total += std::exp(w - most);
            EXPECT_NEAR(bound(b, 0), most + std::log(total / samples),
                        error + tolerance::formula(2, largest) + tolerance::sum(samples, 1));
            for (int s = 0; s < samples; ++s) {
              const double w = std::exp(log_w[std::size_t(s)] - most) / total;
              const double relative = 2 * error + tolerance::sum(samples, 1);
              EXPECT_NEAR(scaled(b * samples + s, 0), factor * w, w * relative);
              EXPECT_NEAR(weighted(b * samples + s, 0), upstream(b, 0) * w, w * relative);
            }
          }
        }
}

TEST(ImportanceBound, of_one_finite_weight_is_that_weight_and_of_a_nan_is_a_nan) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    constexpr int samples = 40;
    constexpr Real infinite = std::numeric_limits<Real>::infinity();
    Values log_p = filled(2 * samples, 1, -infinite);
    log_p(17, 0) = -4, log_p(samples + 3, 0) = NAN;
    Memory memory(*device.backend);
    ImportanceBound op{.samples = samples};
    op.log_p = memory.put(log_p), op.log_ratio = memory.put(filled(2 * samples, 1, 1));
    op.bound = memory.out(2, 1), op.weights = memory.out(2 * samples, 1);
    memory.ops().run(op);
    const Values bound = memory.get(op.bound), weights = memory.get(op.weights);
    EXPECT_NEAR(bound(0, 0), -3 - std::log(double(samples)), tolerance::formula(4, 4));
    for (int s = 0; s < samples; ++s) EXPECT_EQ(weights(s, 0), s == 17 ? 1 : 0);
    EXPECT_TRUE(std::isnan(bound(1, 0)));
  }
}

TEST(ImportanceBound, leaves_no_subnormal_scores_on_the_cpu_which_may_take_long_for_them) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    // Beside the first: noticeable, too little to notice, and what has a subnormal exponential.
    Values log_p = filled(4, 1, 0);
    log_p(1, 0) = -30, log_p(2, 0) = -50, log_p(3, 0) = sizeof(Real) == 4 ? -95 : -740;
    Memory memory(*device.backend);
    ImportanceBound op{.samples = 4};
    op.log_p = memory.put(log_p), op.log_ratio = memory.put(filled(4, 1, 0));
    op.bound = memory.out(1, 1), op.weights = memory.out(4, 1);
    op.score = memory.put(filled(4, 33, Real(0.5)));
    memory.ops().run(op);
    const Values score = memory.get(op.score);
    const double little = std::exp(-30.), share = 0.5 / (1 + little);
    EXPECT_NEAR(score(0, 7), share, tolerance::formula(3, share));
    EXPECT_NEAR(score(1, 7), share * little, tolerance::formula(3, share * little));
    for (int r = 2; r < 4; ++r) EXPECT_NEAR(score(r, 7), 0, 1e-20);
    if (!device.name.starts_with("cpu")) continue;
    for (const Real x : score.v) EXPECT_NE(std::fpclassify(x), FP_SUBNORMAL);
  }
}

TEST(FreeBits, hold_each_units_mean_above_the_floor) {
  for (const int rows : {1, 5, 33, 300})
    for (const int units : {1, 7, 20})
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(testing::Message() << rows << "x" << units << " on " << device.name);
        Values q = uniform(rows, 2 * units, 78, Real(-0.2), Real(0.2));
        for (int r = 0; r < rows; ++r)
          for (int u = 1; u < units; u += 2) q(r, 2 * u) += 2;  // a KL of about 2
        constexpr Real floor = Real(0.5);
        Memory memory(*device.backend);
        const Matrix on = memory.put(q), means = memory.out(units, 1), terms = memory.out(rows, 1);
        memory.ops().run(UnitKl{on, means});
        memory.ops().run(FreeBits{on, means, terms, floor});
        const Values got = memory.get(means), floored = memory.get(terms);
        double whole = 0, wanted = 0;
        for (int u = 0; u < units; ++u) {
          double mean = 0;
          for (int r = 0; r < rows; ++r) {
            const double m = q(r, 2 * u), s = q(r, 2 * u + 1);
            mean += (m * m + std::expm1(s) - s) / 2 / rows;
          }
          EXPECT_NEAR(got(u, 0), mean, tolerance::formula(roundings, 4) + tolerance::sum(rows, 4));
          EXPECT_EQ(mean > floor, u % 2 == 1);
          wanted += std::max(mean, double(floor));
        }
        for (int r = 0; r < rows; ++r) whole += double(floored(r, 0)) / rows;
        EXPECT_NEAR(whole, wanted,
                    units * tolerance::formula(roundings, 4) + tolerance::sum(units, 4.0 * units));
      }
}

TEST(Objective, is_the_weighted_sum_of_means_and_keeps_totals) {
  constexpr int rows = 77;
  const Values first = uniform(rows, 3, 81, -100, -50), second = uniform(rows, 1, 82, 0, 9);
  double sums[2] = {};
  for (const Real x : first.v) sums[0] += x;
  for (const Real x : second.v) sums[1] += x;
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    Objective op{.count = 2, .loss = memory.out(1, 1)};
    op.terms = {memory.put(first), memory.put(second)};
    op.weights = {Scale{.factor = -1}, scale(memory)};
    op.totals = memory.put(std::vector<double>{1000, 2000, 3000});
    memory.ops().run(op);
    memory.ops().run(op);
    const double weight = double(Real(-0.25) * (Real(0.5) * (Real(7) / Real(10))));
    const double loss = (-sums[0] + weight * sums[1]) / rows;
    EXPECT_NEAR(memory.get(op.loss)(0, 0), loss,
                tolerance::formula(2, loss) + tolerance::sum_in_double(3 * rows, std::abs(loss)));
    const std::vector<double> totals = memory.get(op.totals, 3);
    const double wanted[] = {1000 + 2 * sums[0], 2000 + 2 * sums[1], 3000.0 + 2 * rows};
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(totals[i], wanted[i], tolerance::sum_in_double(3 * rows, std::abs(wanted[i])));
  }
}

TEST(UpdateAll, agrees_with_the_cpu_whatever_the_shapes_and_rules) {
  const auto run = [](Backend& backend) {
    Memory memory(backend);
    UpdateAll op;
    const Matrix clip = memory.put(filled(1, 1, Real(0.3)));
    const StepState* const state = memory.put(std::vector<StepState>{{.step = 11}});
    unsigned seed = 100;
    for (int i = 0; i < 19; ++i)  // more than one launch holds
      for (const auto [rows, columns] :
           {Size{1, 5}, {37, 33}, {i == 0 ? 130 : 1, i == 0 ? 77 : 1}}) {
        Update u{memory.put(uniform(rows, columns, seed++)),
                 memory.put(uniform(rows, columns, seed++)),
                 memory.put(uniform(rows, columns, seed++)),
                 memory.put(uniform(rows, columns, seed++, 0, 1)),
                 {},
                 Sgd{Real(0.9)},
                 Scale{.factor = Real(0.1), .state = state}};
        if (i % 2) u.clip = clip;
        if (i % 3) u.rule = Adam{.decoupled_decay = 0.1};
        op.updates.push_back(u);
      }
    memory.ops().run(op);
    std::vector<Values> out;
    for (const Update& u : op.updates) {
      for (const Matrix& m : {u.w, u.m, u.v}) out.push_back(memory.get(m));
    }
    return out;
  };
  const std::vector<Values> wanted = run(cpu());
  each_other_device([&](Backend& backend) {
    const std::vector<Values> got = run(backend);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_LE(worst_of(got[i], wanted[i], roundings), 1) << "result " << i;
  });
}

TEST(ClipScale, is_the_limit_over_the_norm_and_never_above_one) {
  for (const int count : {1, 3, 70}) {  // 64 to a launch
    std::vector<Values> gradients;
    double squares = 0, numbers = 0;
    for (int i = 0; i < count; ++i) {
      gradients.push_back(uniform(1 + i % 5, 33 * (i % 40) + 1, 200 + i));
      for (const Real x : gradients.back().v) squares += double(x) * x, ++numbers;
    }
    for (const Real limit : {Real(0.5), Real(1e6)})
      for (const Named& device : make_backends(Precision::fp32)) {
        SCOPED_TRACE(device.name);
        Memory memory(*device.backend);
        ClipScale op{.squares = memory.out(1, count), .scale = memory.out(1, 1), .limit = limit};
        for (const Values& g : gradients) op.gradients.push_back(memory.put(g));
        memory.ops().run(op);
        const double wanted = std::min(1.0, limit / std::sqrt(squares));
        EXPECT_NEAR(memory.get(op.scale)(0, 0), wanted,
                    wanted * (tolerance::formula(3, 1) + tolerance::sum_in_double(numbers, 1)));
      }
  }
}

TEST(Advance, moves_the_step_and_the_place) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    StepState* const state =
        memory.put(std::vector<StepState>{{.step = 41, .epoch = 3, .position = 100}});
    memory.ops().run(Advance{state, 28});
    const StepState after = memory.get(state, 1)[0];
    EXPECT_EQ(after.step, 42u);
    EXPECT_EQ(after.epoch, 3u);
    EXPECT_EQ(after.position, 128u);
  }
}

TEST(Recording, replays_what_was_enqueued_and_runs_nothing_itself) {
  for (const Named& device : make_backends(Precision::fp32)) {
    SCOPED_TRACE(device.name);
    Memory memory(*device.backend);
    const Matrix x = memory.put(filled(3, 5, 1));
    StepState* const state = memory.put(std::vector<StepState>{{}});
    const auto recording = memory.backend().record([&] {
      memory.ops().run(Add{x, x, x});
      memory.ops().run(Advance{state, 2});
    });
    if (!recording) continue;  // a device that does not record
    EXPECT_EQ(memory.get(x).v, filled(3, 5, 1).v);
    for (int i = 0; i < 3; ++i) recording->replay();
    EXPECT_EQ(memory.get(x).v, filled(3, 5, 8).v);
    EXPECT_EQ(memory.get(state, 1)[0].step, 3u);
  }
}

}  // namespace elbo::test
