#pragma once
#include <optional>

#include "kernels/ops/transform.h"
#include "kernels/state.h"

namespace elbo {

/// A data set in device memory, in its own type: value = scale · stored.
///
/// Dense: a row's values lie side by side (column c of bits is bit c % 8 of byte c / 8), and rows
/// start 16-byte aligned, so that they can be read in 16-byte pieces.
/// Sparse (compressed rows): row r lists entries starts[r] to before starts[r + 1], in ascending
/// order of their columns; what is not listed is 0.
struct Source {
  enum class Type { bits, u8, u16, f32 };  // u16 of sparse alone, bits of dense
  Type type = Type::f32;
  const void* data = nullptr;
  std::int64_t rows = 0;
  int columns = 0;
  std::int64_t stride = 0;  // of dense: bytes from row to row, a multiple of 16
  Real scale = 1;
  Real filled = 1;                        // the share of entries that are not 0, about
  const std::uint64_t* starts = nullptr;  // of sparse, as the next
  const void* indices = nullptr;          // their columns, u16; from wide_from columns on u32
  // Where only parts are in memory: the row of the first datum of each block of 2^block_shift.
  const std::uint32_t* blocks = nullptr;
  int block_shift = 0;

  static constexpr int wide_from = 65537;
  HD std::int64_t row_of(std::uint32_t datum) const {
    if (!blocks) return datum;
    return std::int64_t(blocks[datum >> block_shift]) + (datum & ((1u << block_shift) - 1));
  }
  HD bool sparse() const { return starts != nullptr; }
  /// Where a dense row starts.
  HD const unsigned char* row(std::int64_t r) const {
    return static_cast<const unsigned char*>(data) + r * stride;
  }

  /// Value i of those that lie from `first` on.
  HD Real stored(const void* first, std::int64_t i) const {
    switch (type) {
      case Type::bits:
        return scale * Real(static_cast<const std::uint8_t*>(first)[i >> 3] >> (i & 7) & 1);
      case Type::u8:
        return scale * Real(static_cast<const std::uint8_t*>(first)[i]);
      case Type::u16:
        return scale * Real(static_cast<const std::uint16_t*>(first)[i]);
      default:
        return scale * Real(static_cast<const float*>(first)[i]);
    }
  }
  /// Calls f with value(i), that of i from `first` on: the type is asked for once.
  template <class F>
  HD void each_type(const void* first, F&& f) const {
    const Real by = scale;
    const auto of = [&]<class T>(const T* values) {
      f([=](std::int64_t i) { return by * Real(values[i]); });
    };
    const auto bytes = static_cast<const std::uint8_t*>(first);
    if (type == Type::bits)
      f([=](std::int64_t i) { return by * Real(bytes[i >> 3] >> (i & 7) & 1); });
    else if (type == Type::u8) of(bytes);
    else if (type == Type::u16) of(static_cast<const std::uint16_t*>(first));
    else of(static_cast<const float*>(first));
  }
  /// Of a dense source.
  HD Real operator()(std::int64_t r, int c) const { return stored(row(r), c); }
  /// Of a sparse source.
  HD int column(std::uint64_t entry) const {
    return columns < wide_from ? int(static_cast<const std::uint16_t*>(indices)[entry])
                               : int(static_cast<const std::uint32_t*>(indices)[entry]);
  }

  /// The bytes of a dense row.
  static constexpr std::int64_t dense_stride(Type type, int columns) {
    const std::int64_t bits = type == Type::bits ? 1 : type == Type::u8 ? 8 : 32;
    return (bits * columns + 127) / 128 * 16;
  }
};

/// Of each row of a batch what is not 0, in the order of the columns, in place of a matrix
/// [rows, columns]: where, what it is, and what a transform makes of it that leaves a 0 as it is.
///
/// Rows that follow each other, `together` of them, are a row of `memory`: where in their lists
/// each piece of their columns begins (and the last ends), then the lists of places, of values, and
/// of what they are transformed to.  Each list goes on where that of the row before ended.
struct Lists {
  static constexpr int together = 8, piece = 256;
  Matrix memory{};
  int columns = 0;
  Real filled = 0;           // the share of entries that it lists, about
  bool transformed = false;  // which values are meant

  bool present() const { return columns > 0; }
  int pieces() const { return (columns + piece - 1) / piece; }
  /// Where piece p of row r begins; at `pieces`, where the row ends.
  int& start(int r, int p) const {
    return reinterpret_cast<int*>(memory.row(r / together))[r % together * (pieces() + 1) + p];
  }
  int* places(int r) const { return reinterpret_cast<int*>(list(r, 0)); }
  Real* values(int r) const { return list(r, 1); }
  Real* seen(int r) const { return list(r, 2); }

  /// The shape of the memory of so many rows.
  static Matrix memory_of(int rows, int columns, bool transformed) {
    const Lists one{.columns = columns};
    Matrix m;
    m.rows = (rows + together - 1) / together;
    m.columns = m.stride = one.header() + (2 + transformed) * one.room();
    return m;
  }
  /// Whether a transform is such a one.
  static bool take(const InputTransform& kind) {
    return open(kind, [](const auto& k) { return k.width() == 1 && k.value(0, 0) == 0; });
  }

 private:
  static constexpr int apart = 16;  // numbers of a vector: it may be written beyond a list's end
  int header() const { return (together * (pieces() + 1) + apart - 1) / apart * apart; }
  int room() const { return (together * columns + 2 * apart - 1) / apart * apart; }
  Real* list(int r, int which) const {
    return memory.row(r / together) + header() + std::ptrdiff_t(which) * room();
  }
};

/// out(r, c) = source(datum of row r, c), and in the same pass what a transform makes of it.
/// What is absent is not made.
struct Gather {
  Source source;
  Batch batch;
  Matrix out, seen{};
  InputTransform kind{};  // of seen, where that is present
  Lists lists{};
  void views(auto&& visit) {
    visit(out, Access::write), visit(seen, Access::write), visit(lists.memory, Access::write);
  }
};

struct GatherBody {
  Gather op;
  HD void operator()(int r, int c) const {
    op.out(r, c) = op.source(op.source.row_of(op.batch.datum(r)), c);
  }
};

/// By rows: of a sparse source zeros, and over them what the row lists; then the transform.
struct GatherRowBody {
  static constexpr bool long_rows = true;
  Gather op;
  template <class Team>
  HD void operator()(int r, const Team& team) const {
    const Source& source = op.source;
    const std::int64_t row = source.row_of(op.batch.datum(r));
    if (source.sparse()) {
      const std::uint64_t first = source.starts[row];
      team.each(op.out.columns, [&](int c) { op.out(r, c) = 0; });
      team.meet();
      team.each(int(source.starts[row + 1] - first), [&](int i) {
        op.out(r, source.column(first + i)) = source.stored(source.data, std::int64_t(first + i));
      });
    } else {
      Real* const out = op.out.row(r);
      source.each_type(source.row(row), [&](const auto& value) {
        team.each(op.out.columns, [&](int c) { out[c] = value(c); });
      });
    }
    if (!op.seen.present()) return;
    team.meet();
    open(op.kind, [&]<class Kind>(const Kind& kind) {
      const TransformBody<Kind> transform{{op.out, op.seen, kind}, kind};
      team.each(op.out.columns, [&](int c) { transform(r, c); });
    });
  }
};

}  // namespace elbo
