// Bad input: each case ends in one line on stderr that names what and where, with exit code 1 (run
// time) or 2 (usage), and nothing new or half-written in the folder.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cmath>
#include <cstring>

#include "data/npy.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

struct Case {
  std::string name;
  Words arguments;
  int status;
  std::string says;  // part of the message
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

/// A folder with a trained run `r`, and bad files of every kind.
class BadInput : public testing::TestWithParam<Case> {
 protected:
  static inline std::unique_ptr<TemporaryFolder> folder;

  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    const Outcome trained = run(*folder, {"train", "builtin:digits?n=60", "--hidden", "8",
                                          "--latent", "2", "--epochs", "1", "--out", "r"});
    ASSERT_EQ(trained.status, 0) << trained.error;
    folder->with("infinity.csv", "a,b\n1,2\n3,inf\n");
    folder->with("unknown.csv", "a,b\n1,\n0,?\n");
    folder->with("ragged.csv", "1,2\n3\n");
    folder->with("word.csv", "1,2\n3,four\n");
    folder->with("large.csv", "0.5,0.25\n0.1,2\n");
    folder->with("empty.csv", "");
    folder->with("negative.csv", "3,1\n2,-1\n");
    folder->with("fraction.csv", "3,1\n2,1.5\n");
    folder->with("letters.fa", ">a\nACGT\n>b\nAC!T\n");
    folder->with("lengths.fa", ">a\nACGT\n>b\nACG\n");
    folder->with("text.h5ad", "this is no HDF5");
    folder->with("text.npz", "this is no archive");
    const std::string cells = ELBO_SOURCE_DIR "/tests/golden/formats/";
    std::filesystem::copy(cells + "lzf.h5ad", *folder / "lzf.h5ad");
    folder->with("short.h5ad", content_of(cells + "csr.h5ad").substr(0, 9000));
    folder->with("short.npz", content_of(cells + "stored.npz").substr(0, 300));
    folder->with("short-images-idx3-ubyte",
                 std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 16));
    folder->with("magic-images-idx3-ubyte",
                 std::string("\1\2\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\0", 17));
    folder->with("text.npy", "this is not an array");
    const std::vector<float> wide(2 * 5), unknown{0, NAN};
    write_npy(*folder / "unknown.npy", 1, 2, unknown.data());
    write_npy(*folder / "wide.npy", 2, 5, wide.data());
    std::vector<float> gaps(784);
    gaps[3] = NAN;
    write_npy(*folder / "gaps.npy", 1, 784, gaps.data());
    folder->with("key.toml", "epoks = 3\n");
    folder->with("value.toml", "epochs = \"three\"\n");
    folder->with("broken.toml", "epochs = \n");
    folder->with("file", "not a folder");
    std::filesystem::copy(*folder / "r", *folder / "corrupt",
                          std::filesystem::copy_options::recursive);
    folder->with("corrupt/model.safetensors",
                 content_of(*folder / "r/model.safetensors").substr(0, 500));
    std::filesystem::copy(*folder / "r", *folder / "alien",
                          std::filesystem::copy_options::recursive);
    folder->with("alien/config.json", "{\"model\": \"vae\"}");
    std::filesystem::create_directory(*folder / "folder.csv");
  }
  static void TearDownTestSuite() { folder.reset(); }
};

TEST_P(BadInput, is_refused_in_one_line_and_leaves_nothing) {
  const Case& c = GetParam();
  const std::size_t before = folder->entries();
  const Outcome outcome = run(*folder, c.arguments);
  EXPECT_EQ(outcome.status, c.status) << outcome.error;
  EXPECT_NE(outcome.error.find(c.says), std::string::npos) << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  EXPECT_TRUE(outcome.error.starts_with("elbo: ")) << outcome.error;
  // The first outcome's two files of output apart, there is nothing that was not there before.
  EXPECT_LE(folder->entries(), before) << "something was left behind";
}

const std::string digits = "builtin:digits?n=60";

