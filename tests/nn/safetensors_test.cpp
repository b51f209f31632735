// The file format of weights: what is written is read, what is damaged is refused.
#include "nn/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "nn/layers.h"
#include "tests/data/temporary_folder.h"

namespace elbo {
namespace {

using test::TemporaryFolder;

SafeTensors some() {
  SafeTensors file;
  file.arrays["a"] = {{2, 3}, {1, 2, 3, 4, 5, 6}};
  file.arrays["b.bias"] = {{4}, {-1, 0, Real(0.5), Real(1e-30)}};
  file.metadata["who"] = "a \"quoted\" word";
  return file;
}

TEST(SafeTensors, are_read_as_they_were_written) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", some());
  const SafeTensors read = read_safetensors(folder / "x.safetensors");
  EXPECT_EQ(read.metadata, some().metadata);
  ASSERT_EQ(read.arrays.size(), 2u);
  for (const auto& [name, array] : some().arrays) {
    EXPECT_EQ(read.arrays.at(name).shape, array.shape);
    EXPECT_EQ(read.arrays.at(name).values, array.values);
  }
}

TEST(SafeTensors, have_a_header_that_ends_on_a_multiple_of_eight_and_data_without_holes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", some());
  const std::string bytes = test::content_of(folder / "x.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(bytes[8], '{');
  EXPECT_EQ(bytes.size(), 8 + length + 10 * sizeof(Real));
}

TEST(SafeTensors, cut_off_anywhere_are_an_error_that_names_the_file) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", some());
  const std::string bytes = test::content_of(folder / "x.safetensors");
  for (std::size_t length = 0; length < bytes.size(); length += 3) {
    folder.with("cut.safetensors", bytes.substr(0, length));
    const std::string error = test::error_of([&] { read_safetensors(folder / "cut.safetensors"); });
    EXPECT_NE(error.find("cut.safetensors"), std::string::npos) << length << ": " << error;
  }
}

TEST(SafeTensors, with_a_damaged_header_are_an_error) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", some());
  const std::string good = test::content_of(folder / "x.safetensors");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"[2,3]", "[3,3]"}, {"\"F", "\"I"}, {"{\"", "[\""}, {"data_offsets", "data_offsetz"}}) {
    std::string bad = good;
    const std::size_t at = bad.find(from, 8);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, to.size(), to);
    folder.with("bad.safetensors", bad);
    EXPECT_NE(test::error_of([&] { read_safetensors(folder / "bad.safetensors"); }), "") << from;
  }
}

TEST(SafeTensors, that_claim_more_numbers_than_the_file_has_are_an_error) {
  const auto error = [](const std::string& name) {
    const std::string found = ELBO_SOURCE_DIR "/tests/fuzz/found/safetensors/" + name;
    const std::string message = test::error_of([&] { read_safetensors(found); });
    return message.substr(std::min(message.size(), found.size()));
  };
  EXPECT_EQ(error("arrays_that_share_numbers"), ": \"a1\": its numbers are also another array's");
  EXPECT_EQ(error("extents_that_are_no_whole_numbers"),
            ": \"a\": its data_offsets holds number other than whole numbers from 0");
}

TEST(SafeTensors, hold_interleaved_heads_in_blocks_as_chunk_takes_them) {
  const Device device = Device::cpu();
  // Two units of two numbers each: rows (μ₀, s₀, μ₁, s₁) here, (μ₀, μ₁, s₀, s₁) in a file.
  const Parameter weight{"w", Tensor(device, {4, 1}, {10, 20, 11, 21}), 2};
  const Parameter bias{"b", Tensor(device, {1, 4}, {1, 2, 3, 4}), 2};
  EXPECT_EQ(to_file(weight).values, (std::vector<Real>{10, 11, 20, 21}));
  EXPECT_EQ(to_file(weight).shape, (std::vector<long>{4, 1}));
  EXPECT_EQ(to_file(bias).values, (std::vector<Real>{1, 3, 2, 4}));
  EXPECT_EQ(to_file(bias).shape, (std::vector<long>{4}));
  SafeTensors file;
  file.arrays["w"] = to_file(weight);
  const Parameter back{"w", Tensor(device, {4, 1}), 2};
  from_file(file, back, "here");
  EXPECT_EQ(back.tensor.read(), weight.tensor.read());
  const Parameter other{"w", Tensor(device, {4, 2}), 2}, missing{"v", Tensor(device, {4, 1}), 2};
  EXPECT_THROW(from_file(file, other, "here"), Error);
  EXPECT_THROW(from_file(file, missing, "here"), Error);
}

}  // namespace
}  // namespace elbo
