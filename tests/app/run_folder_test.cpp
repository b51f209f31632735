// What happens to a run folder that is not fresh: resumed, replaced, or full of other things.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/dataset.h"
#include "kernels/cpu/instruction_sets.h"
#include "models/run_directory.h"
#include "nn/batches.h"
#include "nn/safetensors.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

/// One epoch of 1500 steps, so that a signal comes within it.
Words long_training(const std::string& run, const Words& more = {}) {
  Words words{"train",    "builtin:digits?n=15000",
              "--out",    run,
              "--hidden", "300",
              "--latent", "4",
              "--batch",  "10",
              "--epochs", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words short_training(const std::string& run, const Words& more = {}) {
  Words words{
      "train", "builtin:digits?n=100", "--out", run, "--hidden", "8", "--latent", "2", "--epochs",
      "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string weights_of(const TemporaryFolder& folder, const std::string& run) {
  return content_of(folder / run + "/model.safetensors");
}

void expect_to_lose_not_one_step(const Words& more, bool streamed = false) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, long_training("whole", more)).status, 0);
  Program first(folder, long_training("r", more));
  while (first.running() && content_of(folder / "r/checkpoint/state.safetensors").empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  first.signal(SIGTERM);
  const Outcome terminated = first.wait();
  ASSERT_EQ(terminated.status, 143) << terminated.error;
  const Checkpoint stands = RunDirectory(folder / "r").load_checkpoint();
  EXPECT_EQ(stands.epochs_done, 0u);
  EXPECT_GT(stands.position, 0u) << "the signal was not heeded within the epoch";
  EXPECT_EQ(stands.position, stands.steps * 10);
  EXPECT_EQ(run(folder, {"evaluate", "r"}).status, 1) << "there is no trained model yet";
  // The folder alone says what to go on with.
  const Outcome resumed = run(folder, {"train", "--resume", "--out", "r"});
  ASSERT_EQ(resumed.status, 0) << resumed.error;
  EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "whole"));
  EXPECT_EQ(RunDirectory(folder / "r").load_checkpoint().streamed, stands.streamed);
  EXPECT_EQ(stands.streamed.has_value(), streamed);
}

TEST(RunFolder, has_the_same_weights_whatever_the_number_of_threads) {
  const TemporaryFolder folder;
  for (const std::string threads : {"1", "2", "3"}) {
    Words of_cells = short_training(threads + " of cells", {"--batch", "37", "--preset", "scvi"});
    of_cells[1] = "builtin:cell-cycle?n=200";
    ASSERT_EQ(setenv("ELBO_THREADS", threads.c_str(), 1), 0);
    ASSERT_EQ(run(folder, short_training(threads, {"--batch", "37"})).status, 0);
    ASSERT_EQ(run(folder, of_cells).status, 0);
    ASSERT_EQ(unsetenv("ELBO_THREADS"), 0);
    for (const std::string what : {"", " of cells"})
      EXPECT_TRUE(weights_of(folder, threads + what) == weights_of(folder, "1" + what)) << threads;
  }
}

TEST(RunFolder, is_written_with_any_instruction_set_that_there_is_and_not_with_another) {
  const TemporaryFolder folder;
  for (const cpu::InstructionSet& set : cpu::instruction_sets()) {
    ASSERT_EQ(setenv("ELBO_CPU", set.name, 1), 0);
    EXPECT_EQ(run(folder, short_training(set.name)).status, 0) << set.name;
  }
  ASSERT_EQ(setenv("ELBO_CPU", "abacus", 1), 0);
  const Outcome other = run(folder, short_training("r"));
  ASSERT_EQ(unsetenv("ELBO_CPU"), 0);
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.error.find("ELBO_CPU is abacus; here there are "), std::string::npos)
      << other.error;
}

TEST(RunFolder, terminated_within_an_epoch_exits_with_143_and_resumed_loses_not_one_step) {
  expect_to_lose_not_one_step({});
}

TEST(RunFolder, terminated_while_a_budget_is_sought_and_resumed_loses_not_one_step) {
  expect_to_lose_not_one_step({"--rate-budget", "4", "--corrupt", "salt:0.1"});
}

TEST(RunFolder, terminated_while_data_are_streamed_and_resumed_loses_not_one_step) {
  expect_to_lose_not_one_step({"--data-memory", "0.7M"}, true);
}

