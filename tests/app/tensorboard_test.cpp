// What --tensorboard writes, read by a decoder of its own.
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/event_file.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::uint8_t(bytes[i]);
  return value;
}

std::uint64_t unmasked(std::uint64_t crc) {
  return std::rotl(std::uint32_t(crc - 0xa282ead8u), 15);
}

/// The data of each record.  A record that is cut off, or whose sums do not hold, is a failure.
std::vector<std::string> records_of(const std::string& file) {
  const std::string content = content_of(file);
  std::vector<std::string> records;
  for (std::size_t at = 0; at < content.size();) {
    const std::string_view rest = std::string_view(content).substr(at);
    if (rest.size() < 12) return ADD_FAILURE() << "a length is cut off", records;
    const std::uint64_t length = little_endian(rest.substr(0, 8));
    EXPECT_EQ(unmasked(little_endian(rest.substr(8, 4))), crc32c(rest.substr(0, 8)));
    if (rest.size() - 12 < length + 4) return ADD_FAILURE() << "a record is cut off", records;
    EXPECT_EQ(unmasked(little_endian(rest.substr(12 + length, 4))),
              crc32c(rest.substr(12, length)));
    records.emplace_back(rest.substr(12, length));
    at += 12 + length + 4;
  }
  return records;
}

/// The fields of a message by their numbers, as raw bytes; of a varint as 8 bytes.
std::multimap<int, std::string> fields_of(std::string_view message) {
  std::multimap<int, std::string> fields;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = std::uint8_t(message.at(0));
      message.remove_prefix(1);
      value |= std::uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!message.empty()) {
    const std::uint64_t key = varint();
    std::size_t size = 0;
    switch (key & 7) {
      case 0: {
        const std::uint64_t value = varint();
        fields.emplace(int(key >> 3), std::string(reinterpret_cast<const char*>(&value), 8));
        continue;
      }
      case 1:
        size = 8;
        break;
      case 2:
        size = varint();
        break;
      case 5:
        size = 4;
        break;
      default:
        ADD_FAILURE() << "a field of type " << (key & 7);
        return fields;
    }
    EXPECT_LE(size, message.size());
    fields.emplace(int(key >> 3), message.substr(0, size));
    message.remove_prefix(size);
  }
  return fields;
}

/// The only file of a run's events that is not empty.
std::string event_file(const TemporaryFolder& folder, const std::string& run) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder / run + "/tensorboard"))
    if (!entry.is_regular_file() || !std::filesystem::is_empty(entry.path()))
      files.push_back(entry.path().string());
  EXPECT_EQ(files.size(), 1u);
  return files.at(0);
}

/// The step and the scalars of each event after the first two; checks those, and that time goes on.
std::vector<std::pair<std::int64_t, std::map<std::string, float>>> scalars_of(
    const std::string& file) {
  std::vector<std::pair<std::int64_t, std::map<std::string, float>>> all;
  double time = 0;
  const std::vector<std::string> records = records_of(file);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto event = fields_of(records[i]);
    const auto field = [&](int number) {
      EXPECT_EQ(event.count(number), 1u) << "field " << number << " of record " << i;
      return event.count(number) == 0 ? std::string(8, '\0') : event.find(number)->second;
    };
    const double at = std::bit_cast<double>(little_endian(field(1)));
    EXPECT_GE(at, time);
    time = at;
    if (i == 0) {
      EXPECT_EQ(field(3), "brain.Event:2");
      continue;
    }
    if (i == 1) {
      EXPECT_EQ(little_endian(fields_of(field(7)).find(1)->second), 1u) << "no start of a session";
      continue;
    }
    auto& [step, scalars] =
        all.emplace_back(std::int64_t(little_endian(field(2))), std::map<std::string, float>());
    for (const auto& [number, value] : fields_of(field(5))) {
      EXPECT_EQ(number, 1);
      const auto scalar = fields_of(value);
      scalars[scalar.find(1)->second] =
          std::bit_cast<float>(std::uint32_t(little_endian(scalar.find(2)->second)));
    }
  }
  EXPECT_GE(records.size(), 2u);
  return all;
}

/// What they should be by metrics.jsonl, key by key.
void expect_the_metrics(const TemporaryFolder& folder, const std::string& run, std::size_t epochs) {
  const std::map<std::string, std::string> tags{
      {"bound", "train/bound"},     {"elbo", "train/elbo"},
      {"kl", "train/kl"},           {"log_likelihood", "train/log_likelihood"},
      {"valid_elbo", "valid/elbo"}, {"valid_kl", "valid/kl"},
      {"beta", "schedule/beta"},    {"valid_log_likelihood", "valid/log_likelihood"},
      {"lr", "schedule/lr"},        {"data_per_second", "speed/data_per_second"},
      {"seconds", "speed/seconds"}};
  const auto events = scalars_of(event_file(folder, run));
  std::istringstream lines(content_of(folder / run + "/metrics.jsonl"));
  std::size_t i = 0;
  for (std::string line; std::getline(lines, line); ++i) {
    ASSERT_LT(i, events.size());
    std::map<std::string, float> expected;
    const Json metrics = Json::parse(line);
    for (const auto& [key, value] : metrics.items())
      if (key != "epoch" && !value.is_null()) expected[tags.at(key)] = value.get<float>();
    EXPECT_EQ(events[i].first, metrics.at("epoch").get<std::int64_t>());
    EXPECT_EQ(events[i].second, expected) << line;
  }
  EXPECT_EQ(i, events.size());
  EXPECT_EQ(i, epochs);
}

Words train(const Words& more) {
  Words words{"train", "builtin:digits?n=100", "--out", "r", "--hidden", "8", "--latent",
              "2",     "--tensorboard"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(TensorBoard, records_are_summed_by_the_crc_of_rfc_3720) {
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending += c;
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

TEST(TensorBoard, reads_the_numbers_of_the_metrics) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train({"--epochs", "3", "--valid", "0.2", "--beta-warmup", "2"})).status,
            0);
  expect_the_metrics(folder, "r", 3);
  Words words = train({"--force", "--model", "ae", "--epochs", "1"});
  ASSERT_EQ(run(folder, words).status, 0);
  expect_the_metrics(folder, "r", 1);
  std::erase(words, "--tensorboard");
  ASSERT_EQ(run(folder, words).status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "r/tensorboard"));
}

TEST(TensorBoard, reads_the_metrics_of_a_run_that_went_on_after_a_record_was_cut_off) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train({"--epochs", "3"})).status, 0);
  const std::string file = event_file(folder, "r");
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 7);
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r", "--epochs", "5"}).status, 0);
  expect_the_metrics(folder, "r", 5);
}

TEST(TensorBoard, reads_the_metrics_of_a_run_that_went_back) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train({"--epochs", "4", "--checkpoint-every", "1"})).status, 0);
  ASSERT_EQ(
      run(folder, {"train", "--resume", "--from-epoch", "2", "--out", "r", "--epochs", "3"}).status,
      0);
  expect_the_metrics(folder, "r", 3);
}

TEST(TensorBoard, reads_the_metrics_of_a_run_that_recovered) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run(folder, train({"--optimizer", "sgd", "--lr", "1", "--batch", "10", "--activation", "tanh",
                         "--recover", "30", "--epochs", "3"}));
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  ASSERT_NE(outcome.error.find("with half the learning rate"), std::string::npos) << outcome.error;
  expect_the_metrics(folder, "r", 3);
}

}  // namespace
}  // namespace elbo::test
