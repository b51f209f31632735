#pragma once

namespace elbo {

/// Tests that train for long add nothing to what the address sanitizer has seen in short ones.
#ifdef __SANITIZE_ADDRESS__
inline constexpr const char* too_long = "the build without sanitizers shows it";
#else
inline constexpr const char* too_long = nullptr;
#endif

}  // namespace elbo
