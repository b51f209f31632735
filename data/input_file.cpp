#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/error.h"

namespace elbo {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    const int reason = errno;
    require(number_ >= 0 || reason != ENOENT, path, ": no such file");
    require(number_ >= 0, path, ": cannot be opened: ", std::strerror(reason));
  }
  ~OpenFile() { close(number_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

/// All that a file holds, or its beginning.
Bytes read_raw(const std::string& path, std::size_t most = std::size_t(-1)) {
  const OpenFile file(path);
  struct stat status{};
  require(fstat(file.number(), &status) == 0, path, ": ", std::strerror(errno));
  require(!S_ISDIR(status.st_mode), path, ": is a directory, expected a file");

  // One byte more than the file has, so that its end is seen without growing; pipes say 0.
  Bytes content(std::min(std::size_t(std::max<off_t>(status.st_size, 0)) + 1, most));
  std::size_t size = 0;
  while (size < most) {
    if (size == content.size()) content.resize(2 * size + (1 << 16));
    const ssize_t got = read(file.number(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, path, ": cannot be read: ", std::strerror(errno));
    if (got == 0) break;
    size += std::size_t(got);
  }
  content.resize(size);
  require(!content.empty(), path, ": is empty, expected data");
  return content;
}

bool is_gzip(const std::uint8_t* at, std::size_t size) {
  return size >= 2 && at[0] == 0x1f && at[1] == 0x8b;
}

class Inflater {
 public:
  explicit Inflater(const std::string& path) : path_(path) {
    constexpr int gzip = 15 + 16;
    require(inflateInit2(&stream_, gzip) == Z_OK, path_, ": zlib cannot start");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Bytes unpack(const Bytes& packed) {
    Bytes content(4 * packed.size() + (1 << 12));
    std::size_t used = 0, size = 0;
    while (true) {
      if (size == content.size()) content.resize(2 * size);
      const std::size_t step = 1u << 30;  // zlib counts in 32 bits
      const std::size_t offered = std::min(packed.size() - used, step);
      const std::size_t room = std::min(content.size() - size, step);
      stream_.next_in = const_cast<std::uint8_t*>(packed.data() + used);
      stream_.avail_in = unsigned(offered);
      stream_.next_out = content.data() + size;
      stream_.avail_out = unsigned(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      used += offered - stream_.avail_in;
      size += room - stream_.avail_out;
      if (status == Z_STREAM_END) {
        if (!next_member(packed, used)) break;
        continue;
      }
      require(status == Z_OK || status == Z_BUF_ERROR, path_,
              ": corrupt gzip data: ", stream_.msg ? stream_.msg : "cannot be unpacked");
      require(used < packed.size() || stream_.avail_out == 0, path_,
              ": truncated: the gzip data end early, after ", packed.size(), " bytes");
    }
    content.resize(size);
    return content;
  }

 private:
  /// A gzip file may be several, one after the other, and be padded with zeros.
  bool next_member(const Bytes& packed, std::size_t used) {
    const auto rest = packed.begin() + std::ptrdiff_t(used);
    if (std::all_of(rest, packed.end(), [](std::uint8_t byte) { return byte == 0; })) return false;
    require(is_gzip(packed.data() + used, packed.size() - used), path_,
            ": corrupt gzip data: ", packed.size() - used, " bytes follow its end");
    require(inflateReset(&stream_) == Z_OK, path_, ": zlib cannot go on");
    return true;
  }

  const std::string& path_;
  z_stream stream_{};
};

}  // namespace

Bytes read_file(const std::string& path) {
  Bytes content = read_raw(path);
  if (is_gzip(content.data(), content.size())) {
    content = Inflater(path).unpack(content);
    require(!content.empty(), path, ": is empty when unpacked, expected data");
  } else {
    require(!path.ends_with(".gz"), path, ": begins with ", hex(content, 2),
            ", expected gzip's 1f 8b");
  }
  return content;
}

Bytes first_bytes(const std::string& path, std::size_t count) { return read_raw(path, count); }

std::string hex(const Bytes& bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < std::min(count, bytes.size()); ++i) {
    if (i > 0) text += ' ';
    text += {"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]};
  }
  return text;
}

std::string quoted(std::string_view text, char mark) {
  std::string shown(1, mark);
  for (const char c : text.substr(0, 40)) {
    const auto byte = std::uint8_t(c);
    if (byte < 0x20 || byte == 0x7f)
      shown += {'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    else shown += c;
  }
  if (text.size() > 40) shown += "...";
  return shown + mark;
}

}  // namespace elbo
