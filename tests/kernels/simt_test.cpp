// The host executor against float64 references, and against kernels with a planted bug each. The
// same source is built in three flavours: release, ASan + UBSan, and race (ELBO_SIMT_RACE).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/simt/executor.h"
#include "tests/kernels/simt_bugs.h"

namespace elbo {
namespace {

enum Flavour { release = 1, asan = 2, race = 4, every = 7 };
#if defined(ELBO_SIMT_RACE)
constexpr Flavour flavour = race;
#elif defined(__SANITIZE_ADDRESS__)
constexpr Flavour flavour = asan;
#else
constexpr Flavour flavour = release;
#endif

// Of exactly its size, so that ASan sees an overrun; aligned as cudaMalloc does; NaN at first.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t n) : n_(n) {
    void* p = nullptr;
    if (posix_memalign(&p, 256, n * sizeof(T))) throw std::bad_alloc();
    data_ = static_cast<T*>(p);
    std::memset(p, 0xFF, n * sizeof(T));
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  operator T*() { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + n_; }

 private:
  std::size_t n_;
  T* data_;
};

void fill(Buffer<float>& buffer, unsigned seed) {
  std::mt19937 generator(seed);
  for (float& x : buffer) x = std::uniform_real_distribution<float>(-1, 1)(generator);
}

float bits_as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
double exactly(float x) { return x; }
double as_tf32(float x) { return bits_as_float(to_tf32(x)); }
double as_bf16(float x) { return bits_as_float(to_bf16x2(x, 0) << 16); }

void each_schedule(const std::function<void()>& body) {
  const simt::Configuration before = simt::configuration();
  for (unsigned seed = 0; seed < 4; ++seed) {
    simt::configuration().seed = seed;
    simt::configuration().resident = seed % 2 ? 1 : 3;
    simt::configuration().preempt = seed > 1 ? 16 : 0;
    SCOPED_TRACE("seed " + std::to_string(seed));
    body();
  }
  simt::configuration() = before;
}

/// Under each schedule, or under the one that the environment asks for.
void as_asked(const std::function<void()>& body) {
  std::getenv("ELBO_SIMT_SEED") ? body() : each_schedule(body);
}

using Product = void (*)(const float*, const float*, float*, int, int, int);

// The inputs are rounded as the kernel rounds them: what is left is the rounding of a sum of K
// terms, each below 1, in float32.
void expect_product(Product product, double (*rounded)(float), int M, int N, int K) {
  Buffer<float> A(std::size_t(M) * K), B(std::size_t(K) * N), C(std::size_t(M) * N);
  fill(A, 1);
  fill(B, 2);
  as_asked([&] {
    std::fill(C.begin(), C.end(), NAN);
    product(A, B, C, M, N, K);
    const double tolerance = K * std::numeric_limits<float>::epsilon() * std::sqrt(K) / 2 + 1e-12;
    for (int m = 0; m < M; ++m)
      for (int n = 0; n < N; ++n) {
        double sum = 0;
        for (int k = 0; k < K; ++k) sum += rounded(A[m * K + k]) * rounded(B[k * N + n]);
        ASSERT_NEAR(C[m * N + n], sum, tolerance) << m << ", " << n;
      }
  });
}

TEST(Simt, Intrinsics_do_what_the_CUDA_documentation_says) {
  as_asked([] {
    Buffer<int> errors(1), counters(5);
    std::fill(counters.begin(), counters.end(), 0);
    errors[0] = 0;
    counters[2] = 1000;
    check_intrinsics(errors, counters);
    EXPECT_EQ(errors[0], 0);
    EXPECT_EQ(counters[0], 3 * 79 * 40);
    EXPECT_EQ(counters[1], 79);
    EXPECT_EQ(counters[2], 0);
    EXPECT_EQ(counters[3], -1);
    EXPECT_EQ(counters[4], 2 * 240);
  });
}

TEST(Simt, A_row_team_sums_again_and_again) {
  const int rows = 3, times = 4;
  for (const int columns : {30, 300})  // a warp's, a block's
    as_asked([&] {
      Buffer<Real> x(std::size_t(rows) * columns), out(rows * times);
      for (int i = 0; i < rows * columns; ++i) x[i] = Real(i % 7);
      row_team_sums(x, out, rows, columns, times);
      for (int r = 0; r < rows; ++r) {
        Real sum = 0;  // whole numbers: exact
        for (int c = 0; c < columns; ++c) sum += x[r * columns + c];
        for (int k = 0; k < times; ++k) EXPECT_EQ(out[r * times + k], Real(k + 1) * sum);
      }
    });
}

TEST(Simt, Row_sums_by_shuffles_equal_those_in_float64) {
  for (const int rows : {1, 3, 33})
    for (const int columns : {1, 31, 784}) {
      Buffer<float> x(rows * columns), out(rows);
      fill(x, 3);
      as_asked([&] {
        row_sum(x, out, rows, columns);
        for (int r = 0; r < rows; ++r) {
          double sum = 0;
          for (int c = 0; c < columns; ++c) sum += x[r * columns + c];
          EXPECT_NEAR(out[r], sum, columns * 6e-8 * 4);
        }
      });
    }
}

TEST(Simt, The_last_block_adds_what_all_blocks_wrote) {
  const int n = 10000, blocks = 16;
  Buffer<float> x(n), partial(blocks), out(1);
  Buffer<unsigned> counter(1);
  fill(x, 4);
  double sum = 0;
  for (const float v : x) sum += v;
  as_asked([&] {
    counter[0] = 0;
    last_block_sum(x, partial, counter, out, n, blocks);
    EXPECT_NEAR(out[0], sum, 1e-3);
  });
}

void expect_normalised(int n, int steps, int blocks, bool counted) {
  as_asked([&] {
    Buffer<float> x(n), partial(blocks);
    Buffer<unsigned> arrived(1);
    fill(x, 5);
    arrived[0] = 0;
    std::vector<double> expected(x.begin(), x.end());
    for (int s = 0; s < steps; ++s) {
      double squares = 0;
      for (const double v : expected) squares += v * v;
      for (double& v : expected) v /= 1 + squares / n;
    }
    if (counted) normalise(x, partial, arrived, n, steps, blocks);
    else normalise(x, partial, n, steps, blocks);
    for (int i = 0; i < n; ++i) ASSERT_NEAR(x[i], expected[i], 1e-5);
  });
}

TEST(Simt, A_cooperative_grid_keeps_in_step_by_grid_sync) {
  expect_normalised(5000, 5, 8, false);
  expect_normalised(100, 3, 1, false);
}

TEST(Simt, A_cooperative_grid_keeps_in_step_by_an_atomic_counter) {
  expect_normalised(5000, 5, 8, true);
}

TEST(Simt, Each_cluster_keeps_in_step_by_cluster_sync) {
  const int n = 1000, steps = 4;
  for (const int blocks : {1, 3, 8})
    for (const int clusters : {1, 5})
      as_asked([&] {
        Buffer<float> x(n * clusters), partial(blocks * clusters);
        fill(x, 5);
        std::vector<double> expected(x.begin(), x.end());
        for (auto own = expected.begin(); own != expected.end(); own += n)
          for (int s = 0; s < steps; ++s) {
            double squares = 0;
            for (auto v = own; v != own + n; ++v) squares += *v * *v;
            for (auto v = own; v != own + n; ++v) *v /= 1 + squares / n;
          }
        normalise_each(x, partial, n, steps, blocks, clusters);
        for (int i = 0; i < n * clusters; ++i) ASSERT_NEAR(x[i], expected[i], 1e-5);
      });
}

TEST(Simt, A_double_buffered_product_equals_that_in_float64) {
  expect_product(product_fp32, exactly, 33, 65, 17);
  expect_product(product_fp32, exactly, 1, 1, 1);
}

TEST(Simt, A_tf32_product_by_cp_async_ldmatrix_and_mma_equals_that_in_float64) {
  expect_product(product_tf32, as_tf32, 70, 132, 84);
  expect_product(product_tf32, as_tf32, 16, 8, 8);
}

TEST(Simt, A_bf16_product_by_ldmatrix_trans_and_mma_equals_that_in_float64) {
  expect_product(product_bf16, as_bf16, 32, 24, 64);
}

TEST(Simt, A_launch_is_recorded_with_its_name_and_shape) {
  Buffer<float> x(5 * 40), out(5);
  fill(x, 6);
  simt::clear_launches();
  row_sum(x, out, 5, 40);
  const auto launches = simt::launches();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].kernel, "row_sum_kernel");
  EXPECT_EQ(launches[0].grid.x, 2u);
  EXPECT_EQ(launches[0].block.x, 128u);
  EXPECT_EQ(launches[0].shared_bytes, 0u);
}

