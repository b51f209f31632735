#include "data/npz.h"

#include <zip.h>

#include <algorithm>
#include <memory>

#include "data/npy.h"
#include "runtime/error.h"

namespace elbo {
namespace {

class Archive {
 public:
  Archive(const std::string& source, const Bytes& content) : source_(source) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* const from = zip_source_buffer_create(content.data(), content.size(), 0, &error);
    zip_ = from == nullptr ? nullptr : zip_open_from_source(from, ZIP_RDONLY, &error);
    if (zip_ != nullptr) return;
    if (from != nullptr) zip_source_free(from);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail(source_, ": begins with ", hex(content, 4), ": not a whole zip archive: ", reason);
  }
  ~Archive() { zip_discard(zip_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  /// The names of its arrays, without .npy.
  std::vector<std::string> arrays() const {
    std::vector<std::string> names;
    for (zip_int64_t i = 0; i < zip_get_num_entries(zip_, 0); ++i) {
      const char* const name = zip_get_name(zip_, zip_uint64_t(i), 0);
      const std::string_view entry = name == nullptr ? "" : name;
      if (!entry.ends_with(".npy")) continue;
      const bool printable =
          std::none_of(entry.begin(), entry.end(), [](unsigned char c) { return c < 0x20; });
      require(printable, source_, ": array ", quoted(entry), " has control characters in its name");
      names.emplace_back(entry.substr(0, entry.size() - 4));
    }
    return names;
  }

  /// The content of an array, or its first `most` bytes.
  Bytes read(const std::string& array, std::size_t most = std::size_t(-1)) const {
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> entry(
        zip_fopen(zip_, (array + ".npy").c_str(), 0), zip_fclose);
    require(entry != nullptr, source_, ": array '", array, "': ", zip_strerror(zip_));
    zip_stat_t about{};
    const bool known = zip_stat(zip_, (array + ".npy").c_str(), 0, &about) == 0;
    require(known && (about.comp_method == ZIP_CM_STORE || about.comp_method == ZIP_CM_DEFLATE),
            source_, ": array '", array, "' is compressed by method ", about.comp_method,
            ", expected numpy's, stored or deflated");
    Bytes content;
    while (content.size() < most) {
      const std::size_t before = content.size();
      content.resize(std::min(most, before + std::max<std::size_t>(before, 1 << 16)));
      const zip_int64_t got =
          zip_fread(entry.get(), content.data() + before, content.size() - before);
      require(got >= 0, source_, ": array '", array,
              "' is truncated or corrupt: ", zip_file_strerror(entry.get()));
      content.resize(before + std::size_t(got));
      if (got == 0) break;
    }
    return content;
  }

  /// Its shape and type; of the header only the beginning of the array is unpacked.
  NpyShape shape(const std::string& array) const {
    return npy_shape(source_ + ":" + array, read(array, 1 << 16));
  }

 private:
  const std::string& source_;
  zip_t* zip_ = nullptr;
};

std::string listed(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "none" : all;
}

std::string chosen_array(const std::string& source, const Archive& archive,
                         const Options& options) {
  const std::vector<std::string> arrays = archive.arrays();
  if (const auto named = options.get("array")) {
    require(std::find(arrays.begin(), arrays.end(), *named) != arrays.end(), source,
            ": has no array '", *named, "'; it has ", listed(arrays));
    return *named;
  }
  std::vector<std::string> fit, usual;
  for (const std::string& name : arrays) {
    const std::size_t dimensions = archive.shape(name).extents.size();
    if (dimensions != 2 && dimensions != 3) continue;
    fit.push_back(name);
    if (name == "X" || name == "arr_0" || name == "images") usual.push_back(name);
  }
  require(!fit.empty(), source, ": has no array of 2 or 3 dimensions; it has ", listed(arrays));
  if (fit.size() > 1 && usual.size() == 1) return usual[0];
  require(fit.size() == 1, source, ": has the arrays ", listed(fit), ", expected ?array=NAME");
  return fit[0];
}

}  // namespace

Dataset parse_npz(const std::string& source, Bytes content, const Options& options) {
  options.require_known({"array", "bits"});
  const Archive archive(source, content);
  Options rest = options;
  rest.take({"array"});
  const std::string name = chosen_array(source, archive, options);
  Dataset data = parse_npy(source + ":" + name, archive.read(name), rest);
  data.source = source;
  for (const std::string& array : archive.arrays()) {
    if (array != "labels" && array != "y") continue;
    const NpyShape shape = archive.shape(array);
    const bool whole = shape.type.find_first_of("iub") != std::string::npos;
    if (shape.extents != std::vector<long>{data.rows} || !whole || array == name) continue;
    data.labels = parse_npy_labels(source + ":" + array, archive.read(array));
    break;
  }
  return data;
}

}  // namespace elbo
