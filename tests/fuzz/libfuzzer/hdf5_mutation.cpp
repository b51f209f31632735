#include "tests/fuzz/libfuzzer/hdf5_mutation.h"

#include <hdf5.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "data/input_file.h"

namespace elbo::test {
namespace {

using Random = std::minstd_rand;

template <class T, std::size_t n>
const T& one_of(Random& random, const T (&list)[n]) {
  return list[random() % n];
}
const std::string& one_of(Random& random, const std::vector<std::string>& list) {
  return list[random() % list.size()];
}

/// What readers look for.
constexpr const char* known_names[] = {"X",
                                       "obs",
                                       "var",
                                       "obs/_index",
                                       "var/_index",
                                       "raw",
                                       "raw/X",
                                       "raw.X",
                                       "raw/var",
                                       "layers",
                                       "raw/var/_index",
                                       "layers/counts",
                                       "X/data",
                                       "X/indices",
                                       "X/indptr",
                                       "obs/__categories",
                                       "obs/a",
                                       "obs/a/codes",
                                       "obs/a/categories",
                                       "obs/a/values",
                                       "obs/a/mask",
                                       "obs/__categories/a",
                                       "uns",
                                       "uns/a_categories",
                                       "matrix",
                                       "matrix/barcodes",
                                       "matrix/features",
                                       "matrix/features/name",
                                       "matrix/shape",
                                       "matrix/indptr",
                                       "matrix/indices",
                                       "matrix/data",
                                       "g",
                                       "g/barcodes",
                                       "g/gene_names"};
constexpr const char* known_attributes[] = {"_index", "column-order",   "encoding-type",
                                            "shape",  "h5sparse_shape", "h5sparse_format"};
constexpr const char* known_texts[] = {"_index", "a", "csr_matrix", "csc_matrix", "csr",  "csc",
                                       "null",   "",  "array",      "nan",        "obs/a"};
constexpr long numbers[] = {0,  1,   2,   3,     4,        5,        6,       7,
                            -1, 255, 256, 65536, 1L << 31, 1L << 32, 1L << 62};

void close_type(hid_t type) {
  if (type >= 0) H5Tclose(type);
}

/// A file in memory.
class Image {
 public:
  Image() : file_(make(nullptr, 0)) {}
  Image(const std::uint8_t* data, std::size_t size) : file_(make(data, size)) {}
  ~Image() {
    if (file_ >= 0) H5Fclose(file_);
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  bool good() const { return file_ >= 0; }
  hid_t file() const { return file_; }
  Bytes bytes() const {
    H5Fflush(file_, H5F_SCOPE_GLOBAL);
    const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
    Bytes bytes(std::size_t(std::max<ssize_t>(size, 0)));
    if (size > 0) H5Fget_file_image(file_, bytes.data(), bytes.size());
    return bytes;
  }

 private:
  static hid_t make(const std::uint8_t* data, std::size_t size) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 4096, false);
    // Of later superblocks an image would have a wrong checksum.
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    hid_t file;
    if (data == nullptr) {
      file = H5Fcreate("new", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    } else {
      H5Pset_file_image(access, const_cast<std::uint8_t*>(data), size);
      file = H5Fopen("old", H5F_ACC_RDONLY, access);
    }
    H5Pclose(access);
    return file;
  }

  hid_t file_;
};

class Editor {
 public:
  Editor(hid_t file, unsigned seed) : file_(file), random_(seed) {}

  /// From another file; what nobody refers to any more stays behind.
  void copy(hid_t from) {
    const auto each = [](hid_t group, const char* name, const H5L_info_t*, void* to) {
      H5Ocopy(group, name, *static_cast<hid_t*>(to), name, H5P_DEFAULT, H5P_DEFAULT);
      return herr_t(0);
    };
    H5Literate(from, H5_INDEX_NAME, H5_ITER_INC, nullptr, each, &file_);
  }