TEST(Simt, A_dry_launch_is_recorded_and_not_run) {
  Buffer<float> x(5 * 40), out(5);
  fill(x, 6);
  out[0] = 7;
  simt::clear_launches();
  simt::configuration().dry = true;
  row_sum(x, out, 5, 40);
  simt::configuration().dry = false;
  EXPECT_EQ(out[0], 7);
  ASSERT_EQ(simt::launches().size(), 1u);
  EXPECT_EQ(simt::launches()[0].kernel, "row_sum_kernel");
}

TEST(Simt, The_bytes_of_a_launch_are_those_of_global_memory_alone) {
  if (!simt::bytes_are_counted()) GTEST_SKIP() << "only the race build sees loads and stores";
  const int M = 20, N = 40, K = 16;
  Buffer<float> A(M * K), B(K * N), C(M * N), out(M);
  fill(A, 7);
  fill(B, 8);
  simt::clear_launches();
  row_sum(A, out, M, K);
  product_fp32(A, B, C, M, N, K);  // two blocks, through shared memory
  product_tf32(A, B, C, M, N, K);  // one block, by cp.async
  const auto launches = simt::launches();
  ASSERT_EQ(launches.size(), 3u);
  EXPECT_EQ(launches[0].bytes_read, 4u * M * K);
  EXPECT_EQ(launches[0].bytes_written, 4u * M);
  EXPECT_EQ(launches[1].bytes_read, 4u * (2 * M * K + K * N));
  EXPECT_EQ(launches[1].bytes_written, 4u * M * N);
  EXPECT_EQ(launches[2].bytes_read, 4u * (M * K + K * N));
  EXPECT_EQ(launches[2].bytes_written, 4u * M * N);
}

