#include "data/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtime/error.h"

namespace elbo {
namespace {

constexpr std::size_t buffer_size = 1 << 18;

std::string unique_name(const std::string& path) {
  static std::atomic<unsigned> count = 0;
  return path + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  std::error_code ignored;  // what cannot be looked at cannot be opened either, which says why
  if (std::filesystem::is_symlink(path, ignored)) {
    const auto followed = std::filesystem::weakly_canonical(path, ignored);
    if (!ignored) target_ = followed.string();
  }
  const auto kind = std::filesystem::status(target_, ignored).type();
  require(kind != std::filesystem::file_type::directory, path,
          ": is a directory, expected a file to write");
  require(kind == std::filesystem::file_type::regular ||
              kind == std::filesystem::file_type::not_found ||
              kind == std::filesystem::file_type::none,
          path, ": is a device or pipe, expected a file to write");

  temporary_ = unique_name(target_);
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0) fail_with(errno);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  close(file_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  assert(file_ >= 0 && "written after commit");
  if (size == 0) return;
  buffer_.append(static_cast<const char*>(data), size);
  if (buffer_.size() >= buffer_size) flush();
}

void AtomicFile::flush() {
  for (std::string_view rest = buffer_; !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with(errno);
    rest.remove_prefix(std::size_t(written));
  }
  buffer_.clear();
}

void AtomicFile::commit() {
  assert(file_ >= 0 && "committed twice");
  flush();
  if (fsync(file_) != 0) fail_with(errno);
  const int status = close(file_), reason = errno;
  file_ = -1;
  if (status != 0 || std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int why = status != 0 ? reason : errno;
    unlink(temporary_.c_str());
    fail_with(why);
  }
  // The rename itself lasts only once the folder is on the disk; not every file system can do so.
  const auto folder = std::filesystem::path(target_).parent_path();
  const int handle =
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return;
  fsync(handle);
  close(handle);
}

void AtomicFile::fail_with(int reason) const {
  fail(path_, ": cannot be written: ", std::strerror(reason));
}

void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace elbo