TEST(RunFolder, resumed_with_another_memory_for_data_is_an_error_but_auto_keeps_what_it_was) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("r", {"--data-memory", "20K", "--batch", "10"})).status, 0);
  Words words{"train", "--resume", "--out", "r", "--epochs", "2", "--data-memory", "30K"};
  const Outcome other = run(folder, words);
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.error.find("data-memory"), std::string::npos) << other.error;
  words.back() = "auto";
  ASSERT_EQ(run(folder, words).status, 0);
  const Checkpoint ended = RunDirectory(folder / "r").load_checkpoint();
  EXPECT_EQ(ended.epochs_done, 2u);
  EXPECT_EQ(ended.streamed, 20u << 10);
}

// A signal handler's frame once landed in the heap, within oneDNN's products, one time in twenty.
TEST(RunFolder, terminated_at_any_of_thirty_moments_is_left_in_order) {
  const TemporaryFolder folder;
  for (int moment = 0; moment < 30; ++moment) {
    const std::string name = "r" + std::to_string(moment);
    Words words = short_training(name);
    words.back() = "100000";
    Program first(folder, words);
    while (first.running() && content_of(folder / name + "/metrics.jsonl").empty())
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(moment));
    first.signal(SIGTERM);
    const Outcome outcome = first.wait();
    ASSERT_EQ(outcome.status, 143) << outcome.error.substr(outcome.error.size() / 2);
    EXPECT_GT(RunDirectory(folder / name).load_checkpoint().epochs_done, 0u);
  }
}

TEST(RunFolder, resumed_with_more_epochs_ends_as_a_run_that_had_them_from_the_start) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("whole", {"--epochs", "3"})).status, 2) << "given twice";
  Words words = short_training("whole");
  words.back() = "3";
  ASSERT_EQ(run(folder, words).status, 0);
  ASSERT_EQ(run(folder, short_training("r")).status, 0);
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r", "--epochs", "3"}).status, 0);
  EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "whole"));
  const Outcome fewer = run(folder, {"train", "--resume", "--out", "r", "--epochs", "2"});
  EXPECT_EQ(fewer.status, 1) << fewer.error;
}

TEST(RunFolder, resumed_keeps_to_its_objective_and_ends_in_the_same_bytes) {
  const TemporaryFolder folder;
  for (const Words& more :
       std::vector<Words>{{"--objective", "iwae", "--samples", "5", "--gradient", "dreg"},
                          {"--samples", "2", "--free-bits", "0.1"}}) {
    Words words = short_training("whole", more);
    words.insert(words.end(), "--force");
    ASSERT_EQ(std::find(words.begin(), words.end(), "--epochs")[1], "1");
    const Outcome one = run(folder, words);
    ASSERT_EQ(one.status, 0) << one.error;
    std::filesystem::remove_all(folder / "r");
    std::filesystem::rename(folder / "whole", folder / "r");
    std::find(words.begin(), words.end(), "--epochs")[1] = "3";
    ASSERT_EQ(run(folder, words).status, 0);
    ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r", "--epochs", "3"}).status, 0);
    EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "whole"));
  }
}

TEST(RunFolder, forced_loses_what_elbo_wrote_and_nothing_else) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("r")).status, 0);
  folder.with("r/notes.txt", "mine");
  folder.with("r/checkpoint/mine.bin", "mine too");
  folder.with("r/model.safetensors.tmp-123-0", "what a killed process left");
  const Outcome forced = run(folder, short_training("r", {"--seed", "5", "--force"}));
  ASSERT_EQ(forced.status, 0) << forced.error;
  EXPECT_EQ(content_of(folder / "r/notes.txt"), "mine");
  EXPECT_EQ(content_of(folder / "r/checkpoint/mine.bin"), "mine too");
  EXPECT_FALSE(std::filesystem::exists(folder / "r/model.safetensors.tmp-123-0"));
  ASSERT_EQ(run(folder, short_training("s", {"--seed", "5"})).status, 0);
  EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "s"));
}

TEST(RunFolder, forced_with_data_that_do_not_fit_is_left_as_it_was) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("r")).status, 0);
  const std::string before = weights_of(folder, "r");
  folder.with("large.csv", "0.5,0.25\n0.1,2\n");
  EXPECT_EQ(run(folder, {"train", "large.csv", "--out", "r", "--force"}).status, 1);
  EXPECT_TRUE(weights_of(folder, "r") == before);
}

