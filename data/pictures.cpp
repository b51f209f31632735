#include "data/pictures.h"

#include <png.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

namespace fs = std::filesystem;

bool is_png(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return ending == ".png" && fs::is_regular_file(path);
}

std::vector<fs::path> sorted(const fs::path& folder, auto&& wanted) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (wanted(entry.path())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> pictures_in(const fs::path& folder) { return sorted(folder, is_png); }

std::vector<fs::path> classes_in(const fs::path& folder) {
  return sorted(folder, [](const fs::path& path) {
    return fs::is_directory(path) && !pictures_in(path).empty();
  });
}

/// The pixels of one file, appended to data.bytes; the first file's size is everybody's.
void append(Dataset& data, const std::string& file) {
  const Bytes content = read_file(file);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  require(png_image_begin_read_from_memory(&image, content.data(), content.size()) != 0, file,
          ": begins with ", hex(content, 4), ": not a whole PNG: ", image.message);
  if (data.rows == 0) data.image_height = int(image.height), data.image_width = int(image.width);
  const bool fits =
      image.height == unsigned(data.image_height) && image.width == unsigned(data.image_width);
  // A byte of deflated data is at most 1032, each of 8 pixels.
  const bool holds = double(image.height) * image.width <= 1032. * 8 * double(content.size());
  if (!fits || !holds) {
    png_image_free(&image);
    require(fits, file, ": is ", image.height, " x ", image.width, ", expected ", data.image_height,
            " x ", data.image_width, " as the first");
    fail(file, ": truncated: claims ", image.height, " x ", image.width, " pixels in ",
         content.size(), " bytes");
  }
  image.format = PNG_FORMAT_GRAY;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const std::size_t before = data.bytes.size();
  data.bytes.resize(before + PNG_IMAGE_SIZE(image));
  const png_color black{};
  require(png_image_finish_read(&image, &black, data.bytes.data() + before, 0, nullptr) != 0, file,
          ": truncated or corrupt: ", image.message);
  ++data.rows;
}

}  // namespace

bool holds_pictures(const std::string& folder) {
  return !pictures_in(folder).empty() || !classes_in(folder).empty();
}

Dataset read_pictures(const std::string& folder, const Options& options) {
  options.require_known({});
  Dataset data;
  data.source = folder;
  data.type = Dataset::Type::u8;
  const std::vector<fs::path> files = pictures_in(folder), classes = classes_in(folder);
  require(!files.empty() || !classes.empty(), folder, ": holds no file in .png");
  require(files.empty() || classes.empty(), folder,
          ": holds both files in .png and folders of them, expected one or the other");
  for (const fs::path& file : files) {
    append(data, file.string());
    data.row_names.push_back(file.filename().string());
  }
  if (!classes.empty()) data.annotations.push_back({"class", {}, {}});
  for (const fs::path& one : classes) {
    Annotation& a = data.annotations[0];
    for (const fs::path& file : pictures_in(one)) {
      append(data, file.string());
      data.row_names.push_back((one.filename() / file.filename()).string());
      data.labels.push_back(int(a.levels.size()));
      a.values.push_back(float(a.levels.size()));
    }
    a.levels.push_back(one.filename().string());
  }
  data.columns = data.image_height * data.image_width;
  data.scale = image_scale(data.bytes);
  return data;
}

}  // namespace elbo
