#pragma once
#include "kernels/state.h"

namespace elbo {

/// A data set in device memory, in its own type: value = scale · stored.  Rows start 16-byte
/// aligned, `stride` bytes apart.
struct Source {
  enum class Type { u8, f32 };
  Type type = Type::f32;
  const void* data = nullptr;
  std::int64_t rows = 0;
  int columns = 0;
  Real scale = 1;
  std::int64_t stride = 0;

  HD const unsigned char* row(std::int64_t r) const {
    return static_cast<const unsigned char*>(data) + r * stride;
  }
  HD Real operator()(std::int64_t r, int c) const {
    return scale *
           (type == Type::u8 ? Real(row(r)[c]) : Real(reinterpret_cast<const float*>(row(r))[c]));
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
