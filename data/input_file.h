#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo {

using Bytes = std::vector<std::uint8_t>;

/// The whole content of a file, unpacked where it is gzip (known by its first two bytes).
///
/// Errors: no such file, a directory, not readable, empty, gzip data that are corrupt or end early,
/// a name in .gz whose content is not gzip.
Bytes read_file(const std::string& path);

/// How a file begins, packed or not: at most `count` bytes.
/// Errors: no such file, a directory, not readable, empty.
Bytes first_bytes(const std::string& path, std::size_t count);

/// `text` between marks as an error message can show it: on one line, control characters as \x0a,
/// cut at 40 characters.
std::string quoted(std::string_view text, char mark = '"');

/// The first bytes of a file as two hex digits each: "1f 8b 08 00".
std::string hex(const Bytes&, std::size_t count);

}  // namespace elbo