TEST(RunFolder, resumed_without_its_report_is_finished_again) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("r")).status, 0);
  const std::string before = weights_of(folder, "r");
  // As if killed between the last checkpoint and the last file.
  std::filesystem::remove(folder / "r/model.safetensors");
  std::filesystem::remove(folder / "r/report.html");
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r"}).status, 0);
  EXPECT_TRUE(weights_of(folder, "r") == before);
  EXPECT_TRUE(std::filesystem::exists(folder / "r/report.html"));
}

TEST(RunFolder, with_a_damaged_checkpoint_is_refused) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, short_training("r")).status, 0);
  const std::string state = content_of(folder / "r/checkpoint/state.safetensors");
  folder.with("r/checkpoint/state.safetensors", state.substr(0, state.size() / 2));
  const Outcome outcome = run(folder, {"train", "--resume", "--out", "r", "--epochs", "2"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.error.find("state.safetensors"), std::string::npos) << outcome.error;
}

TEST(RunFolder, is_evaluated_from_any_working_folder) {
  const TemporaryFolder folder, elsewhere;
  folder.with("t.csv", "0.5,0.25\n0.1,0.2\n0.9,1\n");
  ASSERT_EQ(
      run(folder, {"train", "t.csv", "--hidden", "none", "--latent", "1", "--out", "r"}).status, 0);
  const Outcome told = run(elsewhere, {"evaluate", folder / "r", "--json"});
  EXPECT_EQ(told.status, 0) << told.error;
}

Words held_out_training(const std::string& run, int epochs, const Words& more = {}) {
  Words words{"train",    "builtin:digits?n=300",
              "--out",    run,
              "--hidden", "12",
              "--latent", "3",
              "--lr",     "0.03",
              "--valid",  "0.3",
              "--epochs", std::to_string(epochs)};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<double> validation_of(const TemporaryFolder& folder, const std::string& run) {
  std::vector<double> elbo;
  for (const std::string& line : RunDirectory(folder / run).load_checkpoint().history)
    elbo.push_back(nlohmann::json::parse(line).at("valid_elbo").get<double>());
  return elbo;
}

TEST(RunFolder, stopped_early_holds_the_best_epochs_model_and_says_so) {
  const TemporaryFolder folder;
  const Outcome stopped =
      run(folder, held_out_training("r", 1000, {"--patience", "3", "--beta-warmup", "2"}));
  ASSERT_EQ(stopped.status, 0) << stopped.error;
  const std::vector<double> elbo = validation_of(folder, "r");
  const auto best = std::max_element(elbo.begin() + 2, elbo.end()) - elbo.begin() + 1;
  ASSERT_EQ(long(elbo.size()), best + 3) << "three epochs are waited for";
  EXPECT_NE(stopped.out.find("the model is that of epoch " + std::to_string(best)),
            std::string::npos)
      << stopped.out;
  ASSERT_EQ(run(folder, held_out_training("s", int(best), {"--beta-warmup", "2"})).status, 0);
  EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "s"));
  // Nothing is left to do, until more patience is asked for; what was best is known then.
  EXPECT_EQ(run(folder, {"train", "--resume", "--out", "r"}).status, 0);
  EXPECT_EQ(validation_of(folder, "r").size(), elbo.size());
  const Outcome on = run(folder, {"train", "--resume", "--out", "r", "--patience", "1000",
                                  "--epochs", std::to_string(elbo.size() + 1)});
  ASSERT_EQ(on.status, 0) << on.error;
  const std::vector<double> more = validation_of(folder, "r");
  ASSERT_EQ(more.size(), elbo.size() + 1);
  if (more.back() <= elbo[std::size_t(best - 1)]) {
    EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "s"));
  }
}

