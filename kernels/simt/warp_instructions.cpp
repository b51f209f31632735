// Shuffles, votes, and the host twins of the PTX instructions in kernels/cuda/ptx.cuh.
#include <cstring>

#include "kernels/cuda/simt.cuh"
#include "kernels/simt/fibers.h"

namespace elbo::simt {

namespace {

struct ShuffleArgument {
  const void* in;
  void* out;
  std::size_t bytes;
  unsigned source;
  Site site;
};

struct Vote {
  bool in;
  unsigned out;
};

template <class F>
void each_lane(unsigned mask, F f) {
  for (; mask; mask &= mask - 1) f(__builtin_ctz(mask));
}

bool poisoned([[maybe_unused]] const void* p, [[maybe_unused]] int bytes) {
#if ELBO_ASAN
  return __asan_region_is_poisoned(const_cast<void*>(p), std::size_t(bytes));
#else
  return false;
#endif
}

}  // namespace

void shuffle(Shuffle kind, unsigned mask, const void* in, void* out, std::size_t bytes,
             unsigned operand, unsigned width, Site site) {
  constexpr const char* names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync",
                                   "__shfl_xor_sync"};
  const unsigned lane = self->lane(), first = lane & ~(width - 1), place = lane - first;
  unsigned source = lane;
  if (kind == Shuffle::index) source = first + (operand & (width - 1));
  if (kind == Shuffle::up && place >= operand) source = lane - operand;
  if (kind == Shuffle::down && place + operand < width) source = lane + operand;
  if (kind == Shuffle::exclusive_or && (lane ^ operand) < first + width) source = lane ^ operand;
  ShuffleArgument argument{in, out, bytes, source, site};
  const auto combine = [](Thread* lane0, unsigned mask) {
    each_lane(mask, [&](int lane) {
      const auto& to = argument_of<ShuffleArgument>(lane0, lane);
      if (!(mask >> to.source & 1))
        fail_at(to.site, "shuffle: lane %d reads lane %u, which takes no part", lane, to.source);
      const auto& from = argument_of<ShuffleArgument>(lane0, int(to.source));
      if (to.bytes == 4) std::memcpy(to.out, from.in, 4);
      else std::memcpy(to.out, from.in, to.bytes);
    });
  };
  warp_meet(mask, names[int(kind)], &argument, combine, site);
}

unsigned ballot(const char* operation, unsigned mask, bool vote, Site site) {
  Vote argument{vote, 0};
  const auto combine = [](Thread* lane0, unsigned mask) {
    unsigned votes = 0;
    each_lane(mask,
              [&](int lane) { votes |= unsigned(argument_of<Vote>(lane0, lane).in) << lane; });
    each_lane(mask, [&](int lane) { argument_of<Vote>(lane0, lane).out = votes; });
  };
  warp_meet(mask, operation, &argument, combine, site);
  return argument.out;
}

// Its own lane alone: legal, and finds kernels that count on more.
unsigned active_mask() { return 1u << self->lane(); }

// ---- cp.async ----------------------------------------------------------------------------------

static void move(const AsyncCopy& c) {
  touch(c.from, std::size_t(c.valid), Read, c.pc);
  std::memcpy(c.to, c.from, std::size_t(c.valid));
  std::memset(c.to + c.valid, 0, std::size_t(c.bytes - c.valid));
}

