// The executable as a user meets it: every command, and what each leaves behind.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/npy.h"
#include "kernels/math/philox.h"
#include "tests/app/program.h"

namespace elbo::test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

Words train(const std::string& run, const Words& more = {}, int epochs = 2) {
  Words words{"train",    "builtin:digits?n=300",
              "--out",    run,
              "--hidden", "24",
              "--latent", "3",
              "--batch",  "50",
              "--epochs", std::to_string(epochs)};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Train, leaves_everything_that_a_run_should_hold) {
  const TemporaryFolder folder;
  const Outcome trained = run(folder, train("r", {"--valid", "0.1"}));
  ASSERT_EQ(trained.status, 0) << trained.error;
  for (const char* file :
       {"config.toml", "config.json", "metrics.jsonl", "metrics.csv", "model.safetensors",
        "checkpoint/state.safetensors", "samples.png", "reconstructions.png", "report.html"})
    EXPECT_GT(content_of(folder / "r/" + file).size(), 0u) << file;
  const std::string metrics = content_of(folder / "r/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 2);
  const Json first = Json::parse(metrics.substr(0, metrics.find('\n')));
  EXPECT_NEAR(first.at("elbo").get<double>(),
              first.at("log_likelihood").get<double>() - first.at("kl").get<double>(), 1e-9);
  EXPECT_TRUE(first.contains("valid_elbo"));
}

TEST(Train, for_the_importance_weighted_bound_says_it_beside_the_elbo) {
  const TemporaryFolder folder;
  const Outcome trained =
      run(folder, train("r", {"--objective", "iwae", "--samples", "5", "--lr", "0.01"}, 8));
  ASSERT_EQ(trained.status, 0) << trained.error;
  EXPECT_NE(trained.error.find("IWAE"), std::string::npos) << trained.error;
  EXPECT_NE(trained.out.find("bound"), std::string::npos) << trained.out;
  const std::string metrics = content_of(folder / "r/metrics.jsonl");
  const Json first = Json::parse(metrics.substr(0, metrics.find('\n')));
  const Json last = Json::parse(metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1));
  EXPECT_EQ(last.at("epoch"), 8);
  EXPECT_GT(last.at("bound").get<double>(), first.at("bound").get<double>() + 20);
  EXPECT_GT(last.at("bound").get<double>(), last.at("elbo").get<double>());
  const std::string config = content_of(folder / "r/config.toml");
  EXPECT_NE(config.find("objective = \"iwae\""), std::string::npos) << config;
  EXPECT_NE(config.find("samples = 5"), std::string::npos) << config;
  const Outcome plan = run(folder, {"info", "r", "--plan"});
  EXPECT_NE(plan.out.find("importance-weighted bound, weights"), std::string::npos) << plan.out;
}

TEST(Train, weighs_the_kl_in_cycles_and_leaves_free_bits_of_it) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("r", {"--beta-cycles", "2", "--free-bits", "0.5"}, 4)).status, 0);
  // 24 steps, 12 a cycle: an epoch of 6 ends after 5, 11, 17 and 23 steps.
  std::istringstream lines(content_of(folder / "r/metrics.jsonl"));
  for (const double beta : {5.0 / 6, 1.0, 5.0 / 6, 1.0}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    const Json metrics = Json::parse(line);
    EXPECT_NEAR(metrics.at("beta").get<double>(), beta, 1e-6);
    EXPECT_TRUE(metrics.at("bound").is_null());
    EXPECT_NEAR(metrics.at("elbo").get<double>(),
                metrics.at("log_likelihood").get<double>() - metrics.at("kl").get<double>(), 1e-9);
  }
}

TEST(Train, finds_the_beta_of_a_budget_and_says_its_price) {
  const TemporaryFolder folder;
  const Outcome outcome = run(folder, train("r",
                                            {"--rate-budget", "3", "--lr-schedule", "cosine",
                                             "--likelihood", "gaussian", "--sigma", "fixed:0.5"},
                                            60));
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("one more nat of KL buys"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("GECO's multiplier"), std::string::npos) << outcome.out;
  std::istringstream lines(content_of(folder / "r/metrics.jsonl"));
  Json last;
  for (std::string line; std::getline(lines, line);) last = Json::parse(line);
  EXPECT_NEAR(last.at("kl").get<double>(), 3, 0.3);
  EXPECT_NE(last.at("beta").get<double>(), 1);
}