TEST(RunFolder, killed_between_epochs_and_resumed_ends_with_the_same_best_model) {
  const TemporaryFolder folder;
  const Words more{"--best", "--checkpoint-every", "1"};
  ASSERT_EQ(run(folder, held_out_training("whole", 40, more)).status, 0);
  Program first(folder, held_out_training("r", 40, more));
  while (first.running() && !RunDirectory(folder / "r").has("checkpoint/epoch-000005.safetensors"))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  first.signal(SIGKILL);
  EXPECT_EQ(first.wait().status, 128 + SIGKILL);
  const Outcome resumed = run(folder, {"train", "--resume", "--out", "r"});
  ASSERT_EQ(resumed.status, 0) << resumed.error;
  EXPECT_TRUE(weights_of(folder, "r") == weights_of(folder, "whole"));
}

TEST(RunFolder, keeps_the_last_of_its_checkpoints_and_goes_on_from_any_of_them) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run(folder, held_out_training("r", 7, {"--checkpoint-every", "2", "--keep", "2"})).status, 0);
  EXPECT_EQ(RunDirectory(folder / "r").kept_epochs(), (std::vector<int>{4, 6}));
  const std::string before = weights_of(folder, "r");
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r", "--from-epoch", "4"}).status, 0);
  EXPECT_TRUE(weights_of(folder, "r") == before);
  const Outcome other = run(folder, {"train", "--resume", "--out", "r", "--from-epoch", "5"});
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.error.find("those of 4, 6"), std::string::npos) << other.error;
  ASSERT_EQ(run(folder, held_out_training("r", 1, {"--force"})).status, 0);
  EXPECT_TRUE(RunDirectory(folder / "r").kept_epochs().empty());
}

TEST(RunFolder, killed_before_a_state_was_kept_and_resumed_keeps_it) {
  const TemporaryFolder folder;
  const Words words = held_out_training("r", 6, {"--checkpoint-every", "2", "--keep", "2"});
  ASSERT_EQ(run(folder, words).status, 0);
  const RunDirectory left(folder / "r");  // as of a program that wrote the last state and no more
  std::filesystem::remove(left.path(RunDirectory::report));
  std::filesystem::rename(left.path("checkpoint/epoch-000006.safetensors"),
                          left.path("checkpoint/epoch-000002.safetensors"));
  ASSERT_EQ(left.kept_epochs(), (std::vector<int>{2, 4}));
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r"}).status, 0);
  EXPECT_EQ(left.kept_epochs(), (std::vector<int>{4, 6}));
  EXPECT_EQ(left.load_checkpoint(left.kept_checkpoint(6)).epochs_done, 6u);
  left.keep_checkpoint(6, 2);  // once more changes nothing
  for (const auto& file : std::filesystem::directory_iterator(folder / "r/checkpoint"))
    EXPECT_EQ(file.path().extension(), ".safetensors") << file.path();
}

