// What fuzzing gathered (corpus) and what it brought to light (found) goes to its reader again.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tests/data/temporary_folder.h"
#include "tests/fuzz/readers.h"

using namespace elbo;
using namespace elbo::test;

#ifdef __SANITIZE_ADDRESS__
/// The sanitizer's shadow takes more than any limit, so it counts itself.
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=512"; }
#endif

namespace {

namespace fs = std::filesystem;

#ifdef __SANITIZE_ADDRESS__
constexpr rlim_t most_memory = RLIM_INFINITY;
#else
constexpr rlim_t most_memory = 1 << 30;
#endif

/// Nothing that is allocated may be much more than the files, which have some kilobytes.
class LimitedMemory {
 public:
  LimitedMemory() {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit limit{std::min(most_memory, before_.rlim_max), before_.rlim_max};
    setrlimit(RLIMIT_AS, &limit);
  }
  ~LimitedMemory() { setrlimit(RLIMIT_AS, &before_); }
  LimitedMemory(const LimitedMemory&) = delete;
  LimitedMemory& operator=(const LimitedMemory&) = delete;

 private:
  rlimit before_{};
};

struct Corpus : testing::TestWithParam<std::string> {};

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const Reader& reader : readers()) names.push_back(reader.name);
  return names;
}

}  // namespace

TEST_P(Corpus, is_read_or_refused_in_a_line_that_names_the_file) {
  const LimitedMemory limit;
  long files = 0;
  for (const std::string where : {"corpus/", "found/"}) {
    const fs::path folder = ELBO_SOURCE_DIR "/tests/fuzz/" + where + GetParam();
    if (!fs::exists(folder)) continue;
    for (const fs::directory_entry& file : fs::directory_iterator(folder)) {
      const std::string content = content_of(file.path());
      std::cout << where << GetParam() << '/' << file.path().filename().string() << '\n';
      ASSERT_NO_THROW(give(reader_named(GetParam()), {content.begin(), content.end()}));
      ++files;
    }
  }
  EXPECT_GE(files, 5);
}
INSTANTIATE_TEST_SUITE_P(, Corpus, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });
