#pragma once
#include <string>
#include <string_view>

namespace elbo {

/// A file that is written completely or not at all.
///
/// What is written goes to a temporary file in the same folder; commit() flushes it to the disk and
/// renames it.  Without a commit the temporary is removed and a file of that name stays as it was.
/// (A process that is killed outright leaves its temporary behind: NAME.tmp-PID-NUMBER.)
/// A symbolic link is followed.  Not for devices and pipes.
/// Errors: `out.npy: cannot be written: No space left on device`, and so on, from each function.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Where the content is until commit(), for a library that opens its file by name (in place of
  /// write(); it must have closed the file before commit()).
  const std::string& temporary() const { return temporary_; }

  /// To be called once, last.
  void commit();

 private:
  void flush();
  [[noreturn]] void fail_with(int reason) const;

  std::string path_, target_, temporary_, buffer_;
  int file_ = -1;
};

/// Writes a whole text or other content at once.
void write_file(const std::string& path, std::string_view content);

}  // namespace elbo