TEST(RunFolder, of_a_loss_that_is_not_finite_says_where_it_began_and_shows_it_again) {
  const TemporaryFolder folder;
  const Words words = short_training("r", {"--optimizer", "sgd", "--lr", "1e30", "--batch", "50"});
  const Outcome outcome = run(folder, words);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.error.find("step 2 (epoch 1): `"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("of encoder.layers.1.weight"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("elbo replay r --step 2 --datum "), std::string::npos);
  const RunDirectory left(folder / "r");
  const auto event = nlohmann::json::parse(content_of(folder / "r/blackbox/event.json"));
  EXPECT_EQ(event.at("step"), 2);
  ASSERT_EQ(event.at("data").size(), 50u);
  EXPECT_EQ(event.at("data").at(event.at("row").get<int>()), event.at("datum"));
  EXPECT_EQ(left.load_checkpoint(RunDirectory::event_state).steps, 1u);
  const Dataset batch = read_dataset(folder / "r/blackbox/batch.npy");
  EXPECT_EQ(batch.rows, 50);
  const Outcome shown = run(folder, {"replay", "r", "--json"});
  ASSERT_EQ(shown.status, 0) << shown.error;
  const auto replayed = nlohmann::json::parse(shown.out);
  EXPECT_EQ(replayed.at("datum"), event.at("datum"));
  EXPECT_TRUE(replayed.at("loss").is_string()) << "not a number: " << replayed.at("loss");
  for (int c = 0; c < batch.columns; ++c)
    ASSERT_EQ(replayed.at("x").at(c).get<float>(), batch.value(event.at("row").get<int>(), c));
}

/// 200 rows of 5 numbers of some size; but for one of them, if it is told.
std::string table(int row = -1, double number = 0) {
  std::ostringstream text;
  text << "a,b,c,d,e\n";
  for (int r = 0; r < 200; ++r)
    for (int c = 0; c < 5; ++c) {
      const double usual = std::sin(7.0 * r + 3.0 * c);
      text << (r == row && c == 3 ? number : usual) << (c < 4 ? ',' : '\n');
    }
  return text.str();
}

Words table_training(const std::string& epochs = "1") {
  return {"train",   "x.csv", "--likelihood", "gaussian", "--sigma", "feature", "--hidden", "8",
          "--batch", "32",    "--latent",     "2",        "--out",   "r",       "--epochs", epochs};
}

TEST(RunFolder, names_the_datum_whose_number_the_network_cannot_take) {
  const TemporaryFolder folder;
  folder.with("x.csv", table(137, 3e30));
  const Outcome outcome = run(folder, table_training());
  EXPECT_EQ(outcome.status, 1);
  const auto event = nlohmann::json::parse(content_of(folder / "r/blackbox/event.json"));
  EXPECT_EQ(event.at("datum"), 137) << outcome.error;
  EXPECT_EQ(event.at("data").at(event.at("row").get<std::size_t>()), 137);
  EXPECT_TRUE(event.at("layer").get<std::string>().starts_with("encoder.")) << outcome.error;
  EXPECT_NE(outcome.error.find("of datum 137"), std::string::npos) << outcome.error;
  const Outcome shown =
      run(folder,
          {"replay", "r", "--step", std::to_string(event.at("step").get<int>()), "--datum", "137"});
  EXPECT_EQ(shown.status, 0) << shown.error;
  folder.with("x.csv", table(137, std::numeric_limits<double>::infinity()));
  const Outcome infinite = run(folder, {"train", "x.csv", "--out", "s"});
  EXPECT_NE(infinite.error.find("x.csv:139:4: \"inf\" is not finite"), std::string::npos)
      << infinite.error;
}

/// The datum at a place of the first epoch of table_training.
int taken_at(const TemporaryFolder& folder, long position) {
  Batches batches(Device::cpu(), read_dataset(folder / "x.csv"), 0);
  batches.shuffle(0, 0, 0);
  return int(batches.data_at(position, 1)[0]);
}

TEST(RunFolder, names_the_very_step_whose_loss_is_not_finite_and_the_one_that_it_comes_from) {
  const TemporaryFolder folder;
  folder.with("x.csv", table());
  const int first = taken_at(folder, 0), bad = taken_at(folder, 5 * 32 - 1);
  const auto event = [&] {
    return nlohmann::json::parse(content_of(folder / "r/blackbox/event.json"));
  };
  const auto training = [&](const std::string& device) {
    Words words = table_training();
    words.insert(words.end(), {"--model", "ae", "--device", device, "--force"});
    return words;
  };
  for (const std::string device : {"cpu", "simt"}) {
    folder.with("x.csv", table(bad, 3e30));
    const Outcome outcome = run(folder, training(device));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.error.find("epoch 1 is not finite at step 5;"), std::string::npos)
        << outcome.error;
    EXPECT_EQ(event().at("step"), 5) << outcome.error;
    EXPECT_EQ(event().at("datum"), bad);
    const RunDirectory left(folder / "r");
    EXPECT_EQ(left.load_checkpoint(RunDirectory::event_state).steps, 4u);
    EXPECT_EQ(left.load_checkpoint().steps, 0u) << "goes back to its last checkpoint";

    // A second moment that has become infinite stays so, and no loss shows it.
    std::string both = table(bad, 3e30);
    const std::string once = table(first, 1e14);
    const auto line = [](const std::string& text, int row) {
      std::size_t begin = 0;
      for (int i = 0; i <= row; ++i) begin = text.find('\n', begin) + 1;
      return std::pair(begin, text.find('\n', begin) - begin);
    };
    const auto [from, length] = line(both, first);
    const auto [there, size] = line(once, first);
    both.replace(from, length, once.substr(there, size));
    folder.with("x.csv", both);
    const Outcome earlier = run(folder, training(device));
    EXPECT_NE(earlier.error.find("epoch 1 is not finite at step 5;"), std::string::npos)
        << earlier.error;
    EXPECT_EQ(event().at("step"), 1) << earlier.error;
    EXPECT_TRUE(event().at("operation").get<std::string>().starts_with("weight gradients"))
        << earlier.error;
  }
}

