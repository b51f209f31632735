#include "data/png.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cmath>

#include "tests/data/temporary_folder.h"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Pixels {
  int height = 0, width = 0;
  std::vector<std::uint8_t> grey;
  int at(int y, int x) const { return grey.at(std::size_t(y * width + x)); }
};

Pixels decode(const std::string& file) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  require(png_image_begin_read_from_memory(&header, file.data(), file.size()) != 0, header.message);
  header.format = PNG_FORMAT_GRAY;
  Pixels pixels{int(header.height), int(header.width), {}};
  pixels.grey.resize(PNG_IMAGE_SIZE(header));
  require(png_image_finish_read(&header, nullptr, pixels.grey.data(), 0, nullptr) != 0,
          header.message);
  return pixels;
}

}  // namespace

TEST(PngGrid, HoldsTheImagesInTheirPlacesWithAGapBetween) {
  const TemporaryFolder folder;
  const std::vector<float> images{0, 1, .2f, .4f, .6f, .8f};  // three of 1 x 2
  write_png_grid(folder / "x.png", images.data(), 3, 1, 2, 2);
  const Pixels pixels = decode(content_of(folder / "x.png"));
  ASSERT_EQ(pixels.height, 3);
  ASSERT_EQ(pixels.width, 5);
  EXPECT_EQ(pixels.at(0, 0), 0);
  EXPECT_EQ(pixels.at(0, 1), 255);
  EXPECT_EQ(pixels.at(0, 3), 51);
  EXPECT_EQ(pixels.at(0, 4), 102);
  EXPECT_EQ(pixels.at(2, 0), 153);
  EXPECT_EQ(pixels.at(2, 1), 204);
  const int gap = pixels.at(0, 2);
  for (int x = 0; x < 5; ++x) EXPECT_EQ(pixels.at(1, x), gap);
}

TEST(PngGrid, InMemoryIsTheFile) {
  const TemporaryFolder folder;
  const std::vector<float> images(10 * 12, .5f);
  write_png_grid(folder / "x.png", images.data(), 10, 3, 4, 5);
  const std::vector<std::uint8_t> memory = png_grid(images.data(), 10, 3, 4, 5);
  EXPECT_EQ(content_of(folder / "x.png"), std::string(memory.begin(), memory.end()));
}

TEST(PngGrid, IsNoWiderThanItsImages) {
  const std::vector<float> images{0, 0};
  const auto file = png_grid(images.data(), 2, 1, 1, 20);
  EXPECT_EQ(decode({file.begin(), file.end()}).width, 3);
}

TEST(PngGrid, ClampsWhatIsBeyondBlackAndWhite) {
  const std::vector<float> images{-7, HUGE_VALF};
  const auto file = png_grid(images.data(), 1, 1, 2, 1);
  EXPECT_EQ(decode({file.begin(), file.end()}).grey, (std::vector<std::uint8_t>{0, 255}));
}

TEST(PngGrid, OfAPixelThatIsNotANumberIsAnErrorThatNamesIt) {
  const std::vector<float> images{0, 0, 0, std::nanf("")};
  EXPECT_EQ(error_of([&] { png_grid(images.data(), 2, 1, 2, 1); }),
            "png: pixel (0, 1) of image 1 is not a number");
}

TEST(PngGrid, WithoutImagesIsAnError) {
  EXPECT_EQ(error_of([] { png_grid(nullptr, 0, 28, 28, 10); }),
            "png: grid of 0 images of 28 x 28 in 10 columns, expected at least one of each");
}