  void edit() {
    objects_.clear();
    const auto visit = [](hid_t, const char* name, const H5O_info_t*, void* names) {
      static_cast<std::vector<std::string>*>(names)->emplace_back(name);
      return herr_t(0);
    };
    H5Ovisit(file_, H5_INDEX_NAME, H5_ITER_INC, visit, &objects_);
    std::erase(objects_, ".");
    if (objects_.empty()) return make_dataset(name());
    switch (random_() % 8) {
      case 0:
        H5Ldelete(file_, one_of(random_, objects_).c_str(), H5P_DEFAULT);
        break;
      case 1: {
        const std::string to = name();
        clear(to);
        H5Lcreate_hard(file_, one_of(random_, objects_).c_str(), file_, to.c_str(), links(),
                       H5P_DEFAULT);
        break;
      }
      case 2: {
        const std::string to = name();
        if (random_() % 2 == 0)
          H5Lcreate_soft(one_of(random_, objects_).c_str(), file_, to.c_str(), links(),
                         H5P_DEFAULT);
        else H5Gclose(H5Gcreate2(file_, to.c_str(), links(), H5P_DEFAULT, H5P_DEFAULT));
        break;
      }
      case 3:
        make_dataset(name());
        break;
      case 4:
        make_attribute(one_of(random_, objects_));
        break;
      default:
        rewrite(one_of(random_, objects_));
        break;
    }
  }

 private:
  std::string name() {
    return !objects_.empty() && random_() % 2 == 0 ? one_of(random_, objects_)
                                                   : one_of(random_, known_names);
  }

  void clear(const std::string& object) { H5Ldelete(file_, object.c_str(), H5P_DEFAULT); }

  static hid_t links() {
    static const hid_t intermediate = [] {
      const hid_t made = H5Pcreate(H5P_LINK_CREATE);
      H5Pset_create_intermediate_group(made, 1);
      return made;
    }();
    return intermediate;
  }

  long number() { return random_() % 3 == 0 ? one_of(random_, numbers) : long(random_() % 8); }

  /// Of these the caller closes it.
  hid_t type() {
    const hid_t plain[] = {H5T_STD_I8LE,   H5T_STD_U8LE,  H5T_STD_I32LE,
                           H5T_STD_I64LE,  H5T_STD_U64BE, H5T_IEEE_F32LE,
                           H5T_IEEE_F64LE, H5T_STD_B8LE,  H5T_STD_REF_OBJ};
    switch (random_() % 6) {
      case 0: {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, random_() % 2 == 0 ? H5T_VARIABLE : 1 + random_() % 12);
        return text;
      }
      case 1: {
        const hid_t truth = H5Tenum_create(H5T_STD_I8LE);
        for (std::int8_t value : {0, 1}) H5Tenum_insert(truth, value ? "TRUE" : "FALSE", &value);
        return truth;
      }
      case 2: {
        const hid_t element = H5Tcopy(one_of(random_, plain));
        const std::size_t size = H5Tget_size(element);
        const hid_t table = H5Tcreate(H5T_COMPOUND, 2 * size);
        H5Tinsert(table, "index", 0, element), H5Tinsert(table, "a", size, element);
        close_type(element);
        return table;
      }
      case 3: {
        const hsize_t two = 2;
        return random_() % 2 == 0 ? H5Tvlen_create(H5T_STD_I32LE)
                                  : H5Tarray_create2(H5T_STD_I32LE, 1, &two);
      }
      default:
        return H5Tcopy(one_of(random_, plain));
    }
  }

  hid_t space(bool small) {
    hsize_t extents[3] = {1, 1, 1}, most[3];
    const int dimensions = int(random_() % 4);
    for (int i = 0; i < 3; ++i) {
      extents[i] = small || random_() % 8 != 0 ? random_() % 7 : hsize_t(std::abs(number()));
      most[i] = H5S_UNLIMITED;
    }
    if (dimensions == 0) return H5Screate(random_() % 2 == 0 ? H5S_SCALAR : H5S_NULL);
    return H5Screate_simple(dimensions, extents, small ? nullptr : most);
  }

  void make_dataset(const std::string& at) {
    const hid_t element = type(), extents = space(false), made = H5Pcreate(H5P_DATASET_CREATE);
    const int dimensions = H5Sget_simple_extent_ndims(extents);
    if (dimensions > 0) {
      const hsize_t chunk[3] = {1 + random_() % 8, 1 + random_() % 8, 1 + random_() % 8};
      H5Pset_chunk(made, dimensions, chunk);
      if (random_() % 3 == 0) H5Pset_shuffle(made);
      if (random_() % 2 == 0) H5Pset_deflate(made, 1);
      if (random_() % 8 == 0) H5Pset_fletcher32(made);
    }
    clear(at);
    const hid_t set = H5Dcreate2(file_, at.c_str(), element, extents, links(), made, H5P_DEFAULT);
    close_type(element), H5Sclose(extents), H5Pclose(made);
    if (set < 0) return;
    fill(set);
    H5Dclose(set);
  }

