#include "data/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <utility>

#include "data/input_file.h"
#include "runtime/error.h"

namespace elbo {
namespace {

/// What the library hands out by number, closed when it is done with.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  explicit Handle(hid_t number) : number_(number) {}
  ~Handle() {
    if (number_ >= 0) Close(number_);
  }
  Handle(Handle&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return number_; }
  bool good() const { return number_ >= 0; }

 private:
  hid_t number_;
};

using Attribute = Handle<H5Aclose>;
using DataSet = Handle<H5Dclose>;
using Group = Handle<H5Gclose>;
using Object = Handle<H5Oclose>;
using Properties = Handle<H5Pclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;

// Neither deflate nor shuffling makes more of a byte.
constexpr double largest_expansion = 1032;

DataSet open_dataset(const std::string& path, hid_t file, const std::string& name) {
  DataSet set(H5Dopen2(file, name.c_str(), H5P_DEFAULT));
  require(set.good(), path, ": '", name, "' is not a dataset, or cannot be read");
  return set;
}

std::vector<hsize_t> extents_of(hid_t set) {
  const Space space(H5Dget_space(set));
  const int dimensions = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(std::size_t(std::max(dimensions, 0)));
  if (!extents.empty()) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return extents;
}

/// How many elements there are, all of which its stored bytes can hold.
std::size_t checked_count(const std::string& path, const std::string& name, hid_t set) {
  const Properties made(H5Dget_create_plist(set));
  for (int i = 0; i < H5Pget_nfilters(made); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    char title[64] = "";
    const H5Z_filter_t filter =
        H5Pget_filter2(made, unsigned(i), &flags, &values, nullptr, sizeof title, title, &config);
    constexpr H5Z_filter_t lzf = 32000;  // Debian's plugin for it does not load
    require(filter != lzf && H5Zfilter_avail(filter) > 0, path, ": '", name,
            "' is compressed by filter ", filter, " (", filter == lzf ? "lzf" : title,
            "), which cannot be read; rewrite the file with compression='gzip'");
  }
  double count = 1;
  for (const hsize_t extent : extents_of(set)) count *= double(extent);
  const Type type(H5Dget_type(set));
  std::error_code none;
  const double stored =
      std::min(double(H5Dget_storage_size(set)), double(std::filesystem::file_size(path, none)));
  const bool packed = H5Pget_nfilters(made) > 0;
  require(count * double(H5Tget_size(type)) <= stored * (packed ? largest_expansion : 1), path,
          ": '", name, "' claims ", count, " elements, the ", stored,
          " bytes that are stored of it cannot hold them");
  return std::size_t(count);
}

/// Of a compound type its field's type, else the type.
Type element_type(const std::string& path, const std::string& name, hid_t set,
                  const std::string& field) {
  Type type(H5Dget_type(set));
  if (field.empty()) return type;
  const int at = H5Tget_class(type) == H5T_COMPOUND ? H5Tget_member_index(type, field.c_str()) : -1;
  require(at >= 0, path, ": '", name, "' has no field '", field, "'");
  return Type(H5Tget_member_type(type, unsigned(at)));
}

/// How an element is to lie in memory: itself, or the field of a compound that has nothing else.
Type memory_type(hid_t element, const std::string& field) {
  if (field.empty()) return Type(H5Tcopy(element));
  Type type(H5Tcreate(H5T_COMPOUND, H5Tget_size(element)));
  H5Tinsert(type, field.c_str(), 0, element);
  return type;
}

template <class T>
hid_t native() {
  if constexpr (std::same_as<T, float>) return H5T_NATIVE_FLOAT;
  else if constexpr (std::same_as<T, double>) return H5T_NATIVE_DOUBLE;
  else return H5T_NATIVE_INT64;
}

/// The library's text type, of variable length or as long as the stored one.
Type text_type(hid_t stored) {
  Type type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, H5Tis_variable_str(stored) > 0 ? H5T_VARIABLE : H5Tget_size(stored) + 1);
  H5Tset_cset(type, H5Tget_cset(stored));
  return type;
}

/// Reads texts by `read`, which fills memory of the given type; false: it could not.
template <class Read>
bool read_texts(std::vector<std::string>& texts, hid_t stored, hid_t space,
                const std::string& field, Read&& read) {
  const Type text = text_type(stored);
  const Type memory = memory_type(text, field);
  if (H5Tis_variable_str(stored) > 0) {
    std::vector<char*> pointers(texts.size(), nullptr);
    const bool done = read(hid_t(memory), static_cast<void*>(pointers.data()));
    if (done)
      for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = pointers[i] ? pointers[i] : "";
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, pointers.data());
    return done;
  }
  const std::size_t width = H5Tget_size(text);
  std::vector<char> letters(width * texts.size());
  if (!read(hid_t(memory), static_cast<void*>(letters.data()))) return false;
  for (std::size_t i = 0; i < texts.size(); ++i)
    texts[i] = std::string(letters.data() + i * width, strnlen(letters.data() + i * width, width));
  return true;
}

void be_silent() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

}  // namespace

