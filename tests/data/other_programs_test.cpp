// Files that other programs wrote: tests/golden/formats/make_formats.py says how, and real ones.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "data/annotations.h"
#include "data/h5ad.h"
#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

using Names = std::vector<std::string>;

const std::string golden = ELBO_SOURCE_DIR "/tests/golden/formats/";

float expected(long r, int c) {
  const float x = float((3 * r + 5 * c) % 7);
  return x > 3 ? x : 0;
}

void expect_table(const Dataset& data, float times = 1, int columns = 5) {
  ASSERT_EQ(data.rows, 6) << data.source;
  ASSERT_EQ(data.columns, columns) << data.source;
  for (long r = 0; r < 6; ++r)
    for (int c = 0; c < columns; ++c)
      EXPECT_EQ(data.value(r, c), times * expected(r, c)) << data.source << ": " << r << ", " << c;
}

std::string text_of(const Annotation& a, long row) {
  const float value = a.values[std::size_t(row)];
  if (std::isnan(value)) return "?";
  return a.levels.empty() ? std::to_string(int(value)) : a.levels[std::size_t(value)];
}

std::string texts_of(const Dataset& data, const std::string& name) {
  const Annotation a = annotation_named(data, name);
  std::string all;
  for (long r = 0; r < data.rows; ++r) all += text_of(a, r) + ' ';
  return all;
}

/// The folder of real data sets; empty: there is none.
std::string real() {
  const char* const folder = std::getenv("ELBO_DATA");
  return folder == nullptr ? "" : std::string(folder) + '/';
}

}  // namespace

TEST(AnnData, IsReadFromEachLayoutOfItsMatrix) {
  expect_table(read_dataset(golden + "csr.h5ad"));
  expect_table(read_dataset(golden + "csc.h5ad"));
  expect_table(read_dataset(golden + "dense_and_raw.h5ad"), 1, 3);
}

TEST(AnnData, GivesALayerOrItsRawCountsWhereAskedTo) {
  expect_table(read_dataset(golden + "csr.h5ad?layer=twice"), 2);
  expect_table(read_dataset(golden + "csr.h5ad?layer=dense"), 3);
  const Dataset raw = read_dataset(golden + "dense_and_raw.h5ad?raw=1");
  expect_table(raw);
  EXPECT_EQ(raw.column_names.size(), 5u);
  EXPECT_EQ(error_of([] { read_dataset(golden + "csr.h5ad?layer=thrice"); }),
            golden + "csr.h5ad: has no layer 'thrice'; it has dense, twice");
}

TEST(AnnData, NamesRowsAndColumnsAndAnnotatesRows) {
  const Dataset data = read_dataset(golden + "csc.h5ad");
  EXPECT_EQ(data.row_names[5], "cell5");
  EXPECT_EQ(data.column_names[4], "gene4");
  EXPECT_EQ(texts_of(data, "line"), "B A ? A B A ");
  EXPECT_EQ(texts_of(data, "batch"), "1 2 1 2 1 2 ");
  EXPECT_EQ(annotation_named(data, "batch").levels, (Names{"1", "2"})) << "text stays text";
  EXPECT_EQ(texts_of(data, "age"), "1 ? 3 4 5 6 ");
  EXPECT_EQ(texts_of(data, "doublet"), "True False False True False False ");
  EXPECT_EQ(texts_of(data, "count"), "1 ? 3 4 5 6 ");
}

TEST(AnnData, OfEarlierLayoutsIsReadToo) {
  for (const std::string name : {"before_0_7.h5ad", "before_0_8.h5ad"}) {
    const Dataset data = read_dataset(golden + name);
    expect_table(data);
    EXPECT_EQ(data.row_names[5], "cell5");
    EXPECT_EQ(data.column_names[4], "gene4");
    EXPECT_EQ(texts_of(data, "line"), "B A ? A B A ");
    EXPECT_EQ(texts_of(data, "age"), "1 ? 3 4 5 6 ");
  }
}

TEST(AnnData, WhoseObsmIsATableTakesNoLatents) {
  const TemporaryFolder folder;
  const std::vector<float> latents(6);
  EXPECT_EQ(error_of([&] {
              write_obsm(golden + "before_0_7.h5ad", folder / "out.h5ad", "X_elbo", 6, 1,
                         latents.data(), false);
            }),
            golden +
                "before_0_7.h5ad: its obsm is a table, as before anndata 0.7; rewrite it "
                "with anndata");
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AnnData, CompressedByLzfIsAnErrorThatSaysWhatToDo) {
  EXPECT_EQ(error_of([] { read_dataset(golden + "lzf.h5ad"); }),
            golden +
                "lzf.h5ad: 'X' is compressed by filter 32000 (lzf), which cannot be read; "
                "rewrite the file with compression='gzip'");
}

TEST(AnnData, TakesLatentsBesideWhatItHas) {
  const TemporaryFolder folder;
  const std::string file = folder / "cells.h5ad";
  std::filesystem::copy(golden + "csr.h5ad", file);
  const std::string before = content_of(file);
  std::vector<float> latents(12);
  std::iota(latents.begin(), latents.end(), 0.5f);
  write_obsm(file, folder / "out.h5ad", "X_elbo", 6, 2, latents.data(), false);
  EXPECT_EQ(content_of(file), before);
  expect_table(read_dataset(folder / "out.h5ad"));
  EXPECT_EQ(texts_of(read_dataset(folder / "out.h5ad"), "line"), "B A ? A B A ");

  write_obsm(file, file, "X_elbo", 6, 2, latents.data(), false);
  expect_table(read_dataset(file));
  EXPECT_EQ(error_of([&] { write_obsm(file, file, "X_elbo", 6, 2, latents.data(), false); }),
            file + ": has obsm/X_elbo already; --force replaces it");
  write_obsm(file, file, "X_elbo", 6, 2, latents.data(), true);
  EXPECT_EQ(error_of([&] { write_obsm(file, file, "X_elbo", 5, 2, latents.data(), true); }),
            file + ": has 6 observations, obsm/X_elbo would have 5 rows");
  EXPECT_EQ(folder.entries(), 2u) << "a temporary was left behind";
}

