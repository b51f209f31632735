#pragma once

namespace elbo {

/// Tests that train for long add nothing to what a sanitizer has seen in short ones.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr const char* too_long = "the build without sanitizers shows it";
#else
inline constexpr const char* too_long = nullptr;
#endif

}  // namespace elbo
