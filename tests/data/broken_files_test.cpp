// Files that are cut short, that are something else than their name says, or that claim more than
// they hold: each is refused in one line that names it.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/dataset.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

const std::string golden = ELBO_SOURCE_DIR "/tests/golden/formats/";

const std::string idx(
    "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"
    "abcdefghijkl",
    28);
const std::string mtx = "%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 7\n3 2 9\n";

std::string whole(const std::string& name) {
  if (name == "x.idx") return idx;
  if (name == "x.mtx") return mtx;
  return content_of(golden + name);
}

void expect_one_line(const std::string& error, const std::string& path) {
  EXPECT_TRUE(error.starts_with(path)) << error;
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 0) << error;
  EXPECT_LT(error.size() - path.size(), 300u) << error;
}

using Name = std::string;
std::string test_name(const testing::TestParamInfo<Name>& info) {
  std::string name = info.param;
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

struct Truncated : testing::TestWithParam<Name> {};
struct Misnamed : testing::TestWithParam<Name> {};

}  // namespace

TEST_P(Truncated, IsAnErrorWhereverItIsCut) {
  const TemporaryFolder folder;
  const std::string content = whole(GetParam());
  const std::size_t step = std::max<std::size_t>(1, content.size() / 150);
  for (std::size_t size = 0; size + 2 < content.size(); size += step) {
    const std::string path =
        folder.with("cut" + GetParam().substr(GetParam().rfind('.')), content.substr(0, size));
    const std::string error = error_of([&] { read_dataset(path); });
    ASSERT_FALSE(error.empty()) << "cut to " << size << " of " << content.size() << " bytes";
    expect_one_line(error, path);
  }
}
INSTANTIATE_TEST_SUITE_P(, Truncated,
                         testing::Values("csr.h5ad", "before_0_7.h5ad", "ten_x_v3.h5", "bits.npy",
                                         "stored.npz", "deflated.npz", "x.idx", "x.mtx"),
                         test_name);

TEST_P(Misnamed, IsAnErrorUnderEveryOtherEnding) {
  const TemporaryFolder folder;
  const std::string content = whole(GetParam());
  for (const std::string ending : {".csv", ".npy", ".npz", ".idx", ".mtx", ".h5ad", ".fa"}) {
    if (GetParam().ends_with(ending)) continue;
    const std::string path = folder.with("x" + ending, content);
    const std::string error = error_of([&] { read_dataset(path); });
    ASSERT_FALSE(error.empty()) << GetParam() << " as " << ending;
    expect_one_line(error, path);
  }
}
INSTANTIATE_TEST_SUITE_P(, Misnamed,
                         testing::Values("csc.h5ad", "bits.npy", "stored.npz", "x.idx", "x.mtx"),
                         test_name);

TEST(BrokenFiles, CutPicturesAreErrors) {
  const TemporaryFolder folder;
  const std::string content = content_of(golden + "pictures/cat/1.png");
  // After the last of the pixels' chunk there is nothing that they need.
  for (std::size_t size = 0; size < content.size() - 16; ++size) {
    const std::string path = folder.with("1.png", content.substr(0, size));
    const std::string error = error_of([&] { read_dataset(folder.path()); });
    ASSERT_FALSE(error.empty()) << size;
    expect_one_line(error, path);
  }
}

TEST(BrokenFiles, PicturesOfTwoSizesAndFoldersOfNothingAreErrors) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { read_dataset(folder.path()); }),
            folder.path() +
                ": is a directory without matrix.mtx or matrix.mtx.gz and without .png, expected a "
                "file");
  folder.with("a.png", content_of(golden + "pictures/cat/0.png"));
  folder.with("b.png", content_of(ELBO_SOURCE_DIR "/docs/samples.png"));
  const std::string error = error_of([&] { read_dataset(folder.path()); });
  EXPECT_TRUE(error.ends_with("expected 3 x 4 as the first")) << error;
}

TEST(BrokenFiles, ThatClaimMoreThanTheyHoldAreRefusedBeforeMemoryIsAsked) {
  // 2^40 names, or entries of X, in a few kilobytes.
  for (const std::string name : {"claims_names.h5ad", "claims_values.h5ad"}) {
    const std::string error = error_of([&] { read_dataset(golden + name); });
    EXPECT_NE(error.find("cannot hold them"), std::string::npos) << error;
    expect_one_line(error, golden + name);
  }
}

TEST(BrokenFiles, OfNamesAndCompressionsThatNoWriterUsesAreErrors) {
  const std::string fuzz = ELBO_SOURCE_DIR "/tests/fuzz/";
  const auto error = [&](const std::string& name, const std::string& as) {
    const TemporaryFolder folder;
    const std::string path = folder.with(as, content_of(fuzz + name));
    return folder.relative(error_of([&] { read_dataset(path); }));
  };
  EXPECT_EQ(error("corpus/npz/bzip2", "x.npz"),
            "x.npz: array 'x' is compressed by method 12, expected numpy's, stored or deflated");
  EXPECT_TRUE(error("found/npz/newline_in_a_name", "x.npz")
                  .ends_with("has control characters in its name"));
  EXPECT_EQ(error("found/h5ad/group_in_itself", "x.h5ad"),
            "x.h5ad: 'obs/_index/values' is a group, expected an array");
}
