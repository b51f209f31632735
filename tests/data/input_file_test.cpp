#include "data/input_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "data/dataset.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

std::string gzip(std::string_view content) {
  const TemporaryFolder folder;
  const std::string path = folder / "packed";
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), unsigned(content.size()));
  gzclose(file);
  return content_of(path);
}

std::string read_as_text(const std::string& path) {
  const Bytes bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

struct InputFile : testing::Test {
  TemporaryFolder folder;
  std::string error_of_reading(const std::string& name) const {
    return folder.relative(error_of([&] { read_dataset(folder / name); }));
  }
};

}  // namespace

TEST_F(InputFile, ComesBackByteForByte) {
  std::string content(100'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = char(i * i >> 3);
  EXPECT_EQ(read_as_text(folder.with("x", content)), content);
}

TEST_F(InputFile, IsUnpackedWhateverItsNameIs) {
  std::string content;
  for (int i = 0; i < 50'000; ++i) content += std::to_string(i * 7919);
  EXPECT_EQ(read_as_text(folder.with("x.gz", gzip(content))), content);
  EXPECT_EQ(read_as_text(folder.with("x", gzip(content))), content);
}

TEST_F(InputFile, MayExpandAThousandfold) {
  const std::string content(5'000'000, 'a');
  EXPECT_EQ(read_as_text(folder.with("x.gz", gzip(content))), content);
}

TEST_F(InputFile, MayBeSeveralGzipMembersPaddedWithZeros) {
  const std::string packed = gzip("one ") + gzip("two") + std::string(512, '\0');
  EXPECT_EQ(read_as_text(folder.with("x.gz", packed)), "one two");
}

TEST_F(InputFile, ThatDoesNotExistIsNamed) {
  EXPECT_EQ(error_of_reading("nope.csv"), "nope.csv: no such file");
}

TEST_F(InputFile, ThatIsAFolderIsNamed) {
  std::filesystem::create_directory(folder / "dir");
  EXPECT_EQ(
      error_of_reading("dir"),
      "dir: is a directory without matrix.mtx or matrix.mtx.gz and without .png, expected a file");
}

TEST_F(InputFile, BelowAFileIsAnError) {
  folder.with("plain", "1");
  EXPECT_EQ(error_of_reading("plain/x.csv"), "plain/x.csv: cannot be opened: Not a directory");
}

TEST_F(InputFile, ThatIsEmptyIsNamed) {
  folder.with("x.csv", "");
  EXPECT_EQ(error_of_reading("x.csv"), "x.csv: is empty, expected data");
  folder.with("y.csv.gz", gzip(""));
  EXPECT_EQ(error_of_reading("y.csv.gz"), "y.csv.gz: is empty when unpacked, expected data");
}

TEST_F(InputFile, NamedGzThatIsNotGzipIsAnError) {
  folder.with("x.csv.gz", "1,2\n");
  EXPECT_EQ(error_of_reading("x.csv.gz"), "x.csv.gz: begins with 31 2c, expected gzip's 1f 8b");
}

TEST_F(InputFile, WhoseGzipDataEndEarlyIsAnError) {
  const std::string packed = gzip("1,2\n3,4\n");
  for (std::size_t size = 2; size < packed.size(); ++size) {
    folder.with("x.csv.gz", packed.substr(0, size));
    EXPECT_EQ(error_of_reading("x.csv.gz"), "x.csv.gz: truncated: the gzip data end early, after " +
                                                std::to_string(size) + " bytes");
  }
}

TEST_F(InputFile, WhoseGzipChecksumIsWrongIsAnError) {
  std::string packed = gzip("1,2\n3,4\n");
  packed[packed.size() - 6] ^= 1;
  folder.with("x.csv.gz", packed);
  EXPECT_EQ(error_of_reading("x.csv.gz"), "x.csv.gz: corrupt gzip data: incorrect data check");
}

TEST_F(InputFile, WithGarbageAfterItsGzipDataIsAnError) {
  folder.with("x.csv.gz", gzip("1,2\n") + "garbage");
  EXPECT_EQ(error_of_reading("x.csv.gz"), "x.csv.gz: corrupt gzip data: 7 bytes follow its end");
}

TEST_F(InputFile, OfUnknownFormatIsAnErrorThatListsTheKnownOnes) {
  folder.with("x.jpeg", "\xff\xd8\xff\xe0jfif");
  EXPECT_EQ(error_of_reading("x.jpeg"),
            "x.jpeg: unknown format: begins with ff d8 ff e0, expected a name in .csv .tsv .txt "
            ".npy .npz .idx .mtx .h5ad .h5 .fa .fasta or -ubyte (or with .gz)");
}

TEST_F(InputFile, FormatIsKnownByItsFirstBytesWhereTheNameDoesNotTell) {
  folder.with("pixels", std::string("\0\0\x08\x02\0\0\0\1\0\0\0\2\7\x09", 14));
  EXPECT_EQ(read_dataset(folder / "pixels").bytes, (Bytes{7, 9}));
}

TEST_F(InputFile, FormatIsToldByANameInCapitals) {
  EXPECT_EQ(read_dataset(folder.with("X.CSV", "1,2\n")).columns, 2);
  EXPECT_EQ(read_dataset(folder.with("Y.CSV.GZ", gzip("1,2\n"))).columns, 2);
}