// It may land at any time before the wait: early shows a tile overwritten while it is being read,
// late a missing wait. The race build sees both ends, whatever the coin says.
[[gnu::noipa]] void copy_async(void* to, const void* from, int bytes, int valid, Site site) {
  if (!is_shared(to, std::size_t(bytes)) || poisoned(to, bytes))
    fail_at(site, "cp.async: the destination is not in shared memory");
  if ((std::uintptr_t(to) | std::uintptr_t(from)) % unsigned(bytes))
    fail_at(site, "cp.async: an address is not a multiple of %d bytes", bytes);
  if (valid < 0 || valid > bytes) fail_at(site, "cp.async of %d bytes, %d valid", bytes, valid);
  if (poisoned(from, valid)) fail_at(site, "cp.async: the source is out of bounds");
  AsyncCopy copy{static_cast<char*>(to), static_cast<const char*>(from), bytes, valid, false,
                 self->async_group,      __builtin_return_address(0)};
  touch(to, std::size_t(bytes), Write | Issued, copy.pc);
  if (configuration().seed == 1 || coin(2)) {
    move(copy);
    copy.landed = true;
  }
  self->copies.push_back(copy);
}

void wait_async(int pending) {
  auto& copies = self->copies;
  std::size_t n = 0;
  for (; n < copies.size() && copies[n].group + unsigned(pending) < self->async_group; ++n) {
    if (!copies[n].landed) move(copies[n]);
    touch(copies[n].to, std::size_t(copies[n].bytes), Write | Landed, copies[n].pc);
  }
  copies.erase(copies.begin(), copies.begin() + std::ptrdiff_t(n));
}

// ---- ldmatrix and mma --------------------------------------------------------------------------

namespace {

void require_full(unsigned mask) {
  if (mask != ~0u) fail("ldmatrix or mma in a warp that is not full");
}

struct MatrixLoad {
  uint32_t* out;
  const char* row;
  int matrices;
  bool transposed;
};

[[gnu::always_inline]] inline void load_matrix(uint32_t* out, int matrices, bool transposed,
                                               const void* row, const void* pc, Site site) {
  const int lane = int(self->lane());
  if (lane < 8 * matrices) {
    if (std::uintptr_t(row) % 16)
      fail_at(site, "ldmatrix: the row of lane %d is not 16-byte aligned", lane);
    if (!is_shared(row, 16) || poisoned(row, 16))
      fail_at(site, "ldmatrix: the row of lane %d is not in shared memory", lane);
    touch(row, 16, Read, pc);
  }
  MatrixLoad argument{out, static_cast<const char*>(row), matrices, transposed};
  const auto combine = [](Thread* lane0, unsigned mask) {
    require_full(mask);
    for (int lane = 0; lane < 32; ++lane) {
      const auto& load = argument_of<MatrixLoad>(lane0, lane);
      const int g = lane / 4, t = lane % 4;
      for (int i = 0; i < load.matrices; ++i) {
        const auto element = [&](int row, int column) -> uint32_t {
          uint16_t v;
          std::memcpy(&v, argument_of<MatrixLoad>(lane0, 8 * i + row).row + 2 * column, 2);
          return v;
        };
        load.out[i] = load.transposed ? element(2 * t, g) | element(2 * t + 1, g) << 16
                                      : element(g, 2 * t) | element(g, 2 * t + 1) << 16;
      }
    }
  };
  warp_meet(~0u, transposed ? "ldmatrix.trans" : "ldmatrix", &argument, combine, site);
}

struct Fragments {
  float* d;
  const uint32_t *a, *b;
};

// Gathers A (16 x K) and B (K x 8) from the lanes' fragments, adds A B to D, scatters D.
template <int K, class Gather>
void multiply(Thread* lane0, Gather gather) {
  float a[16][K], b[K][8], d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& f = argument_of<Fragments>(lane0, lane);
    const int g = lane / 4, t = lane % 4;
    gather(f, g, t, a, b);
    d[g][2 * t] = f.d[0], d[g][2 * t + 1] = f.d[1];
    d[g + 8][2 * t] = f.d[2], d[g + 8][2 * t + 1] = f.d[3];
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < 8; ++j) d[i][j] += a[i][k] * b[k][j];
  for (int lane = 0; lane < 32; ++lane) {
    float* to = argument_of<Fragments>(lane0, lane).d;
    const int g = lane / 4, t = lane % 4;
    to[0] = d[g][2 * t], to[1] = d[g][2 * t + 1];
    to[2] = d[g + 8][2 * t], to[3] = d[g + 8][2 * t + 1];
  }
}

