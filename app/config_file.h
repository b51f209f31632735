#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace elbo {

/// The keys and values of a TOML file, in its order, as the command line would give them: an array
/// is joined by commas, an empty one is "none".
/// Errors: UsageError, naming file and line, for a file that is not TOML, a table, a date.
std::vector<std::pair<std::string, std::string>> read_config(const std::string& path);

/// A flat object as TOML.
std::string to_toml(const nlohmann::ordered_json&);

}  // namespace elbo