TEST(Train, of_a_conditional_model_tells_it_the_labels) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("r", {"--condition", "label", "--valid", "0.2"})).status, 0);
  const Outcome evaluated = run(folder, {"evaluate", "r", "--importance-samples", "3", "--json"});
  ASSERT_EQ(evaluated.status, 0) << evaluated.error;
  const Json json = Json::parse(evaluated.out);
  EXPECT_LT(json.at("elbo").get<double>(), -json.at("nll").get<double>());
  EXPECT_EQ(run(folder, {"reconstruct", "r", "builtin:digits?n=9", "--out", "x.png"}).status, 0);
  EXPECT_EQ(run(folder, {"info", "r", "--plan"}).status, 0);
  const Outcome refused = run(folder, train("s", {"--condition", "donor"}));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.error.find("has no annotation 'donor'; it has label"), std::string::npos)
      << refused.error;
}

TEST(Sweep, trains_a_run_for_each_weight_and_draws_the_curve) {
  const TemporaryFolder folder;
  Words words = train("s", {"--betas", "4,0.25"}, 3);
  words[0] = "sweep";
  const Outcome outcome = run(folder, words);
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  const Json json = Json::parse(content_of(folder / "s/sweep.json"));
  ASSERT_EQ(json.at("points").size(), 2u);
  const Json &cheap = json.at("points")[0], &dear = json.at("points")[1];
  EXPECT_EQ(cheap.at("beta"), 0.25);
  EXPECT_GT(cheap.at("rate").get<double>(), dear.at("rate").get<double>());
  EXPECT_EQ(content_of(folder / "s/sweep.html").find("src="), std::string::npos);
  const Outcome told = run(folder, {"evaluate", "s/beta-4", "--information", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  EXPECT_EQ(dear.at("active_units"), Json::parse(told.out).at("information").at("active_units"));
  words.push_back("--resume");
  EXPECT_EQ(run(folder, words).status, 0);
  for (const Words& more : std::vector<Words>{{"--betas", "1"},
                                              {"--betas", "1,0"},
                                              {"--betas", "1,2", "--beta", "2"},
                                              {"--betas", "1,2", "--model", "ae"}}) {
    Words wrong = train("t", more);
    wrong[0] = "sweep";
    EXPECT_EQ(run(folder, wrong).status, 2) << more[1];
  }
}

TEST(Train, writes_a_report_that_needs_nothing_from_elsewhere) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("r")).status, 0);
  const std::string page = content_of(folder / "r/report.html");
  for (const char* part :
       {"builtin:digits?n=300", "elbo train", "data:image/png;base64,", "KL per latent unit",
        "prefers-color-scheme: dark", "const dark = matchMedia", "<td>chosen</td>",
        "<td>discretised_logistic</td><td>recommended</td>"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  for (const char* link : {"src=\"http", "href=\"http", "url(http", "@import"})
    EXPECT_EQ(page.find(link), std::string::npos) << link;
}

TEST(Train, gives_the_same_model_for_a_seed_and_another_for_another) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("a")).status, 0);
  ASSERT_EQ(run(folder, train("b")).status, 0);
  ASSERT_EQ(run(folder, train("c", {"--seed", "1"})).status, 0);
  EXPECT_EQ(content_of(folder / "a/model.safetensors"), content_of(folder / "b/model.safetensors"));
  EXPECT_NE(content_of(folder / "a/model.safetensors"), content_of(folder / "c/model.safetensors"));
}

TEST(Train, takes_a_flag_before_the_file_and_the_file_before_the_default) {
  const TemporaryFolder folder;
  folder.with("c.toml", "data = \"builtin:digits?n=100\"\nhidden = [16]\nlatent = 5\nepochs = 1\n");
  ASSERT_EQ(run(folder, {"train", "--config", "c.toml", "--latent", "2", "--out", "r"}).status, 0);
  const Json config = Json::parse(content_of(folder / "r/config.json"));
  EXPECT_EQ(config.at("latent"), 2);
  EXPECT_EQ(config.at("hidden"), Json::array({16}));
  EXPECT_EQ(config.at("activation"), "relu");
  const Outcome again = run(folder, {"train", "--config", "r/config.toml", "--out", "again"});
  ASSERT_EQ(again.status, 0) << again.error;
  EXPECT_EQ(content_of(folder / "r/model.safetensors"),
            content_of(folder / "again/model.safetensors"));
}

