#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace elbo {

/// A text as a page shows it.
std::string escaped(const std::string&);

/// A picture that stands in the page itself.
std::string image(const std::vector<std::uint8_t>& png, const std::string& what);

/// A part of a page; heading and text are escaped already.
std::string section(const std::string& heading, const std::string& body,
                    const std::string& caption);

}  // namespace elbo