Hdf5File::Hdf5File(const std::string& path, Access access) : path_(path) {
  static_assert(sizeof(hid_t) == sizeof(std::int64_t));
  be_silent();
  const Bytes begin = first_bytes(path, 8);
  require(H5Fis_hdf5(path.c_str()) > 0, path, ": begins with ", hex(begin, 4),
          ", expected HDF5's 89 48 44 46");
  file_ =
      H5Fopen(path.c_str(), access == Access::read ? H5F_ACC_RDONLY : H5F_ACC_RDWR, H5P_DEFAULT);
  require(file_ >= 0, path, ": is truncated or corrupt HDF5, or another program writes to it");
}

Hdf5File::~Hdf5File() {
  if (file_ >= 0) H5Fclose(file_);
}

void Hdf5File::close() {
  const herr_t status = H5Fclose(std::exchange(file_, -1));
  require(status >= 0, path_, ": HDF5 cannot finish writing it");
}

bool Hdf5File::has(const std::string& object) const {
  // The library wants each group on the way to be there.
  for (std::size_t slash = 0; slash != object.npos;) {
    slash = object.find('/', slash + 1);
    if (H5Lexists(file_, object.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Oexists_by_name(file_, object.c_str(), H5P_DEFAULT) > 0;
}

bool Hdf5File::is_group(const std::string& object) const {
  return has(object) && Group(H5Gopen2(file_, object.c_str(), H5P_DEFAULT)).good();
}

std::vector<std::string> Hdf5File::members(const std::string& group) const {
  const Group open(H5Gopen2(file_, group.c_str(), H5P_DEFAULT));
  require(open.good(), path_, ": '", group, "' is not a group");
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* names) {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return herr_t(0);
  };
  H5Literate(open, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
  return names;
}

std::vector<long> Hdf5File::extents(const std::string& dataset) const {
  const DataSet set = open_dataset(path_, file_, dataset);
  std::vector<long> extents;
  for (const hsize_t extent : extents_of(set)) {
    require(extent <= hsize_t(std::numeric_limits<long>::max()), path_, ": '", dataset,
            "' has an extent of ", extent);
    extents.push_back(long(extent));
  }
  return extents;
}

std::vector<std::string> Hdf5File::fields(const std::string& dataset) const {
  const DataSet set = open_dataset(path_, file_, dataset);
  const Type type(H5Dget_type(set));
  std::vector<std::string> names;
  if (H5Tget_class(type) != H5T_COMPOUND) return names;
  for (int i = 0; i < H5Tget_nmembers(type); ++i) {
    const std::unique_ptr<char, herr_t (*)(void*)> name(H5Tget_member_name(type, unsigned(i)),
                                                        H5free_memory);
    names.emplace_back(name.get());
  }
  return names;
}

Hdf5File::Kind Hdf5File::kind(const std::string& dataset, const std::string& field) const {
  const DataSet set = open_dataset(path_, file_, dataset);
  switch (H5Tget_class(element_type(path_, dataset, set, field))) {
    case H5T_INTEGER:
    case H5T_FLOAT:
      return Kind::number;
    case H5T_STRING:
      return Kind::text;
    case H5T_ENUM:
      return Kind::boolean;
    default:
      return Kind::other;
  }
}

template <class T>
std::vector<T> Hdf5File::numbers(const std::string& dataset, const std::string& field) const {
  const DataSet set = open_dataset(path_, file_, dataset);
  const Kind found = kind(dataset, field);
  require(found == Kind::number || found == Kind::boolean, path_, ": '", dataset,
          "' does not hold numbers");
  std::vector<T> values(checked_count(path_, dataset, set));
  const Type memory = memory_type(native<T>(), field);
  require(values.empty() || H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
          path_, ": '", dataset, "' cannot be read: truncated or corrupt");
  return values;
}

template std::vector<float> Hdf5File::numbers(const std::string&, const std::string&) const;
template std::vector<double> Hdf5File::numbers(const std::string&, const std::string&) const;
template std::vector<std::int64_t> Hdf5File::numbers(const std::string&, const std::string&) const;

std::vector<std::string> Hdf5File::texts(const std::string& dataset,
                                         const std::string& field) const {
  const DataSet set = open_dataset(path_, file_, dataset);
  require(kind(dataset, field) == Kind::text, path_, ": '", dataset, "' does not hold text");
  std::vector<std::string> texts(checked_count(path_, dataset, set));
  if (texts.empty()) return texts;
  const Type stored = element_type(path_, dataset, set, field);
  const Space space(H5Dget_space(set));
  const auto read = [&](hid_t memory, void* to) {
    return H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) >= 0;
  };
  require(read_texts(texts, stored, space, field, read), path_, ": '", dataset,
          "' cannot be read: truncated or corrupt");
  return texts;
}

std::vector<std::string> Hdf5File::attribute_texts(const std::string& object,
                                                   const std::string& name) const {
  const Object open(H5Oopen(file_, object.c_str(), H5P_DEFAULT));
  if (!open.good() || H5Aexists(open, name.c_str()) <= 0) return {};
  const Attribute attribute(H5Aopen(open, name.c_str(), H5P_DEFAULT));
  const Type stored(H5Aget_type(attribute));
  const Space space(H5Aget_space(attribute));
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  // An attribute's values stand in the header of its object, where there is no room for more.
  constexpr hssize_t most = 1 << 20;
  const bool fits = count >= 1 && count <= most && H5Tget_class(stored) == H5T_STRING &&
                    H5Tget_size(stored) <= std::size_t(most / count);
  if (!fits) return {};
  std::vector<std::string> texts(std::size_t(count), "");
  const auto read = [&](hid_t memory, void* to) { return H5Aread(attribute, memory, to) >= 0; };
  if (!read_texts(texts, stored, space, {}, read)) return {};
  return texts;
}

std::vector<std::int64_t> Hdf5File::attribute_numbers(const std::string& object,
                                                      const std::string& name) const {
  const Object open(H5Oopen(file_, object.c_str(), H5P_DEFAULT));
  if (!open.good() || H5Aexists(open, name.c_str()) <= 0) return {};
  const Attribute attribute(H5Aopen(open, name.c_str(), H5P_DEFAULT));
  const Space space(H5Aget_space(attribute));
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 1 || count > (1 << 20)) return {};
  std::vector<std::int64_t> numbers(std::size_t(count), 0);
  if (H5Aread(attribute, H5T_NATIVE_INT64, numbers.data()) < 0) return {};
  return numbers;
}

void Hdf5File::make_group(const std::string& name) {
  const Group group(H5Gcreate2(file_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  require(group.good(), path_, ": '", name, "' cannot be made");
}

void Hdf5File::remove(const std::string& object) {
  require(H5Ldelete(file_, object.c_str(), H5P_DEFAULT) >= 0, path_, ": '", object,
          "' cannot be removed");
}

void Hdf5File::write_floats(const std::string& name, long rows, long columns, const float* values) {
  const hsize_t extents[] = {hsize_t(rows), hsize_t(columns)};
  const long chunk_rows = std::clamp<long>((1 << 16) / std::max(columns, 1L), 1, rows);
  const hsize_t chunk[] = {hsize_t(chunk_rows), hsize_t(columns)};
  const Space space(H5Screate_simple(2, extents, nullptr));
  const Properties properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(properties, 2, chunk);
  H5Pset_deflate(properties, 4);
  const DataSet set(
      H5Dcreate2(file_, name.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT));
  require(set.good() && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0,
          path_, ": '", name, "' cannot be written");
}

void Hdf5File::write_attribute(const std::string& object, const std::string& name,
                               const std::string& text) {
  const Object open(H5Oopen(file_, object.c_str(), H5P_DEFAULT));
  const Type type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Space space(H5Screate(H5S_SCALAR));
  const Attribute attribute(H5Acreate2(open, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
  const char* const value = text.c_str();
  require(attribute.good() && H5Awrite(attribute, type, &value) >= 0, path_, ": attribute '", name,
          "' of '", object, "' cannot be written");
}

ListedRows read_lists(const Hdf5File& file, const std::string& starts, const std::string& indices,
                 const std::string& values, long major, long minor) {
  const auto length = [&](const std::string& name) {
    const std::vector<long> extents = file.extents(name);
    require(extents.size() == 1, file.path(), ": '", name, "' is ", extents.size(),
            "-D, expected a list");
    return extents[0];
  };
  const long entries = length(values);
  require(length(indices) == entries, file.path(), ": '", indices, "' has ", length(indices),
          " elements, '", values, "' has ", entries);
  require(major >= 0 && length(starts) == major + 1, file.path(), ": '", starts, "' has ",
          length(starts), " elements, expected ", major + 1);
  ListedRows lists;
  long last = 0;
  for (const std::int64_t start : file.numbers<std::int64_t>(starts)) {
    require(start >= last && start <= entries && (start == 0 || !lists.starts.empty()), file.path(),
            ": '", starts, "' has ", start, " after ", last,
            ", expected ascending numbers from 0 to ", entries);
    lists.starts.push_back(std::uint64_t(start));
    last = start;
  }
  require(last == entries, file.path(), ": '", starts, "' ends with ", last, ", expected ",
          entries);
  const auto columns = file.numbers<std::int64_t>(indices);
  lists.columns.reserve(columns.size());
  for (const std::int64_t index : columns) {
    require(index >= 0 && index < minor, file.path(), ": '", indices, "' has ", index,
            ", expected numbers from 0 to ", minor - 1);
    lists.columns.push_back(std::uint32_t(index));
  }
  lists.values = file.numbers<float>(values);
  require_finite(file, values, lists.values);
  return lists;
}

void require_finite(const Hdf5File& file, const std::string& dataset,
                    const std::vector<float>& values) {
  const auto infinite =
      std::find_if(values.begin(), values.end(), [](float value) { return std::isinf(value); });
  require(infinite == values.end(), file.path(), ": '", dataset, "' has ",
          "an infinite number, or one too large for float32, at ", infinite - values.begin());
}

}  // namespace elbo