float as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
float tf32(uint32_t bits) { return as_float(bits & ~0x1FFFu); }  // the low 13 bits are not read
float bf16(uint32_t pair, int half) { return as_float(half ? pair & 0xFFFF0000u : pair << 16); }

}  // namespace

}  // namespace elbo::simt

namespace elbo::inline on_simt {

using namespace simt;

uint32_t to_tf32(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  return finite ? (bits + 0x1000u) & ~0x1FFFu : bits;
}

uint32_t to_bf16x2(float low, float high) {
  const auto rounded = [](float x) {
    const auto bits = __builtin_bit_cast(uint32_t, x);
    if (x != x) return 0x7FFFu;
    return (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
  };
  return rounded(low) | rounded(high) << 16;
}

void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  Fragments fragments{d, a, b};
  const auto combine = [](Thread* lane0, unsigned mask) {
    require_full(mask);
    multiply<8>(lane0, [](const Fragments& f, int g, int t, auto& a, auto& b) {
      a[g][t] = tf32(f.a[0]), a[g + 8][t] = tf32(f.a[1]);
      a[g][t + 4] = tf32(f.a[2]), a[g + 8][t + 4] = tf32(f.a[3]);
      b[t][g] = tf32(f.b[0]), b[t + 4][g] = tf32(f.b[1]);
    });
  };
  warp_meet(~0u, "mma.m16n8k8.tf32", &fragments, combine, site);
}

void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  Fragments fragments{d, a, b};
  const auto combine = [](Thread* lane0, unsigned mask) {
    require_full(mask);
    multiply<16>(lane0, [](const Fragments& f, int g, int t, auto& a, auto& b) {
      for (int h = 0; h < 2; ++h) {
        a[g][2 * t + h] = bf16(f.a[0], h), a[g + 8][2 * t + h] = bf16(f.a[1], h);
        a[g][2 * t + 8 + h] = bf16(f.a[2], h), a[g + 8][2 * t + 8 + h] = bf16(f.a[3], h);
        b[2 * t + h][g] = bf16(f.b[0], h), b[2 * t + 8 + h][g] = bf16(f.b[1], h);
      }
    });
  };
  warp_meet(~0u, "mma.m16n8k16.bf16", &fragments, combine, site);
}

[[gnu::noipa]] void ldmatrix_x4(uint32_t (&r)[4], const void* row, Site site) {
  load_matrix(r, 4, false, row, __builtin_return_address(0), site);
}
[[gnu::noipa]] void ldmatrix_x2(uint32_t (&r)[2], const void* row, Site site) {
  load_matrix(r, 2, false, row, __builtin_return_address(0), site);
}
[[gnu::noipa]] void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, Site site) {
  load_matrix(r, 2, true, row, __builtin_return_address(0), site);
}

void cp_async_commit() { ++self->async_group; }

[[gnu::noipa]] unsigned ld_acquire(const unsigned* p) {
  sync_point();
  touch(p, sizeof *p, Atomic | Read, __builtin_return_address(0));
  const unsigned v = *p;
  fence();
  return v;
}

[[gnu::noipa]] void st_release(unsigned* p, unsigned v) {
  fence();
  touch(p, sizeof *p, Atomic | Write, __builtin_return_address(0));
  *p = v;
}

[[gnu::noipa]] void st_release_system(std::uint64_t* p, std::uint64_t v) {
  fence();
  touch(p, sizeof *p, Atomic | Write, __builtin_return_address(0));
  __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

[[gnu::noipa]] void red_release_add(unsigned* p, unsigned v) {
  fence();
  touch(p, sizeof *p, Atomic | Read | Write, __builtin_return_address(0));
  *p += v;
}

}  // namespace elbo::inline on_simt