TEST(Train, killed_at_any_moment_and_resumed_ends_in_the_weights_of_an_uninterrupted_run) {
  const TemporaryFolder folder;
  constexpr int many = 30;
  ASSERT_EQ(run(folder, train("whole", {}, many)).status, 0);
  for (int kills = 0, delay = 60; kills < 3; ++kills, delay += 45) {
    const std::string name = "killed" + std::to_string(kills);
    Program first(folder, train(name, {}, many));
    while (first.running() && content_of(folder / name + "/metrics.jsonl").empty())
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    first.signal(SIGKILL);
    first.wait();
    const Outcome resumed = run(folder, train(name, {"--resume"}, many));
    ASSERT_EQ(resumed.status, 0) << resumed.error;
    EXPECT_TRUE(content_of(folder / name + "/model.safetensors") ==
                content_of(folder / "whole/model.safetensors"));
    const std::string metrics = content_of(folder / name + "/metrics.jsonl");
    EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), many)
        << "an epoch is lost or told twice";
  }
}

TEST(Train, interrupted_writes_a_checkpoint_says_how_to_go_on_and_exits_with_130) {
  const TemporaryFolder folder;
  Program first(folder, train("r", {}, 4000));
  while (first.running() && content_of(folder / "r/metrics.jsonl").empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  first.signal(SIGINT);
  const Outcome interrupted = first.wait();
  EXPECT_EQ(interrupted.status, 130) << interrupted.error;
  EXPECT_NE(interrupted.error.find("--resume"), std::string::npos) << interrupted.error;
  const std::string metrics = content_of(folder / "r/metrics.jsonl");
  const long done = std::count(metrics.begin(), metrics.end(), '\n');
  EXPECT_EQ(run(folder, train("r", {"--resume"}, int(done) + 1)).status, 0);
}

TEST(Train, makes_an_autoencoder_whose_squared_error_evaluate_tells) {
  const TemporaryFolder folder;
  const Outcome trained = run(folder, train("r", {"--model", "ae", "--likelihood", "gaussian"}));
  ASSERT_EQ(trained.status, 0) << trained.error;
  const Outcome told = run(folder, {"evaluate", "r", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  const Json json = Json::parse(told.out);
  // log N(x; x̂, 1) summed over C pixels is -½ (squared error + C log 2π), in float32.
  const double expected = -2 * json.at("log_likelihood").get<double>() - 784 * std::log(2 * M_PI);
  EXPECT_NEAR(json.at("squared_error").get<double>(), expected, 1e-5 * 784 * std::log(2 * M_PI));
}

TEST(Evaluate, takes_the_data_that_the_training_held_out) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("r", {"--valid", "0.1", "--seed", "3"})).status, 0);
  const Outcome told = run(folder, {"evaluate", "r", "--seed", "3"});
  ASSERT_EQ(told.status, 0) << told.error;
  EXPECT_EQ(told.out.substr(0, told.out.find('\n')),
            "held-out 10 % of builtin:digits?n=300, 30 data, in nats per datum");
  const auto json_of = [&](const Words& more) {
    Words words{"evaluate", "r", "--seed", "3", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return Json::parse(run(folder, words).out);
  };
  const Json held_out = json_of({}), train = json_of({"--part", "train"}),
             all = json_of({"--part", "all"});
  // The same data, weights and noise as the validation after the last epoch.
  const std::string metrics = content_of(folder / "r/metrics.jsonl");
  const Json last = Json::parse(metrics.substr(metrics.find('\n') + 1));
  EXPECT_EQ(held_out.at("elbo"), last.at("valid_elbo"));
  EXPECT_EQ(held_out.at("part"), "valid");
  EXPECT_EQ(json_of({"--part", "valid"}), held_out);
  EXPECT_EQ(train.at("count"), 270);
  EXPECT_EQ(all.at("count"), 300);
  EXPECT_EQ(json_of({"--data", "builtin:digits?n=300"}).at("elbo"), all.at("elbo"));
  const Words some{"evaluate", "r", "--part", "train", "--limit", "7"};
  EXPECT_TRUE(run(folder, some).out.starts_with("the first 7 of the other 90 % of builtin:digits"));
}

TEST(Evaluate, takes_the_validation_data_of_their_own) {
  const TemporaryFolder folder;
  const std::string valid = "builtin:digits?n=40&seed=9";
  ASSERT_EQ(run(folder, train("r", {"--valid", valid})).status, 0);
  const auto json_of = [&](const char* part) {
    return Json::parse(run(folder, {"evaluate", "r", "--json", "--part", part}).out);
  };
  EXPECT_EQ(json_of("valid").at("count"), 40);
  EXPECT_EQ(json_of("valid").at("data"), valid);
  EXPECT_EQ(json_of("train").at("count"), 300);
  EXPECT_EQ(run(folder, {"evaluate", "r"}).out.substr(0, valid.size()), valid);
}

TEST(Evaluate, refuses_a_part_of_data_that_have_changed) {
  const TemporaryFolder folder;
  folder.with("t.csv", "0.5,0.25\n0.1,0.2\n0.9,1\n");
  ASSERT_EQ(run(folder, {"train", "t.csv", "--hidden", "none", "--latent", "1", "--out", "r",
                         "--valid", "0.3"})
                .status,
            0);
  folder.with("t.csv", "0.5,0.25\n0.1,0.2\n0.9,1\n0.9,1\n");
  const Outcome told = run(folder, {"evaluate", "r"});
  EXPECT_EQ(told.status, 1);
  EXPECT_NE(told.error.find("t.csv: has changed since"), std::string::npos) << told.error;
  EXPECT_EQ(run(folder, {"evaluate", "r", "--part", "all"}).status, 0);
}

TEST(Missing, entries_are_counted_and_have_no_part_in_training_and_evaluation) {
  const TemporaryFolder folder;
  folder.with("whole.csv", "0.5,0.25\n0.1,0.2\n0.9,1\n");
  folder.with("holes.csv", "0.5,\n0.1,0.2\n?,1\n");
  const std::string line = "2 of 6 entries are missing; they have no part in the likelihood\n";
  const auto trained = [&](const std::string& data, const Words& more) {
    Words words{"train", data, "--hidden", "none", "--latent", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(folder, words);
  };
  const Outcome holes = trained("holes.csv", {"--out", "h"});
  EXPECT_EQ(holes.status, 0) << holes.error;
  EXPECT_TRUE(holes.out.starts_with(line)) << holes.out;
  EXPECT_EQ(Json::parse(content_of(folder / "h/config.json")).at("input"), "masked");
  EXPECT_EQ(trained("whole.csv", {"--out", "r", "--input", "masked"}).out.find("missing"),
            std::string::npos);
  const Outcome told = run(folder, {"evaluate", "r", "--data", "holes.csv"});
  EXPECT_NE(told.out.find(line), std::string::npos) << told.out << told.error;
  const Json json =
      Json::parse(run(folder, {"evaluate", "r", "--data", "holes.csv", "--json"}).out);
  EXPECT_EQ(json.at("missing"), 2);
  EXPECT_TRUE(json.at("elbo").is_number()) << "and finite";
  // An encoder that was trained on whole data says that it has no place for others.
  ASSERT_EQ(trained("whole.csv", {"--out", "p"}).status, 0);
  const Outcome refused = run(folder, {"evaluate", "p", "--data", "holes.csv"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.error.find("--input masked"), std::string::npos) << refused.error;
}

TEST(Train, takes_a_folder_of_cells) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "cells.v1");
  folder.with("cells.v1/matrix.mtx",
              "%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 1\n3 2 1\n");
  folder.with("cells.v1/barcodes.tsv", "a\nb\n");
  folder.with("cells.v1/genes.tsv", "1\tx\n2\ty\n3\tz\n");
  const Outcome trained = run(folder, {"train", "cells.v1/", "--hidden", "4", "--latent", "1"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  const Json config = Json::parse(content_of(folder / "runs/cells.v1/config.json"));
  EXPECT_EQ(config.at("observed"), 3);
}

TEST(Train, of_lists_of_counts_is_that_of_the_same_table) {
  const TemporaryFolder folder;
  constexpr int rows = 300, columns = 90;
  std::string table, entries;
  int listed = 0;
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      const int count = (r * 7 + c * 5) % 23 == 0 ? 1 + (r + c) % 400 : 0;
      table += std::to_string(count) + (c + 1 < columns ? "," : "\n");
      if (count == 0) continue;
      entries +=
          std::to_string(r + 1) + " " + std::to_string(c + 1) + " " + std::to_string(count) + "\n";
      ++listed;
    }
  folder.with("table.csv", table);
  folder.with("lists.mtx", "%%MatrixMarket matrix coordinate integer general\n300 90 " +
                               std::to_string(listed) + "\n" + entries);
  ASSERT_EQ(read_dataset(folder / "lists.mtx").type, Dataset::Type::csr);
  const auto elbo_of = [&](const std::string& data, const std::string& out, const Words& more) {
    Words words{"train",   data,   "--out",    out,  "--likelihood", "negative_binomial",
                "--rates", "size", "--hidden", "16", "--latent",     "2",
                "--batch", "16",   "--epochs", "3",  "--valid",      "0.2"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome trained = run(folder, words);
    EXPECT_EQ(trained.status, 0) << trained.error;
    const Outcome told = run(folder, {"evaluate", out, "--part", "train", "--json"});
    EXPECT_EQ(told.status, 0) << told.error;
    return Json::parse(told.out).at("elbo").get<double>();
  };
  EXPECT_EQ(elbo_of("table.csv", "t", {}), elbo_of("lists.mtx", "l", {}));
  EXPECT_TRUE(content_of(folder / "t/model.safetensors") ==
              content_of(folder / "l/model.safetensors"));
  EXPECT_TRUE(std::isfinite(elbo_of("lists.mtx", "s", {"--data-memory", "3K"})));
  EXPECT_FALSE(content_of(folder / "s/model.safetensors") ==
               content_of(folder / "l/model.safetensors"))
      << "what is streamed has another order";
}

TEST(Train, with_a_memory_that_is_none_or_too_small_says_so) {
  const TemporaryFolder folder;
  const Outcome wrong = run(folder, train("r", {"--data-memory", "5X"}));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.error.find("'5X' is neither auto nor a size"), std::string::npos) << wrong.error;
  const Outcome small = run(folder, train("r", {"--data-memory", "5000"}));
  EXPECT_EQ(small.status, 1);
  EXPECT_NE(small.error.find("memory for data, 5000 bytes, allows batches of"), std::string::npos)
      << small.error;
}

struct Trained : testing::Test {
  static inline std::unique_ptr<TemporaryFolder> folder;
  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    ASSERT_EQ(run(*folder, train("r")).status, 0);
  }
  static void TearDownTestSuite() { folder.reset(); }
};

TEST_F(Trained, evaluate_prints_the_terms_in_nats_with_the_bound_above_the_negative_likelihood) {
  const Outcome told = run(*folder, {"evaluate", "r", "--importance-samples", "20", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  const Json json = Json::parse(told.out);
  EXPECT_EQ(json.at("units"), "nats per datum");
  EXPECT_EQ(json.at("count"), 300);
  EXPECT_EQ(json.at("importance_samples"), 20);
  EXPECT_LT(json.at("nll").get<double>(), -json.at("elbo").get<double>());
  EXPECT_GT(json.at("kl").get<double>(), 0);
  EXPECT_TRUE(json.contains("bits_per_dim"));
  EXPECT_EQ(Json::parse(run(*folder, {"evaluate", "r", "--json", "--limit", "7"}).out).at("count"),
            7);
}

TEST_F(Trained, evaluate_takes_the_kl_term_apart) {
  const Outcome told = run(*folder, {"evaluate", "r", "--information", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  const Json json = Json::parse(told.out), terms = json.at("information");
  const auto value = [&](const char* term) {
    EXPECT_GE(terms.at(term).at("standard_error").get<double>(), 0) << term;
    return terms.at(term).at("value").get<double>();
  };
  const double rate = value("rate"), information = value("mutual_information");
  EXPECT_NEAR(rate, json.at("kl").get<double>(), 1e-5 * rate);  // float32, in two ways
  EXPECT_NEAR(information + value("aggregate_kl"), rate, 1e-9 * rate);
  EXPECT_NEAR(information + value("total_correlation") + value("dimension_kl"), rate, 1e-9 * rate);
  EXPECT_NEAR(terms.at("log_count").get<double>(), std::log(300), 1e-12);
  EXPECT_EQ(terms.at("samples"), 300);
  ASSERT_EQ(terms.at("latent_units").size(), 3u);
  int active = 0;
  for (const Json& unit : terms.at("latent_units")) {
    EXPECT_GE(unit.at("kl").at("value").get<double>(), 0);
    EXPECT_EQ(unit.at("active").get<bool>(),
              unit.at("mean_variance").at("value").get<double>() > 0.01);
    active += unit.at("active").get<bool>();
  }
  EXPECT_EQ(terms.at("active_units"), active);
  const std::string text =
      run(*folder, {"evaluate", "r", "--information", "--information-samples", "20"}).out;
  for (const char* part :
       {"20 draws", "300 data", "rate R", "I(x;z)", "log N", "KL(q(z) || p(z))",
        "total correlation", "dimension-wise KL", "active units", "variance of the mean", "±"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  const std::string help = run(*folder, {"evaluate", "--help"}).out;
  for (const char* part : {"rate R", "I(x;z)", "KL(q(z) || p(z))", "total correlation",
                           "dimension-wise KL", "KL of a unit", "active units"})
    EXPECT_NE(help.find(part), std::string::npos) << part;
}

TEST(Evaluate, refuses_to_take_apart_a_kl_term_that_is_not_there) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("r", {"--model", "ae"}, 1)).status, 0);
  const Outcome told = run(folder, {"evaluate", "r", "--information"});
  EXPECT_EQ(told.status, 1);
  EXPECT_NE(told.error.find("no posterior"), std::string::npos) << told.error;
  EXPECT_EQ(told.out, "");
}

TEST_F(Trained, encode_decode_and_reconstruct_fit_together) {
  const std::string data = "builtin:digits?n=20";
  ASSERT_EQ(run(*folder, {"encode", "r", data, "--out", "z.npy"}).status, 0);
  ASSERT_EQ(run(*folder, {"encode", "r", data, "--out", "s.npy", "--what", "logvar"}).status, 0);
  ASSERT_EQ(run(*folder, {"decode", "r", "z.npy", "--out", "x.npy"}).status, 0);
  ASSERT_EQ(run(*folder, {"reconstruct", "r", data, "--out", "y.npy"}).status, 0);
  const Dataset z = read_npy(*folder / "z.npy"), x = read_npy(*folder / "x.npy");
  EXPECT_EQ(z.rows, 20);
  EXPECT_EQ(z.columns, 3);
  EXPECT_EQ(x.columns, 784);
  EXPECT_EQ(x.values(), read_npy(*folder / "y.npy").values());
  EXPECT_NE(z.values(), read_npy(*folder / "s.npy").values());
}

TEST_F(Trained, sample_draws_means_data_or_parameters_from_a_seed) {
  for (const char* mode : {"mean", "sample", "params"}) {
    const std::string file = std::string(mode) + ".npy";
    ASSERT_EQ(run(*folder, {"sample", "r", "-n", "9", "--mode", mode, "--out", file}).status, 0);
    EXPECT_EQ(read_npy(*folder / file).rows, 9);
  }
  for (float v : read_npy(*folder / "sample.npy").values()) EXPECT_TRUE(v == 0 || v == 1);
  for (float v : read_npy(*folder / "mean.npy").values()) EXPECT_TRUE(v > 0 && v < 1);
  ASSERT_EQ(run(*folder, {"sample", "r", "-n", "9", "--out", "again.npy"}).status, 0);
  EXPECT_EQ(content_of(*folder / "again.npy"), content_of(*folder / "mean.npy"));
  ASSERT_EQ(run(*folder, {"sample", "r", "-n", "9", "--out", "grid.png"}).status, 0);
  EXPECT_EQ(content_of(*folder / "grid.png").substr(1, 3), "PNG");
}

TEST_F(Trained, sample_decodes_the_draws_of_the_stream_of_the_prior) {
  std::vector<float> z;
  for (std::uint32_t i = 0; i < 5; ++i)
    for (int u = 0; u < 3; ++u)
      z.push_back(float(Philox::at(0, i, std::uint32_t(Stream::prior) << 24, 0, 8).normal(u)));
  write_npy(*folder / "prior.npy", 5, 3, z.data());
  ASSERT_EQ(run(*folder, {"decode", "r", "prior.npy", "--out", "decoded.npy"}).status, 0);
  ASSERT_EQ(run(*folder, {"sample", "r", "-n", "5", "--seed", "8", "--out", "five.npy"}).status, 0);
  EXPECT_EQ(read_npy(*folder / "five.npy").values(), read_npy(*folder / "decoded.npy").values());
}

TEST_F(Trained, info_prints_the_plan_of_a_step) {
  const Outcome told = run(*folder, {"info", "r", "--plan"});
  EXPECT_EQ(told.status, 0);
  EXPECT_NE(told.out.find("bias, log-likelihood, score"), std::string::npos) << told.out;
}

TEST_F(Trained, a_finished_run_resumed_says_so) {
  EXPECT_EQ(run(*folder, train("r", {"--resume"})).status, 0);
}

TEST(Certify, holds_here_says_so_and_takes_less_than_half_a_minute) {
  const TemporaryFolder folder;
  const auto start = std::chrono::steady_clock::now();
  const Outcome told = run(folder, {"certify", "--device", "cpu"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_EQ(told.status, 0) << told.out << told.error;
  std::istringstream lines(told.out);
  std::string line, last;
  for (; std::getline(lines, line); last = line) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_EQ(told.out.find(" NO\n"), std::string::npos) << told.out;
  EXPECT_NE(last.find(" checks hold on cpu"), std::string::npos) << last;
}

TEST(Certify, prints_json_that_a_program_can_check_again) {
  const TemporaryFolder folder;
  const Outcome told = run(folder, {"certify", "--device", "cpu", "--json"});
  ASSERT_EQ(told.status, 0) << told.error;
  const Json json = Json::parse(told.out);
  EXPECT_EQ(json.at("passed"), true);
  EXPECT_TRUE(json.at("device").get<std::string>().starts_with("cpu"));
  EXPECT_GT(json.at("checks").size(), 100u);
  for (const Json& check : json.at("checks")) {
    const double off = std::abs(check.at("got").get<double>() - check.at("expected").get<double>());
    EXPECT_EQ(check.at("pass").get<bool>(), off <= check.at("tolerance").get<double>())
        << check.at("claim");
  }
}

TEST(Help, of_every_command_shows_its_flags_and_defaults) {
  const TemporaryFolder folder;
  EXPECT_EQ(run(folder, {"--help"}).status, 0);
  for (const char* command : {"train", "evaluate", "encode", "decode", "reconstruct", "restore",
                              "impute", "sample", "translate", "inspect", "info", "certify"}) {
    const Outcome help = run(folder, {command, "--help"});
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_GT(help.out.size(), 200u) << command;
  }
  const std::string text = run(folder, {"train", "--help"}).out;
  for (const char* flag : {"--hidden", "--sigma", "--lr-schedule", "--precision", "--resume"})
    EXPECT_NE(text.find(flag), std::string::npos) << flag;
}

TEST(Export, writes_encoder_and_decoder_of_a_run_and_refuses_what_is_no_folder) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, train("run")).status, 0);
  const Outcome done = run(folder, {"export", "run", "--onnx", "made/here"});
  EXPECT_EQ(done.status, 0) << done.error;
  for (const char* half : {"made/here/encoder.onnx", "made/here/decoder.onnx"})
    EXPECT_NE(content_of(folder / half).find("elbo"), std::string::npos) << half;
  const Outcome refused = run(folder, {"export", "run", "--onnx", "run/config.json"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.error.find("run/config.json"), std::string::npos) << refused.error;
}

}  // namespace
}  // namespace elbo::test
