#include "data/png.h"

#include <png.h>

#include <algorithm>
#include <cmath>

#include "data/atomic_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

constexpr std::uint8_t gap_grey = 96;

struct Picture {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

Picture arrange(const float* images, long count, int height, int width, int columns) {
  require(count > 0 && height > 0 && width > 0 && columns > 0, "png: grid of ", count,
          " images of ", height, " x ", width, " in ", columns,
          " columns, expected at least one of each");
  const long across = std::min<long>(count, columns), down = (count + across - 1) / across;
  const long total_height = down * (height + 1L) - 1, total_width = across * (width + 1L) - 1;
  require(total_height < 65536 && total_width < 65536, "png: grid of ", total_height, " x ",
          total_width, " pixels, at most 65535 x 65535 are drawn");
  Picture picture{int(total_height), int(total_width), {}};
  picture.pixels.assign(std::size_t(total_height * total_width), gap_grey);
  for (long i = 0; i < count; ++i) {
    const long top = i / across * (height + 1L), left = i % across * (width + 1L);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const float value = images[(i * height + y) * width + x];
        require(!std::isnan(value), "png: pixel (", y, ", ", x, ") of image ", i,
                " is not a number");
        picture.pixels[std::size_t((top + y) * total_width + left + x)] =
            std::uint8_t(std::lround(255 * std::clamp(value, 0.f, 1.f)));
      }
  }
  return picture;
}

}  // namespace

std::vector<std::uint8_t> png_grid(const float* images, long count, int height, int width,
                                   int columns) {
  const Picture picture = arrange(images, count, height, width, columns);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = unsigned(picture.width);
  header.height = unsigned(picture.height);
  header.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<std::uint8_t> file(size);
  const bool done = png_image_write_to_memory(&header, file.data(), &size, 0, picture.pixels.data(),
                                              0, nullptr) != 0;
  require(done, "png: ", header.message);
  file.resize(size);
  return file;
}

void write_png_grid(const std::string& path, const float* images, long count, int height, int width,
                    int columns) {
  const std::vector<std::uint8_t> content = png_grid(images, count, height, width, columns);
  AtomicFile file(path);
  file.write(content.data(), content.size());
  file.commit();
}

}  // namespace elbo
