#pragma once
#include <cstdint>
#include <functional>

#include "runtime/backend.h"

// What a GPU puts in order, by Thrust and CUB: Backend::count_up and Backend::shuffle on a stream.
namespace elbo {

void count_up(void* stream, std::uint32_t* numbers, std::uint32_t first, std::uint32_t count);
/// `scratch` gives memory for the time that the call's work takes.
void shuffle(void* stream, std::uint32_t* numbers, std::uint32_t count, const ShuffleKey&,
             const std::function<void*(std::size_t)>& scratch);

}  // namespace elbo