TEST(Simt, Two_OS_threads_may_launch_at_the_same_time) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([i] {
      const int rows = 64, columns = 100;
      Buffer<float> x(rows * columns), out(rows);
      std::fill(x.begin(), x.end(), float(i + 1));
      for (int repeat = 0; repeat < 10; ++repeat) {
        std::fill(out.begin(), out.end(), NAN);
        row_sum(x, out, rows, columns);
        for (const float sum : out) EXPECT_EQ(sum, 100.0f * float(i + 1));
      }
    });
  for (std::thread& t : threads) t.join();
}

TEST(Simt, A_launch_that_no_GPU_accepts_is_an_error) {
  EXPECT_THROW(launch(+[] {}, {0, 32}), simt::Error);
  EXPECT_THROW(launch(+[] {}, {1, 1025}), simt::Error);
  EXPECT_THROW(launch(+[] {}, {1, 32, 228 << 10}), simt::Error);
  const auto in_clusters = [](dim3 grid, unsigned blocks) {
    Launch shape{grid, 32};
    shape.cluster = blocks;
    return shape;
  };
  EXPECT_THROW(launch(
                   +[] {}, in_clusters(4, 3)),
               simt::Error);
  EXPECT_THROW(launch(
                   +[] {}, in_clusters(34, 17)),
               simt::Error);
  EXPECT_THROW(launch(
                   +[] {}, in_clusters(dim3(2, 2), 2)),
               simt::Error);
  EXPECT_NO_THROW(launch(
      +[] {}, in_clusters(32, 16)));
}

struct PlantedBug {
  const char* name;
  int named_in;      // flavours in which launch throws, under every schedule, …
  const char* says;  // … an error that contains this, or this|that
  int shown_in;      // flavours in which some schedule throws or gives a wrong result
  int dies_in;       // flavours that end the process
  std::function<double(const float* in, int i)> expected = nullptr;
};

void PrintTo(const PlantedBug& bug, std::ostream* out) { *out << bug.name; }

constexpr int n = 256, T = 128;

bool contains(std::string_view text, std::string_view alternatives) {
  const std::size_t bar = alternatives.find('|');
  if (text.find(alternatives.substr(0, bar)) != text.npos) return true;
  return bar != alternatives.npos && contains(text, alternatives.substr(bar + 1));
}

double itself(const float* in, int i) { return in[i]; }
double mirrored(const float* in, int i) { return in[T - 1 - i]; }
double neighbour(const float* in, int i) { return in[i ^ 1]; }
double next(const float* in, int i) { return i + 1 < T ? in[i + 1] : 0; }
double mirrored_sum(const float* in, int i) { return in[T - 1 - i] + in[2 * T - 1 - i]; }

const char* const race_words = "data race on|uninitialised shared memory";

