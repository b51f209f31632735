// Files with a byte changed, or with a claim that cannot be true.
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

const std::string golden = ELBO_SOURCE_DIR "/tests/golden/formats/";

/// Formats that Elbo takes apart by itself: libhdf5 1.10 trusts what a file says of itself.
class ChangedFile : public testing::TestWithParam<std::string> {};

}  // namespace

TEST_P(ChangedFile, IsReadOrRefusedInOneLine) {
  const TemporaryFolder folder;
  const std::string whole = content_of(golden + GetParam());
  const std::size_t step = std::max<std::size_t>(1, whole.size() / 150);
  for (std::size_t at = 0; at < whole.size(); at += step) {
    std::string changed = whole;
    changed[at] = char(~changed[at]);
    const std::string path = folder.with(GetParam(), changed);
    const std::string error = error_of([&] { read_dataset(path); });
    EXPECT_TRUE(error.empty() || error.starts_with(path)) << error;
    EXPECT_EQ(error.find('\n'), error.npos) << error;
  }
}

INSTANTIATE_TEST_SUITE_P(, ChangedFile, testing::Values("stored.npz", "deflated.npz", "bits.npy"),
                         [](const auto& info) {
                           return info.param.substr(0, info.param.find('.'));
                         });

TEST(ChangedFiles, OfPicturesThatClaimAnotherSizeOrStandBesideClassesAreRefused) {
  const TemporaryFolder folder;
  const std::string one = content_of(golden + "pictures/cat/0.png");
  // Width and height stand at 16 and 20, before their checksum.
  std::string claims = one;
  claims.replace(16, 8, std::string("\0\0\x7f\xff\0\0\x7f\xff", 8));
  folder.with("a.png", claims);
  EXPECT_NE(error_of([&] { read_dataset(folder.path()); }), "");
  folder.with("a.png", one);
  std::filesystem::create_directory(folder / "class");
  folder.with("class/c.png", one);
  EXPECT_EQ(
      error_of([&] { read_dataset(folder.path()); }),
      folder.path() + ": holds both files in .png and folders of them, expected one or the other");
}
