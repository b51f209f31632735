#pragma once
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo {

/// What follows a file's name: FILE?key=value&key=value.
///
/// In a value %26 stands for &, and so on: two hex digits.
class Options {
 public:
  Options() = default;
  /// Errors, which begin with `source: `: a part that is no key=value, a key but `only` given
  /// twice.
  Options(std::string source, std::string_view text);

  /// The value of a key; nothing where it is not given.
  std::optional<std::string> get(std::string_view key) const;
  /// All values of a key that may be given several times.
  std::vector<std::string> all(std::string_view key) const;
  /// The value, a whole number of at least `least`, or `otherwise`.  Errors: it is none.
  long whole(std::string_view key, long least, long otherwise) const;
  /// Whether the value is 1; not given is not.  Errors: it is neither 0 nor 1.
  bool yes(std::string_view key) const;

  /// Errors: another key than these and those that serve all files (dataset.h), naming them.
  void require_known(std::initializer_list<std::string_view>) const;

  /// Takes out those of these keys.
  Options take(std::initializer_list<std::string_view> keys);
  bool empty() const { return given_.empty(); }
  /// Back as text: "key=value&key=value".
  std::string text() const;
  /// Gives a key, in place of what it had.
  void set(std::string_view key, std::string value);

 private:
  std::string source_;
  std::vector<std::pair<std::string, std::string>> given_;
};

/// The parts of a text between commas.
std::vector<std::string> split_list(std::string_view text);

}  // namespace elbo
