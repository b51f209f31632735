#include "data/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "data/npy.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

struct AtomicFileIn : testing::Test {
  TemporaryFolder folder;
};

/// A file system in `path` for as long as this lives.
class Mounted {
 public:
  Mounted(const std::string& path, unsigned long flags, const char* options)
      : path_(path), done_(mount("tmpfs", path.c_str(), "tmpfs", flags, options) == 0) {}
  ~Mounted() {
    if (done_) umount2(path_.c_str(), MNT_DETACH);
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  bool done() const { return done_; }

 private:
  std::string path_;
  bool done_;
};

/// No file can grow beyond `bytes` for as long as this lives.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~SizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_F(AtomicFileIn, AFolderHoldsWhatWasWritten) {
  std::string expected;
  AtomicFile file(folder / "x");
  for (int i = 0; i < 100'000; ++i) {
    const std::string piece = std::to_string(i) + ' ';
    file.write(piece);
    expected += piece;
  }
  file.commit();
  EXPECT_EQ(content_of(folder / "x"), expected);
  EXPECT_EQ(folder.entries(), 1u);
}

TEST_F(AtomicFileIn, AFolderIsNotThereBeforeCommit) {
  AtomicFile file(folder / "x");
  file.write(std::string(1'000'000, 'x'));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  file.commit();
  EXPECT_TRUE(std::filesystem::exists(folder / "x"));
}

TEST_F(AtomicFileIn, AFolderLeavesNothingWithoutCommit) {
  {
    AtomicFile file(folder / "x");
    file.write("half");
  }
  EXPECT_EQ(folder.entries(), 0u);
}

TEST_F(AtomicFileIn, AFolderReplacesAnOlderFileOnlyByCommit) {
  folder.with("x", "old");
  {
    AtomicFile(folder / "x").write("new");
  }
  EXPECT_EQ(content_of(folder / "x"), "old");
  write_file(folder / "x", "new");
  EXPECT_EQ(content_of(folder / "x"), "new");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST_F(AtomicFileIn, AFolderMayBeWrittenByNameAndByTwoAtOnce) {
  AtomicFile a(folder / "x"), b(folder / "x");
  EXPECT_NE(a.temporary(), b.temporary());
  std::ofstream(a.temporary()) << "by name";
  a.commit();
  EXPECT_EQ(content_of(folder / "x"), "by name");
  b.write("second");
  b.commit();
  EXPECT_EQ(content_of(folder / "x"), "second");
}

TEST_F(AtomicFileIn, AFolderFollowsALink) {
  folder.with("real", "old");
  std::filesystem::create_symlink("real", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(folder / "real"), "new");
}

TEST_F(AtomicFileIn, AFolderThatDoesNotExistIsAnError) {
  EXPECT_EQ(folder.relative(error_of([&] { AtomicFile(folder / "no/x"); })),
            "no/x: cannot be written: No such file or directory");
}

TEST_F(AtomicFileIn, AFileIsAnError) {
  folder.with("plain", "1");
  EXPECT_EQ(folder.relative(error_of([&] { AtomicFile(folder / "plain/x"); })),
            "plain/x: cannot be written: Not a directory");
}

TEST_F(AtomicFileIn, ThePlaceOfAFolderIsAnError) {
  std::filesystem::create_directory(folder / "dir");
  EXPECT_EQ(folder.relative(error_of([&] { AtomicFile(folder / "dir"); })),
            "dir: is a directory, expected a file to write");
}

TEST_F(AtomicFileIn, ThePlaceOfADeviceIsAnError) {
  EXPECT_EQ(error_of([] { AtomicFile("/dev/full"); }),
            "/dev/full: is a device or pipe, expected a file to write");
}

TEST_F(AtomicFileIn, AFolderThatCannotBeWrittenIsAnError) {
  const Mounted read_only(folder.path(), MS_RDONLY, "");
  if (!read_only.done()) GTEST_SKIP() << "mounting is not permitted here: " << std::strerror(errno);
  EXPECT_EQ(folder.relative(error_of([&] { AtomicFile(folder / "x"); })),
            "x: cannot be written: Read-only file system");
}

TEST_F(AtomicFileIn, AFullDiskIsAnErrorAndLeavesTheOlderFile) {
  const Mounted small(folder.path(), 0, "size=64k");
  if (!small.done()) GTEST_SKIP() << "mounting is not permitted here: " << std::strerror(errno);
  write_file(folder / "x.npy", "old");
  const std::vector<float> numbers(100'000);
  EXPECT_EQ(
      folder.relative(error_of([&] { write_npy(folder / "x.npy", 1000, 100, numbers.data()); })),
      "x.npy: cannot be written: No space left on device");
  EXPECT_EQ(content_of(folder / "x.npy"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST_F(AtomicFileIn, AFolderWhereAWriteFailsLeavesTheOlderFile) {
  folder.with("x.npy", "old");
  const std::vector<float> numbers(100'000);
  std::string message;
  {
    const SizeLimit limit(1000);
    message = error_of([&] { write_npy(folder / "x.npy", 1000, 100, numbers.data()); });
  }
  EXPECT_EQ(folder.relative(message), "x.npy: cannot be written: File too large");
  EXPECT_EQ(content_of(folder / "x.npy"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}
