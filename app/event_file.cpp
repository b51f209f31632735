#include "app/event_file.h"

#include <bit>

namespace elbo {

namespace {

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += char(value >> (8 * i) & 0xff);
  return text;
}

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) text += char((value & 0x7f) | 0x80);
  return text + char(value);
}

/// The fields of a message, by number, each begun by its wire type.
std::string number_field(int number, std::uint64_t value) {
  return varint(std::uint64_t(number) << 3) + varint(value);
}
std::string double_field(int number, double value) {
  return varint(std::uint64_t(number) << 3 | 1) +
         little_endian(std::bit_cast<std::uint64_t>(value), 8);
}
std::string text_field(int number, const std::string& text) {
  return varint(std::uint64_t(number) << 3 | 2) + varint(text.size()) + text;
}
std::string float_field(int number, float value) {
  return varint(std::uint64_t(number) << 3 | 5) +
         little_endian(std::bit_cast<std::uint32_t>(value), 4);
}

std::string masked_crc(const std::string& text) {
  return little_endian(std::rotr(crc32c(text), 15) + 0xa282ead8u, 4);
}

std::string record(const std::string& data) {
  const std::string length = little_endian(data.size(), 8);
  return length + masked_crc(length) + data + masked_crc(data);
}

// Fields of Event.
std::string wall_time(double time) { return double_field(1, time); }
std::string file_version() { return text_field(3, "brain.Event:2"); }
std::string session_start() { return text_field(7, number_field(1, 1)); }

}  // namespace

std::uint32_t crc32c(std::string_view text) {
  std::uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= std::uint8_t(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

std::string first_records(double time) {
  return record(wall_time(time) + file_version()) + record(wall_time(time) + session_start());
}

std::string scalars_record(double time, std::int64_t step,
                           const std::vector<std::pair<std::string, float>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars)
    summary += text_field(1, text_field(1, tag) + float_field(2, value));
  return record(wall_time(time) + number_field(2, std::uint64_t(step)) + text_field(5, summary));
}

}  // namespace elbo