const PlantedBug bugs[] = {
    {"missing_syncthreads", race, race_words, every, 0, mirrored},
    {"missing_syncthreads_in_a_loop", race, "data race on shared tile", every, 0, mirrored_sum},
    {"missing_syncwarp", race, race_words, every, 0, neighbour},
    {"shuffle_for_a_syncwarp", race, "data race on shared tile", 0, 0},
    {"uninitialised_shared_memory", race, "uninitialised shared memory tile", every, 0, next},
    {"missing_cp_async_wait", race, "data race on shared tile", every, 0, mirrored},
    {"read_before_cp_async_wait", race, "data race on shared tile", every, 0, itself},
    {"cp_async_never_waited_for", every, "cp.async copies it never waited for", 0, 0},
    {"write_past_static_shared_memory", release | race, "past the end of shared variable 'tile'", 0,
     asan},
    {"write_past_dynamic_shared_memory", release | race, "past the end of shared variable 'dynamic",
     0, asan},
    {"write_past_global_memory", 0, "", 0, asan},
    {"misaligned_vector_access", 0, "", 0, asan},
    {"divergent_barrier", every, "deadlock (divergent barrier", 0, 0},
    {"barrier_at_two_sites", every, "threads wait at", 0, 0},
    {"mask_of_absent_lanes", every, "wait in __shfl_xor_sync(mask ffffffff)", 0, 0},
    {"mask_without_the_caller", every, "leaves out the calling lane", 0, 0},
    {"different_warp_operations", every, "meet in different operations", 0, 0},
    {"update_by_all_threads", race, "data race on global memory", 0, 0},
    {"update_by_all_blocks", race, "data race on global memory", 0, 0},
    {"missing_threadfence", race, "data race on global memory", 0, 0},
    {"livelock", every, "livelock", 0, 0},
    {"grid_sync_in_a_plain_launch", every, "not cooperative", 0, 0},
    {"missing_griddepcontrol_wait", every, "griddepcontrol_wait", 0, 0},
    {"read_before_griddepcontrol_wait", race, "before griddepcontrol_wait", 0, 0},
    {"cluster_sync_in_a_plain_launch", every, "without clusters", 0, 0},
    {"missing_cluster_sync", race, "data race on global memory", 0, 0},
    {"cluster_sync_between_clusters", race, "data race on global memory", 0, 0},
    {"divergent_cluster_sync", every, "deadlock (divergent barrier", 0, 0},
    {"cluster_sync_at_two_sites", every, "threads wait at", 0, 0},
};

class PlantedBugs : public testing::TestWithParam<PlantedBug> {
 protected:
  PlantedBugs() {
    for (int i = 0; i < n; ++i) in_[i] = float(i + 1);
    simt::configuration().timeout = 0.3;
  }
  ~PlantedBugs() override { simt::configuration() = before_; }

  void run() {
    std::fill(out_.begin(), out_.end(), 0.0f);
    run_planted_bug(GetParam().name, out_, in_, n);
  }

  bool result_is_right() {
    for (int i = 0; i < T; ++i)
      if (out_[i] != GetParam().expected(in_, i)) return false;
    return true;
  }

  Buffer<float> in_{n}, out_{n};
  const simt::Configuration before_ = simt::configuration();
};

TEST_P(PlantedBugs, Are_noticed) {
  const PlantedBug& bug = GetParam();
  if (bug.dies_in & flavour) {
    testing::FLAGS_gtest_death_test_style = "fast";
    EXPECT_DEATH(run(), "simt_bugs.cu");
  } else if (bug.named_in & flavour) {
    each_schedule([&] {
      try {
        run();
        ADD_FAILURE() << "no error";
      } catch (const simt::Error& e) {
        EXPECT_TRUE(contains(e.what(), bug.says)) << e.what();
        EXPECT_TRUE(contains(e.what(), "simt_bugs.cu:")) << e.what();
        EXPECT_TRUE(contains(e.what(), "block (")) << e.what();
      }
    });
  } else if (bug.shown_in & flavour) {
    int shown = 0;
    each_schedule([&] {
      try {
        run();
        shown += !result_is_right();
      } catch (const simt::Error&) {
        ++shown;
      }
    });
    EXPECT_GT(shown, 0);
  } else if (bug.dies_in) {
    GTEST_SKIP() << "only the ASan and UBSan build sees the address of every access";
  } else {
    GTEST_SKIP() << "threads switch at barriers and atomics alone: only the race build sees it";
  }
}

INSTANTIATE_TEST_SUITE_P(Simt, PlantedBugs, testing::ValuesIn(bugs),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Simt, A_race_names_both_lines) {
  if (flavour != race) GTEST_SKIP() << "only the race build sees loads and stores";
  Buffer<float> in(n), out(n);
  fill(in, 9);
  try {
    run_planted_bug("missing_syncthreads_in_a_loop", out, in, n);
    FAIL() << "no error";
  } catch (const simt::Error& e) {
    const std::string text = e.what();
    const std::size_t first = text.find(" at simt_bugs.cu:");
    ASSERT_NE(first, text.npos) << text;
    EXPECT_NE(text.find(" at simt_bugs.cu:", first + 1), text.npos) << text;
  }
}

}  // namespace
}  // namespace elbo
