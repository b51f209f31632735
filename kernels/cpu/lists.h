#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/vector.h"
#include "kernels/ops/gather.h"

namespace elbo::cpu {
inline namespace ELBO_ISA {

/// Lists row r of a batch, whose values put(first, n, place, value) lists of columns first …
/// first + n - 1, as not_zero does.  The rows before it in its row of memory are listed.
template <class F>
[[gnu::always_inline]] inline void list_row(const Lists& to, int r, F&& put) {
  int at = r % Lists::together == 0 ? 0 : to.start(r - 1, to.pieces());
  for (int p = 0; p < to.pieces(); ++p) {
    to.start(r, p) = at;
    const int first = p * Lists::piece;
    at += put(first, std::min(Lists::piece, to.columns - first), to.places(r) + at,
              to.values(r) + at);
  }
  to.start(r, to.pieces()) = at;
}

/// Lists the datum that row r of a batch is, and what the transform makes of its values.
inline void list_row(const Gather& gather, int r) {
  const Source& source = gather.source;
  const Lists& lists = gather.lists;
  const auto row_of = [&](int r) { return source.row_of(gather.batch.datum(r)); };
  const std::int64_t row = row_of(r);
  if (source.sparse()) {
    std::uint64_t i = source.starts[row];
    const std::uint64_t end = source.starts[row + 1];
    source.each_type(source.data, [&](const auto& value_of) {
      list_row(lists, r, [&](int first, int n, int* place, Real* value) {
        int count = 0;
        for (; i < end && source.column(i) < first + n; ++i) {
          place[count] = source.column(i), value[count] = value_of(std::int64_t(i));
          count += !(value[count] == 0);  // a list may have zeros
        }
        return count;
      });
    });
  } else {
    if (r + 1 < gather.out.rows)  // no datum foretells where the next one lies
      for (std::int64_t i = 0; i < source.stride; i += 64)
        __builtin_prefetch(source.row(row_of(r + 1)) + i);
    alignas(64) Real some[Lists::piece];
    source.each_type(source.row(row), [&](const auto& value_of) {
      list_row(lists, r, [&](int first, int n, int* place, Real* value) {
#pragma GCC ivdep
        for (int i = 0; i < n; ++i) some[i] = value_of(first + i);
        return not_zero(some, n, place, value, first);
      });
    });
  }
  if (!lists.transformed) return;
  const int end = lists.start(r, lists.pieces());
  const Real* const values = lists.values(r);
  Real* const seen = lists.seen(r);
  open(gather.kind, [&](const auto& kind) {
    for (int i = lists.start(r, 0); i < end; i += lanes)  // whole registers: there is room
#pragma GCC ivdep
      for (int k = i; k < i + lanes; ++k) {
        const Real x = values[k], made = kind.value(x, 0);
        seen[k] = x == x ? made : Real(0);
      }
  });
}

}  // namespace ELBO_ISA
}  // namespace elbo::cpu
