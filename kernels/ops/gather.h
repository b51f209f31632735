#pragma once
#include "kernels/state.h"

namespace elbo {

/// A data set in device memory, in its own type: value = scale · stored.
struct Source {
  enum class Type { u8, f32 };
  Type type = Type::f32;
  const void* data = nullptr;
  std::int64_t rows = 0;
  int columns = 0;
  Real scale = 1;

  HD Real operator()(std::int64_t row, int c) const {
    const std::int64_t i = row * columns + c;
    return scale * (type == Type::u8 ? Real(static_cast<const std::uint8_t*>(data)[i])
                                     : Real(static_cast<const float*>(data)[i]));
  }
};

/// out(r, c) = source(datum of row r, c)
struct Gather {
  Source source;
  Batch batch;
  Matrix out;
  void views(auto&& visit) { visit(out, Access::write); }
};

struct GatherBody {
  Gather op;
  HD void operator()(int r, int c) const {
    op.out(r, c) = op.source(std::int64_t(op.batch.datum(r)), c);
  }
};

}  // namespace elbo
