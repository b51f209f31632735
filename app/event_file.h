#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo {

// What TensorBoard reads: a file of records, each a message `Event` in the encoding of protocol
// buffers.  A record is the length of its data (8 bytes, the least significant first), the masked
// CRC of these 8 bytes, the data, their masked CRC.  Source: TensorFlow (The TensorFlow Authors,
// 2015), core/lib/io/record_writer.h, core/util/event.proto and core/framework/summary.proto.

/// CRC-32C, of Castagnoli's polynomial, as RFC 3720 (Satran et al. 2004) has it.
std::uint32_t crc32c(std::string_view);

/// The two records that a file begins with: its version, and that a session starts, at which a
/// reader drops what it had of the session before.  Times are seconds since 1970.
std::string first_records(double time);

/// The record of some scalars, by their tags, after a step.
std::string scalars_record(double time, std::int64_t step,
                           const std::vector<std::pair<std::string, float>>& scalars);

}  // namespace elbo