TEST(TenX, OfEitherVersionGivesCellsAsRows) {
  for (const std::string name : {"ten_x_v2.h5", "ten_x_v3.h5"}) {
    const Dataset data = read_dataset(golden + name);
    expect_table(data);
    EXPECT_EQ(data.row_names[2], "ACGT-2");
    EXPECT_EQ(data.column_names[3], "GENE3");
  }
}

TEST(Npz, IsReadStoredAndDeflated) {
  const Dataset stored = read_dataset(golden + "stored.npz");
  expect_table(stored);
  EXPECT_EQ(stored.labels, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(read_dataset(golden + "stored.npz?array=other").columns, 2);
  EXPECT_EQ(error_of([] { read_dataset(golden + "stored.npz?array=z"); }),
            golden + "stored.npz: has no array 'z'; it has X, other, y");
  const Dataset images = read_dataset(golden + "deflated.npz");
  EXPECT_EQ(images.image_height, 4);
  EXPECT_EQ(images.bytes[47], 47);
}

TEST(PackedBits, BecomeZerosAndOnes) {
  const Dataset data = read_dataset(golden + "bits.npy?bits=5");
  ASSERT_EQ(data.columns, 5);
  for (long r = 0; r < 6; ++r)
    for (int c = 0; c < 5; ++c) EXPECT_EQ(data.value(r, c), expected(r, c) > 0);
  EXPECT_EQ(error_of([] { read_dataset(golden + "bits.npy?bits=9"); }),
            golden + "bits.npy: bits=9, but its rows of 1 bytes have 8 bits");
}

TEST(Pictures, OfFoldersAreClassesAndColoursBecomeGrey) {
  const Dataset data = read_dataset(golden + "pictures");
  ASSERT_EQ(data.rows, 4);
  EXPECT_EQ(data.image_height, 3);
  EXPECT_EQ(data.image_width, 4);
  EXPECT_EQ(data.labels, (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(texts_of(data, "class"), "cat cat dog dog ");
  EXPECT_EQ(data.row_names[3], "dog/1.png");
  for (int i = 0; i < 4; ++i)
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 4; ++x)
        EXPECT_EQ(data.bytes[std::size_t(i * 12 + y * 4 + x)],
                  10 * (x + y) + 100 * (i / 2) + i % 2);
  EXPECT_EQ(read_dataset(golden + "pictures/dog").labels.size(), 0u);
}

TEST(RealFiles, OfCellsAgreeWithEachOther) {
  if (real().empty()) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const std::string cells = real() + "cells/";
  const Dataset h5 = read_dataset(cells + "formats/10x-3.0.0/filtered_feature_bc_matrix.h5"),
                mtx = read_dataset(cells + "formats/10x-3.0.0/filtered_feature_bc_matrix");
  EXPECT_EQ(h5.hash(), mtx.hash());
  EXPECT_EQ(h5.row_names, mtx.row_names);
  EXPECT_EQ(h5.column_names, mtx.column_names);

  const Dataset old = read_dataset(cells + "pbmc68k_reduced/legacy_v0.5.h5ad");
  EXPECT_EQ(old.rows, 700);
  EXPECT_EQ(old.columns, 765);
  Dataset labelled =
      read_dataset(cells + "pbmc68k_reduced?annotations=" + cells + "pbmc68k_reduced/cells.tsv.gz");
  EXPECT_EQ(old.row_names, labelled.row_names);
  EXPECT_EQ(texts_of(old, "bulk_labels"), texts_of(labelled, "bulk_label"));
  EXPECT_EQ(texts_of(old, "phase"), texts_of(labelled, "phase"));
  EXPECT_EQ(read_dataset(cells + "pbmc68k_reduced/legacy_v0.5.h5ad?raw=1").columns, 765);

  const std::string newer = cells + "formats/anndata-0.7.8/adata.h5ad";
  EXPECT_NE(error_of([&] { read_dataset(newer); }).find("lzf"), std::string::npos);
}

TEST(RealFiles, OfSequencesAndMoleculesHaveTheirPublishedShapes) {
  if (real().empty()) GTEST_SKIP() << "ELBO_DATA does not name the folder of the data sets";
  const Dataset dna = read_dataset(real() + "dna/enhancers/train_enhancers.fa");
  EXPECT_EQ(dna.rows, 1484);
  EXPECT_EQ(dna.columns, 200);
  EXPECT_EQ(dna.alphabet, "ACGT");
  EXPECT_EQ(dna.type, Dataset::Type::u8);
  const Dataset bits = read_dataset(real() + "molecules/bace_1522_ecfp4_1024_packed.npy?bits=1024");
  EXPECT_EQ(bits.rows, 1522);
  EXPECT_EQ(bits.columns, 1024);
  EXPECT_LE(*std::max_element(bits.bytes.begin(), bits.bytes.end()), 1);
  const Dataset blood = read_dataset(real() + "cells/mcdavid_mb/expression.csv?labels=stage");
  EXPECT_EQ(blood.rows, 342);
  EXPECT_EQ(blood.columns, 253);
  EXPECT_EQ(blood.annotations[0].levels, (Names{"g0/g1", "g2/m", "s"}));
}
