#pragma once
#include <cstddef>

/// Chart.js, embedded at build time (cmake/EmbedFile.cmake); size 0 where the build found none.
extern const char chart_js[];
extern const std::size_t chart_js_size;