TEST(RunFolder, names_the_parameter_of_the_likelihood_that_is_not_finite) {
  const TemporaryFolder folder;
  folder.with("x.csv", table());
  ASSERT_EQ(run(folder, table_training()).status, 0);
  SafeTensors state = read_safetensors(folder / "r/checkpoint/state.safetensors");
  state.arrays.at("log_variance").values[2] = std::numeric_limits<Real>::quiet_NaN();
  write_safetensors(folder / "r/checkpoint/state.safetensors", state);
  Words words = table_training("3");
  words.push_back("--resume");
  const Outcome outcome = run(folder, words);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.error.find("step 8 (epoch 2): `"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("log-likelihood"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("log_variance is not finite"), std::string::npos) << outcome.error;
}

TEST(RunFolder, recovers_from_a_loss_that_is_not_finite_at_a_smaller_rate_and_resumes_with_it) {
  const TemporaryFolder folder;
  Words words = short_training("r", {"--optimizer", "sgd", "--lr", "1", "--batch", "10",
                                     "--activation", "tanh", "--recover", "30"});
  *(std::find(words.begin(), words.end(), "--epochs") + 1) = "3";
  const Outcome outcome = run(folder, words);
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_NE(outcome.error.find("with half the learning rate"), std::string::npos) << outcome.error;
  const auto rate = [&] {
    const Checkpoint ended = RunDirectory(folder / "r").load_checkpoint();
    EXPECT_GT(ended.halvings, 0);
    return nlohmann::json::parse(ended.history.back()).at("lr").get<double>() *
           std::ldexp(1.0, ended.halvings);
  };
  EXPECT_EQ(rate(), 1);
  ASSERT_EQ(run(folder, {"train", "--resume", "--out", "r", "--epochs", "4"}).status, 0);
  EXPECT_EQ(rate(), 1);
}

TEST(RunFolder, recovers_as_often_as_it_may_from_a_validation_loss_that_is_not_finite) {
  const TemporaryFolder folder;
  folder.with("x.csv", table());
  folder.with("v.csv", table(137, 3e30));
  Words words = table_training("3");
  words.insert(words.end(), {"--valid", "v.csv"});
  const Outcome ended = run(folder, words);
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.error.find("the validation loss after epoch 1 is not finite; a smaller --lr"),
            std::string::npos)
      << ended.error;
  words.insert(words.end(), {"--recover", "2", "--force"});
  const Outcome tried = run(folder, words);
  EXPECT_EQ(tried.status, 1);
  const std::string back = "is not finite; back to step 0 with half the learning rate";
  const std::size_t first = tried.error.find(back);
  EXPECT_NE(first, std::string::npos) << tried.error;
  EXPECT_NE(tried.error.find(back, first + 1), std::string::npos) << tried.error;
  EXPECT_EQ(RunDirectory(folder / "r").load_checkpoint().halvings, 2);
}

TEST(RunFolder, says_how_many_latent_units_are_live_and_what_became_of_a_warm_up) {
  const TemporaryFolder folder;
  Words words{"train",    "builtin:digits?n=500",
              "--out",    "r",
              "--hidden", "30",
              "--latent", "4",
              "--epochs", "6",
              "--lr",     "0.01"};
  const Outcome live = run(folder, words);
  ASSERT_EQ(live.status, 0) << live.error;
  EXPECT_NE(live.out.find(" of 4 latent units are live, "), std::string::npos) << live.out;
  EXPECT_EQ(live.out.find("warm-up"), std::string::npos) << live.out;
  EXPECT_NE(content_of(folder / "r/report.html").find(" of 4 latent units are live, "),
            std::string::npos);
  words[3] = "s";
  words.insert(words.end(), {"--beta", "1000"});
  const Outcome collapsed = run(folder, words);
  EXPECT_NE(collapsed.out.find("0 of 4 latent units are live, "), std::string::npos)
      << collapsed.out;
  EXPECT_NE(collapsed.out.find("has collapsed onto the prior"), std::string::npos);
  words[3] = "t", words.back() = "2";
  words.insert(words.end(), {"--beta-warmup", "12"});
  const Outcome cut = run(folder, words);
  EXPECT_NE(cut.out.find("--beta-warmup 12 was cut off at a beta of 1"), std::string::npos)
      << cut.out;
}