std::vector<Case> cases() {
  const auto train = [](Words more) {
    Words words{"train"};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {"--out", "new"});
    return words;
  };
  const auto with = [&](Words more) {
    more.insert(more.begin(), digits);
    return train(more);
  };
  return {
      {"unknown_command", {"tarin"}, 2, "tarin"},
      {"unknown_flag", with({"--hiden", "4"}), 2, "--hiden"},
      {"missing_value", {"train", digits, "--out", "new", "--epochs"}, 2, "epochs"},
      {"word_for_a_number", with({"--epochs", "many"}), 2, "epochs"},
      {"no_epoch", with({"--epochs", "-1"}), 2, "epochs"},
      {"hidden_layer_of_no_width", with({"--hidden", "0"}), 2, "hidden"},
      {"hidden_word", with({"--hidden", "4,x"}), 2, "hidden"},
      {"negative_latent", with({"--latent", "-3"}), 2, "latent"},
      {"empty_batch", with({"--batch", "0"}), 2, "batch"},
      {"unknown_activation", with({"--activation", "rely"}), 2, "rely"},
      {"unknown_likelihood", with({"--likelihood", "poison"}), 2, "poison"},
      {"draws_for_nothing", {"evaluate", "r", "--information-samples", "9"}, 2, "--information"},
      {"unknown_sigma", with({"--likelihood", "gaussian", "--sigma", "large"}), 2, "large"},
      {"sigma_of_nothing", with({"--likelihood", "gaussian", "--sigma", "fixed:0"}), 2, "fixed:0"},
      {"unknown_schedule", with({"--lr-schedule", "cosinus"}), 2, "cosinus"},
      {"unknown_objective", with({"--objective", "elb"}), 2, "elb"},
      {"no_draw", with({"--samples", "0"}), 2, "samples"},
      {"unknown_gradient", with({"--objective", "iwae", "--gradient", "drag"}), 2, "drag"},
      {"negative_free_bits", with({"--free-bits", "-1"}), 2, "free-bits"},
      {"word_for_cycles", with({"--beta-cycles", "four"}), 2, "beta-cycles"},
      {"more_draws_than_the_noise_has",
       with({"--objective", "iwae", "--samples", "20000000", "--batch", "1"}), 1, "16777216"},
      {"corrupt_by_what_is_none", with({"--corrupt", "pepper:0.1"}), 2, "pepper:0.1"},
      {"corrupt_always", with({"--corrupt", "mask:1"}), 2, "mask:1"},
      {"negative_budget", with({"--rate-budget", "-1"}), 2, "rate-budget"},
      {"target_of_no_number", with({"--target-distortion", "low"}), 2, "low"},
      {"unknown_device", with({"--device", "tpu"}), 2, "tpu"},
      {"unknown_precision", with({"--precision", "fp8"}), 2, "fp8"},
      {"unknown_tier", with({"--tier", "mega"}), 2, "mega"},
      {"persistent_on_the_cpu", with({"--tier", "persistent", "--device", "cpu"}), 1,
       "cannot be a phase of one persistent kernel on cpu"},
      {"cluster_on_the_cpu", with({"--tier", "cluster", "--device", "cpu"}), 1,
       "cannot be a phase of one persistent kernel on cpu"},
      {"persistent_and_clipped", with({"--tier", "persistent", "--device", "simt", "--clip", "1"}),
       1, "cannot be a phase of one persistent kernel on simt"},
      {"misspelt_key", with({"--config", "key.toml"}), 2, "epoks"},
      {"word_in_the_config", with({"--config", "value.toml"}), 2, "epochs"},
      {"config_that_is_no_toml", with({"--config", "broken.toml"}), 2, "broken.toml"},
      {"missing_config", with({"--config", "nowhere.toml"}), 2, "nowhere.toml"},
      {"missing_file", train({"nowhere.csv"}), 1, "nowhere.csv"},
      {"folder_for_a_file", train({"folder.csv"}), 1, "folder.csv"},
      {"empty_file", train({"empty.csv"}), 1, "empty.csv"},
      {"infinity_in_csv", train({"infinity.csv"}), 1, "infinity.csv:3:2"},
      {"column_without_data", train({"unknown.csv"}), 1, "column 2 (b)"},
      {"ragged_csv", train({"ragged.csv"}), 1, "ragged.csv:2"},
      {"word_in_csv", train({"word.csv"}), 1, "word.csv:2:2"},
      {"truncated_idx", train({"short-images-idx3-ubyte"}), 1, "short-images-idx3-ubyte"},
      {"wrong_magic", train({"magic-images-idx3-ubyte"}), 1, "magic-images-idx3-ubyte"},
      {"text_for_npy", train({"text.npy"}), 1, "text.npy"},
      {"value_outside_the_support", train({"large.csv"}), 1, "row 1, column 1"},
      {"negative_count", train({"negative.csv", "--likelihood", "negative_binomial"}), 1,
       "negative.csv: row 1, column 1: -1 is outside the support"},
      {"fractional_count", train({"fraction.csv", "--likelihood", "negative_binomial"}), 1,
       "fraction.csv: row 1, column 1: 1.5 is outside the support"},
      {"letter_of_no_alphabet", train({"letters.fa"}), 1, "letters.fa:4: letter '!'"},
      {"sequence_of_another_length", train({"lengths.fa"}), 1, "lengths.fa:4: record"},
      {"text_for_cells", train({"text.h5ad"}), 1, "text.h5ad: begins with 74 68 69 73"},
      {"text_for_an_archive", train({"text.npz"}), 1, "text.npz: begins with 74 68 69 73"},
      {"cells_packed_by_lzf", train({"lzf.h5ad"}), 1, "compression='gzip'"},
      {"truncated_cells", train({"short.h5ad"}), 1, "short.h5ad: is truncated"},
      {"truncated_archive", train({"short.npz"}), 1, "short.npz"},
      {"key_that_nobody_knows", train({"word.csv?lables=1"}), 1, "lables"},
      {"unknown_layer", {"inspect", "lzf.h5ad?layer=x"}, 1, "has no layer 'x'"},
      {"inspection_of_nothing", {"inspect", "nowhere.csv"}, 1, "nowhere.csv: no such file"},
      {"unknown_builtin", train({"builtin:letters"}), 1, "builtin:letters"},
      {"out_below_a_file",
       {"train", digits, "--epochs", "1", "--hidden", "4", "--out", "file/run"},
       1,
       "file"},
      {"run_that_is_not_empty", {"train", digits, "--out", "r"}, 1, "--resume"},
      {"resume_of_nothing", with({"--resume"}), 1, "new"},
      {"resume_with_other_data",
       {"train", "builtin:digits?n=61", "--hidden", "8", "--latent", "2", "--epochs", "2", "--out",
        "r", "--resume"},
       1,
       "other data"},
      {"resume_with_another_objective",
       {"train", digits, "--hidden", "8", "--latent", "2", "--epochs", "2", "--objective", "iwae",
        "--out", "r", "--resume"},
       1,
       "objective"},
      {"resume_with_another_architecture",
       {"train", digits, "--hidden", "9", "--latent", "2", "--epochs", "2", "--out", "r",
        "--resume"},
       1,
       "hidden"},
      {"missing_run", {"evaluate", "nowhere"}, 1, "nowhere"},
      {"truncated_model", {"evaluate", "corrupt"}, 1, "model.safetensors"},
      {"config_without_fields", {"evaluate", "alien"}, 1, "config.json"},
      {"data_of_another_width", {"evaluate", "r", "--data", "wide.npy"}, 1, "wide.npy"},
      {"latents_of_another_width", {"decode", "r", "wide.npy", "--out", "x.npy"}, 1, "wide.npy"},
      {"latents_that_are_missing",
       {"decode", "r", "unknown.npy", "--out", "x.npy"},
       1,
       "unknown.npy: 1 numbers are NaN"},
      {"part_that_is_none", {"evaluate", "r", "--part", "test"}, 2, "test"},
      {"part_that_the_run_lacks", {"evaluate", "r", "--part", "valid"}, 1, "--valid"},
      {"part_of_other_data", {"evaluate", "r", "--part", "all", "--data", digits}, 2, "--data"},
      {"fraction_of_everything", with({"--valid", "1"}), 1, "fraction is 1"},
      {"fraction_with_a_unit", with({"--valid", "10%"}), 1, "10%"},
      {"no_samples", {"sample", "r", "-n", "0", "--out", "x.npy"}, 2, "n"},
      {"unknown_mode", {"sample", "r", "-n", "1", "--mode", "man", "--out", "x.npy"}, 2, "man"},
      {"output_of_no_format", {"sample", "r", "-n", "1", "--out", "x.bmp"}, 2, "x.bmp"},
      {"case_that_there_is_not", {"bench", "--case", "1,10"}, 2, "'10'"},
      {"word_for_a_case", {"bench", "--case", "one"}, 2, "'one'"},
      {"no_case", {"bench", "--case", ","}, 2, "--case"},
      {"unknown_plan", {"bench", "--plan", "quick"}, 2, "quick"},
      {"epoch_that_is_not_fused", {"bench", "--case", "9", "--plan", "composed"}, 2, "composed"},
      {"no_cells", {"bench", "--case", "9", "--cells", "0"}, 2, "cells"},
      {"batch_larger_than_the_data", {"bench", "--case", "7", "--batch", "9000"}, 1, "8192"},
      {"bf16_on_the_cpu", {"bench", "--device", "cpu", "--precision", "bf16"}, 1, "fp32 only"},
      {"result_nowhere", {"bench", "--json", "no/such/x.json"}, 1, "no/such"},
      {"missing_entries_for_a_plain_encoder",
       {"impute", "r", "gaps.npy", "--out", "x.npy"},
       1,
       "gaps.npy: has 1 missing entries, but the model's encoder takes its input plain"},
      {"imputation_of_other_columns", {"impute", "r", "wide.npy", "--out", "x.npy"}, 1, "wide.npy"},
      {"imputation_to_a_picture", {"impute", "r", digits, "--out", "x.png"}, 2, "x.png"},
      {"interval_of_everything",
       {"impute", "r", digits, "--out", "x.npy", "--interval", "1"},
       2,
       "'1' is no probability"},
      {"restoration_of_other_columns", {"restore", "r", "wide.npy", "--out", "x.npy"}, 1, "wide"},
      {"restoration_to_no_format", {"restore", "r", digits, "--out", "x.bmp"}, 2, "x.bmp"},
      {"unknown_corruption",
       {"restore", "r", digits, "--out", "x.npy", "--corrupt", "pepper:0.1"},
       2,
       "pepper:0.1"},
      {"mask_for_a_plain_encoder",
       {"restore", "r", digits, "--out", "x.npy", "--corrupt", "mask:0.1"},
       1,
       "takes its input plain"},
      {"output_nowhere", {"sample", "r", "-n", "1", "--out", "no/such/x.npy"}, 1, "no/such"},
  };
}

INSTANTIATE_TEST_SUITE_P(, BadInput, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(BadMachine, without_a_gpu_cuda_is_an_error) {
  if (std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "this machine has a GPU";
  const TemporaryFolder folder;
  const Outcome outcome = run(folder, {"train", digits, "--device", "cuda", "--out", "new"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.error.find("--device cuda"), std::string::npos) << outcome.error;
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

TEST(BadMachine, a_full_disk_is_an_error_that_names_the_file) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "disk");
  if (mount("none", (folder / "disk").c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "no small file system can be mounted here: " << std::strerror(errno);
  const Outcome outcome =
      run(folder, {"train", digits, "--hidden", "64", "--epochs", "1", "--out", "disk/run"});
  EXPECT_EQ(outcome.status, 1) << outcome.error;
  EXPECT_NE(outcome.error.find("disk/run"), std::string::npos) << outcome.error;
  EXPECT_FALSE(std::filesystem::exists(folder / "disk/run/model.safetensors"));
  umount((folder / "disk").c_str());
}

}  // namespace
}  // namespace elbo::test
