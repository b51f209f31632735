#pragma once
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.h"

namespace elbo::test {

/// A folder for one test, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "elbo-test-XXXXXX").string();
    require(mkdtemp(pattern.data()) != nullptr, pattern, ": cannot be made");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

  /// Writes a file and returns its path.
  std::string with(const std::string& name, std::string_view content) const {
    std::ofstream(*this / name, std::ios::binary) << content;
    return *this / name;
  }
  std::size_t entries() const {
    const std::filesystem::directory_iterator all(path_);
    return std::size_t(std::distance(begin(all), end(all)));
  }
  const std::string& path() const { return path_; }

  /// An error's text with this folder taken off the front.
  std::string relative(const std::string& message) const {
    return message.starts_with(path_ + '/') ? message.substr(path_.size() + 1) : message;
  }

 private:
  std::string path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What the Error that `call` throws says; empty if it throws none.
std::string error_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace elbo::test