// The gradient of the only datum is the step's: SGD without momentum keeps it as its first moment.
TEST(Replay, gives_the_gradients_and_the_loss_that_the_step_had) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, {"train", "builtin:digits?n=1", "--out", "r", "--hidden", "8", "--latent",
                         "2", "--epochs", "5", "--optimizer", "sgd", "--lr", "0.001",
                         "--activation", "tanh", "--beta", "2"})
                .status,
            0);
  const Outcome shown = run(folder, {"replay", "r", "--step", "5", "--datum", "0", "--json"});
  ASSERT_EQ(shown.status, 0) << shown.error;
  const auto replayed = nlohmann::json::parse(shown.out);
  const Checkpoint ended = RunDirectory(folder / "r").load_checkpoint();
  const auto metrics = nlohmann::json::parse(ended.history.back());
  // Two plans of one step: tests/runtime/fusions_test.cpp derives the same bound.
  const double allowed = std::sqrt(double(std::numeric_limits<float>::epsilon()));
  for (const char* key : {"log_likelihood", "kl"})
    EXPECT_NEAR(replayed.at(key).get<double>() / metrics.at(key).get<double>(), 1, allowed) << key;
  EXPECT_NEAR(replayed.at("loss").get<double>(),
              2 * replayed.at("kl").get<double>() - replayed.at("log_likelihood").get<double>(),
              allowed);
  const SafeTensors state = read_safetensors(folder / "r/checkpoint/state.safetensors");
  const auto& norms = replayed.at("gradient_norms");
  ASSERT_EQ(norms.size(), 8u);
  for (const auto& [name, norm] : norms.items()) {
    double squares = 0;
    for (Real g : state.arrays.at("first_moment." + name).values) squares += double(g) * double(g);
    EXPECT_GT(squares, 0) << name;
    EXPECT_NEAR(norm.get<double>() / std::sqrt(squares), 1, allowed) << name;
  }
  for (const auto& unit : replayed.at("latents"))
    EXPECT_NEAR(unit.at("z").get<double>(),
                unit.at("mean").get<double>() +
                    unit.at("deviation").get<double>() * unit.at("noise").get<double>(),
                1e-5);
  const Outcome none = run(folder, {"replay", "r", "--step", "5", "--datum", "1"});
  EXPECT_EQ(none.status, 1);
  EXPECT_NE(none.error.find("the data have 1 rows"), std::string::npos) << none.error;
  EXPECT_EQ(run(folder, {"replay", "r"}).status, 1) << "there is no event";
}

TEST(Words, that_do_not_belong_together_are_refused) {
  const TemporaryFolder folder;
  for (const Words& more : std::vector<Words>{{"--sigma", "shared"},
                                              {"--model", "ae", "--beta", "4"},
                                              {"--model", "ae", "--beta-warmup", "1"},
                                              {"--model", "ae", "--beta-cycles", "1"},
                                              {"--model", "ae", "--free-bits", "1"},
                                              {"--model", "ae", "--samples", "2"},
                                              {"--model", "ae", "--objective", "iwae"},
                                              {"--gradient", "dreg"},
                                              {"--objective", "iwae", "--beta", "2"},
                                              {"--objective", "iwae", "--beta-warmup", "1"},
                                              {"--objective", "iwae", "--beta-cycles", "1"},
                                              {"--objective", "iwae", "--free-bits", "1"},
                                              {"--beta-warmup", "1", "--beta-cycles", "2"},
                                              {"--rate-budget", "3", "--target-distortion", "90"},
                                              {"--rate-budget", "3", "--model", "ae"},
                                              {"--rate-budget", "3", "--beta-warmup", "1"},
                                              {"--rate-budget", "3", "--free-bits", "1"},
                                              {"--target-error", "9"},
                                              {"--best"},
                                              {"--patience", "2"},
                                              {"--from-epoch", "2"},
                                              {"--resume", "--force"}}) {
    const Outcome outcome = run(folder, short_training("r", more));
    EXPECT_EQ(outcome.status, 2) << more.back() << outcome.error;
    EXPECT_FALSE(std::filesystem::exists(folder / "r"));
  }
}

}  // namespace
}  // namespace elbo::test
