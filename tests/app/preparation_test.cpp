// Prepared data from the command line: what a run remembers, and what it gives back.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/app/program.h"
#include "tests/tolerance.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

/// Rows of ±1 as a file has them, or of 10 ± 4 and -3 ± 0.5, which is exact in every step.
std::string rows(bool prepared, int shift) {
  std::string text = "a,b\n";
  for (int r = 0; r < 40; ++r) {
    const double a = r & 1 ? 1 : -1, b = (r + shift) & 2 ? 1 : -1;
    text += (prepared ? std::to_string(a) + "," + std::to_string(b)
                      : std::to_string(10 + 4 * a) + "," + std::to_string(-3 + b / 2)) +
            "\n";
  }
  return text;
}

Words train(const std::string& data, const std::string& run, const Words& more = {}) {
  Words words{"train",    data + ".csv", "--valid",      data + "-valid.csv",
              "--out",    run,           "--hidden",     "8",
              "--latent", "1",           "--batch",      "10",
              "--epochs", "4",           "--likelihood", "gaussian"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Prepared, data_train_the_model_that_data_prepared_by_hand_train) {
  const TemporaryFolder folder;
  for (const bool by_hand : {false, true}) {
    const std::string name = by_hand ? "hand" : "own";
    folder.with(name + ".csv", rows(by_hand, 0));
    folder.with(name + "-valid.csv", rows(by_hand, 1) + (by_hand ? "5,1\n" : "30,-2.5\n"));
  }
  ASSERT_EQ(run(folder, train("hand", "h")).status, 0);
  const Outcome trained = run(folder, train("own", "o", {"--standardise", "columns"}));
  ASSERT_EQ(trained.status, 0) << trained.error;
  EXPECT_TRUE(content_of(folder / "h/model.safetensors") ==
              content_of(folder / "o/model.safetensors"));
  const auto evaluated = [&](const std::string& name, const Words& more) {
    Words words{"evaluate", name, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(folder, words);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return Json::parse(outcome.out);
  };
  for (const char* part : {"valid", "train", "all"}) {
    const Json h = evaluated("h", {"--part", part}), o = evaluated("o", {"--part", part});
    EXPECT_EQ(o.at("elbo"), h.at("elbo")) << part;
    EXPECT_EQ(o.at("log_likelihood"), h.at("log_likelihood")) << part;
    EXPECT_FALSE(h.contains("own_units"));
    EXPECT_NEAR(o.at("own_units").at("add").get<double>(), -std::log(4 * 0.5),
                tolerance::sum_in_double(41, 1))
        << part;
  }
  const std::string text = run(folder, {"evaluate", "o"}).out;
  EXPECT_NE(text.find("log p(x) = log p(x') - 0.693147181"), std::string::npos) << text;
  EXPECT_NE(run(folder, {"info", "o"}).out.find("log p(x') - 0.693147181"), std::string::npos);
  EXPECT_NE(content_of(folder / "o/report.html").find("- 0.693147181"), std::string::npos);

  // What comes out is in the units of what went in.
  for (const char* name : {"h", "o"}) {
    const std::string data = name == std::string("h") ? "hand.csv" : "own.csv", out = name;
    ASSERT_EQ(run(folder, {"reconstruct", name, data, "--out", out + "-x.npy"}).status, 0);
    ASSERT_EQ(run(folder, {"sample", name, "--mode", "sample", "--out", out + "-s.npy"}).status, 0);
  }
  for (const char* what : {"-x.npy", "-s.npy"}) {
    const Dataset h = read_npy(folder / (std::string("h") + what));
    const Dataset o = read_npy(folder / (std::string("o") + what));
    ASSERT_EQ(o.rows, h.rows);
    for (long r = 0; r < h.rows; ++r) {
      EXPECT_FLOAT_EQ(o.value(r, 0), h.value(r, 0) * 4 + 10);
      EXPECT_FLOAT_EQ(o.value(r, 1), h.value(r, 1) / 2 - 3);
    }
  }
}

TEST(Prepared, run_goes_on_to_the_bytes_of_one_that_was_never_stopped) {
  const TemporaryFolder folder;
  folder.with("own.csv", rows(false, 0));
  Words words{"train", "own.csv",  "--valid", "0.25",         "--log1p", "--standardise",
              "all",   "--hidden", "4",       "--likelihood", "laplace", "--latent",
              "1",     "--out",    "r",       "--epochs",     "1"};
  const Outcome refused = run(folder, words);
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.error.find("has no log(1 + x)"), std::string::npos) << refused.error;
  words[4] = "--centre", words.insert(words.begin() + 5, "rows");
  ASSERT_EQ(run(folder, words).status, 0);
  const Outcome resumed = run(folder, {"train", "--resume", "--out", "r", "--epochs", "3"});
  ASSERT_EQ(resumed.status, 0) << resumed.error;
  words.back() = "3", words[words.size() - 3] = "whole";
  ASSERT_EQ(run(folder, words).status, 0);
  EXPECT_TRUE(content_of(folder / "r/model.safetensors") ==
              content_of(folder / "whole/model.safetensors"));
  EXPECT_NE(run(folder, {"evaluate", "r"}).out.find("what centred rows had in common is gone"),
            std::string::npos);
  const Outcome other =
      run(folder, {"train", "--resume", "--out", "r", "--epochs", "4", "--standardise", "none"});
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.error.find("was trained with standardise"), std::string::npos) << other.error;
}

TEST(Prepared, data_of_a_likelihood_of_other_data_are_refused) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run(folder, {"train", "builtin:digits?n=20", "--standardise", "columns", "--out", "r"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.error.find("expected gaussian, laplace or student_t"), std::string::npos);
}

}  // namespace
}  // namespace elbo::test