  /// Other numbers, or texts, in some of the places.
  void fill(hid_t set) {
    const hid_t element = H5Dget_type(set), extents = H5Dget_space(set);
    const hssize_t count = H5Sget_simple_extent_npoints(extents);
    if (count > 0 && count <= 4096) {
      const H5T_class_t kind = H5Tget_class(element);
      if (kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM) {
        std::vector<double> values(static_cast<std::size_t>(count));
        const bool fresh = random_() % 2 == 0;
        if (kind != H5T_ENUM)
          H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        for (std::size_t i = 0; fresh && i < values.size(); ++i) values[i] = double(number());
        values[random_() % values.size()] = kind == H5T_FLOAT && random_() % 4 == 0
                                                ? (random_() % 2 == 0 ? 1e300 * 1e300 : 0. / -0.)
                                                : double(number());
        if (kind != H5T_ENUM)
          H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        else fill_bytes(set, element, std::size_t(count));
      } else if (kind == H5T_STRING && H5Tis_variable_str(element) > 0) {
        std::vector<const char*> texts;
        for (hssize_t i = 0; i < count; ++i) texts.push_back(one_of(random_, known_texts));
        H5Dwrite(set, element, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data());
      } else if (kind == H5T_STRING || kind == H5T_BITFIELD) {
        fill_bytes(set, element, std::size_t(count));
      }
    }
    close_type(element), H5Sclose(extents);
  }

  void fill_bytes(hid_t set, hid_t element, std::size_t count) {
    std::vector<std::uint8_t> bytes(count * H5Tget_size(element));
    for (std::uint8_t& byte : bytes)
      byte = std::uint8_t(random_() % 4 ? 'a' + random_() % 4 : random_());
    H5Dwrite(set, element, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
  }

  void rewrite(const std::string& object) {
    if (const hid_t set = H5Dopen2(file_, object.c_str(), H5P_DEFAULT); set >= 0) {
      const hid_t extents = H5Dget_space(set);
      hsize_t shape[H5S_MAX_RANK] = {};
      const int dimensions = H5Sget_simple_extent_dims(extents, shape, nullptr);
      H5Sclose(extents);
      // The library takes away what is cut off chunk by chunk, be they there or not.
      const bool quick = std::all_of(shape, shape + std::max(dimensions, 0),
                                     [](hsize_t extent) { return extent <= 16; });
      if (dimensions > 0 && quick && random_() % 3 == 0) {
        shape[random_() % unsigned(dimensions)] = hsize_t(std::abs(number()));
        H5Dset_extent(set, shape);
      }
      fill(set);
      H5Dclose(set);
    } else {
      make_attribute(object);
    }
  }

  void make_attribute(const std::string& object) {
    const hid_t open = H5Oopen(file_, object.c_str(), H5P_DEFAULT);
    if (open < 0) return;
    const char* const called = one_of(random_, known_attributes);
    H5Adelete(open, called);
    if (random_() % 8 != 0) {
      const hid_t extents = space(true);
      const unsigned which = random_() % 4;
      const hid_t element = which == 0 ? type() : H5Tcopy(which == 1 ? H5T_STD_I64LE : H5T_C_S1);
      if (which > 1) H5Tset_size(element, H5T_VARIABLE);
      const hid_t attribute = H5Acreate2(open, called, element, extents, H5P_DEFAULT, H5P_DEFAULT);
      const hssize_t count = H5Sget_simple_extent_npoints(extents);
      if (attribute >= 0 && count > 0) {
        const H5T_class_t kind = H5Tget_class(element);
        if (kind == H5T_STRING && H5Tis_variable_str(element) > 0) {
          std::vector<const char*> texts;
          for (hssize_t i = 0; i < count; ++i) texts.push_back(one_of(random_, known_texts));
          H5Awrite(attribute, element, texts.data());
        } else if (kind == H5T_INTEGER) {
          std::vector<long> values;
          for (hssize_t i = 0; i < count; ++i) values.push_back(number());
          H5Awrite(attribute, H5T_NATIVE_LONG, values.data());
        }
      }
      if (attribute >= 0) H5Aclose(attribute);
      close_type(element), H5Sclose(extents);
    }
    H5Oclose(open);
  }

  hid_t file_;
  Random random_;
  std::vector<std::string> objects_;
};

}  // namespace

std::size_t mutate_hdf5(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Image old(data, size);
  if (!old.good()) return size;
  const Image changed;
  Editor editor(changed.file(), seed);
  editor.copy(old.file());
  for (unsigned i = 0; i <= seed / 7 % 3; ++i) editor.edit();
  const Bytes bytes = changed.bytes();
  if (bytes.empty() || bytes.size() > most) return size;
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace elbo::test
