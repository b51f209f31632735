// `mpirun -np N elbo train`, and torchrun: N processes are one, but for the order of sums.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/run_directory.h"
#include "tests/app/program.h"
#include "tests/tolerance.h"

namespace elbo::test {
namespace {

using Words = std::vector<std::string>;

class Runs : public testing::Test {
 protected:
  std::vector<nlohmann::json> history(const std::string& run) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(content_of(folder_ / run + "/metrics.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  TemporaryFolder folder_;
};

class Processes : public Runs {
 protected:
  void SetUp() override {
    if (!ELBO_HAS_MPI) GTEST_SKIP() << "this build has no MPI";
    setenv("LSAN_OPTIONS", "detect_leaks=0", 1);  // OpenMPI leaves memory behind
  }

  void TearDown() override { unsetenv("LSAN_OPTIONS"); }

  static Words launcher(int count) {
    return {"mpirun", "--allow-run-as-root", "--oversubscribe", "-np", std::to_string(count)};
  }
  Outcome run_by(int count, const Words& words) {
    return Program(folder_, words, launcher(count)).wait();
  }
};

constexpr int batch = 50;

/// 190 data in batches of 50, the last of which has 40.
Words training(const std::string& out, int epochs, const Words& more = {}) {
  Words words{"train",       "builtin:digits?n=200",
              "--out",       out,
              "--valid",     "0.05",
              "--hidden",    "20",
              "--latent",    "3",
              "--batch",     std::to_string(batch),
              "--optimizer", "sgd",
              "--lr",        "0.001",
              "--device",    "cpu",
              "--epochs",    std::to_string(epochs)};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// How far rounding takes a loss: what training changed it by comes of gradients, sums over a batch
/// whose data may pull in opposite directions; and the loss is itself a sum over the columns.
double rounding(double first, double now, int columns = 784) {
  return 2 * tolerance::sum(batch, std::sqrt(batch) * std::abs(now - first)) +
         2 * tolerance::sum(columns, std::abs(now));
}

/// `grown`: what the model makes of a rounding error on its way.
void expect_same(const std::vector<nlohmann::json>& one, const std::vector<nlohmann::json>& many,
                 int columns = 784, double grown = 1) {
  ASSERT_EQ(one.size(), many.size());
  for (std::size_t e = 0; e < one.size(); ++e)
    for (const char* key : {"elbo", "log_likelihood", "valid_elbo"}) {
      const double first = one[0].at(key), now = one[e].at(key);
      EXPECT_NEAR(double(many[e].at(key)), now, grown * rounding(first, now, columns))
          << key << " after " << e + 1;
    }
  const double first = one[0].at("elbo"), last = one.back().at("elbo");
  EXPECT_GT(last - first, 100 * rounding(first, last, columns)) << "nothing was learnt";
}

TEST_F(Processes, have_the_losses_of_one) {
  ASSERT_EQ(run(folder_, training("one", 4)).status, 0);
  for (const int count : {2, 4}) {
    SCOPED_TRACE(count);
    const std::string out = std::to_string(count);
    const Outcome outcome = run_by(count, training(out, 4));
    ASSERT_EQ(outcome.status, 0) << outcome.error;
    expect_same(history("one"), history(out));
    // One of them writes, and speaks.
    EXPECT_EQ(outcome.out.find("4 epochs"), outcome.out.rfind("4 epochs")) << outcome.out;
    EXPECT_NE(outcome.out.find("4 epochs"), std::string::npos) << outcome.out;
    EXPECT_NE(content_of(folder_ / out + "/report.html").find(out + " processes"),
              std::string::npos);
    EXPECT_EQ(run(folder_, {"evaluate", out, "--data", "builtin:digits?n=20"}).status, 0);
  }
}

TEST_F(Processes, go_on_with_what_another_number_of_them_left) {
  ASSERT_EQ(run(folder_, training("one", 4)).status, 0);
  ASSERT_EQ(run_by(2, training("r", 1)).status, 0);
  ASSERT_EQ(run(folder_, {"train", "--resume", "--out", "r", "--epochs", "2"}).status, 0);
  const Outcome outcome = run_by(3, {"train", "--resume", "--out", "r", "--epochs", "4"});
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  expect_same(history("one"), history("r"));
  const Outcome finished = run_by(2, {"train", "--resume", "--out", "r"});
  EXPECT_EQ(finished.status, 0) << finished.error;
  EXPECT_NE(finished.out.find("This run is finished"), std::string::npos) << finished.out;
}

TEST_F(Processes, train_the_preset_of_cells_whose_norms_see_the_whole_batch) {
  const auto cells = [](const std::string& out) {
    return Words{"train",       "builtin:cell-cycle?n=200",
                 "--preset",    "scvi",
                 "--out",       out,
                 "--valid",     "0.05",
                 "--free-bits", "0.02",
                 "--batch",     std::to_string(batch),
                 "--optimizer", "sgd",
                 "--lr",        "0.001",
                 "--device",    "cpu",
                 "--epochs",    "4"};
  };
  ASSERT_EQ(run(folder_, cells("one")).status, 0);
  for (const int count : {2, 3}) {
    SCOPED_TRACE(count);
    const std::string out = std::to_string(count);
    const Outcome outcome = run_by(count, cells(out));
    ASSERT_EQ(outcome.status, 0) << outcome.error;
    // Each of two norms adds to an error x̂ ≤ √batch times as much.
    expect_same(history("one"), history(out), 34, std::pow(1 + std::sqrt(batch), 2));
  }
}

TEST_F(Processes, stop_early_together) {
  // At that rate the validation ELBO soon falls.
  const Outcome outcome =
      run_by(2, {"train", "builtin:digits?n=200", "--out", "r", "--valid", "0.2", "--best",
                 "--patience", "2", "--lr", "0.02", "--epochs", "1000", "--device", "cpu"});
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_LT(history("r").size(), 1000u);
  EXPECT_NE(outcome.out.find("stopped: for 2 epochs"), std::string::npos) << outcome.out;
}

TEST_F(Processes, end_with_a_message_when_one_dies) {
  // The second one notes its number before it becomes the program.
  Words by = launcher(2);
  for (const char* word :
       {"sh", "-c", "[ $OMPI_COMM_WORLD_RANK = 0 ] || echo $$ > second; exec \"$@\"", "sh"})
    by.push_back(word);
  Program program(folder_, training("r", 100000, {"--checkpoint-every", "1"}), by);
  const auto stands = [&] {
    return !content_of(folder_ / "r/checkpoint/state.safetensors").empty() &&
           content_of(folder_ / "r/metrics.jsonl").size() > 1000;
  };
  while (program.running() && !stands()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(std::stoi(content_of(folder_ / "second")), SIGKILL);
  const Outcome outcome = program.wait();
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.error.find("rank 1"), std::string::npos) << outcome.error;
  EXPECT_GT(RunDirectory(folder_ / "r").load_checkpoint().epochs_done, 0u);
}

TEST_F(Processes, save_where_they_stand_when_told_to_stop) {
  // mpirun passes the signal on a second late and reads nothing more meanwhile: the lines of that
  // second must fit in a pipe (64 KiB), so the epochs must not be too short.
  Program program(folder_,
                  {"train", "builtin:digits?n=1000", "--out", "r", "--hidden", "100", "--device",
                   "cpu", "--epochs", "100000"},
                  launcher(2));
  while (program.running() && content_of(folder_ / "r/metrics.jsonl").size() < 1000)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  program.signal(SIGTERM);
  const Outcome outcome = program.wait();
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.error.find("interrupted; to go on: elbo train --resume"), std::string::npos)
      << outcome.error;
  EXPECT_EQ(RunDirectory(folder_ / "r").load_checkpoint().history.size(), history("r").size());
}

TEST_F(Processes, say_once_what_all_of_them_meet) {
  const Outcome outcome = run_by(2, {"train", "nowhere.npy", "--out", "r"});
  EXPECT_NE(outcome.status, 0);
  const auto at = outcome.error.find("nowhere.npy");
  EXPECT_NE(at, std::string::npos) << outcome.error;
  EXPECT_EQ(outcome.error.find("nowhere.npy", at + 1), std::string::npos) << outcome.error;
}

TEST_F(Processes, say_what_one_of_them_alone_meets) {
  // The second one starts where there are no data.
  std::filesystem::create_directory(folder_ / "empty");
  std::ofstream(folder_ / "x.csv") << "1,2\n3,4\n5,6\n7,8\n";
  Words by = launcher(2);
  for (const char* word :
       {"sh", "-c", "[ $OMPI_COMM_WORLD_RANK = 0 ] || cd empty; exec \"$@\"", "sh"})
    by.push_back(word);
  const Outcome outcome = Program(folder_, {"train", "x.csv", "--out", "r"}, by).wait();
  EXPECT_EQ(outcome.status, 1);
  const auto at = outcome.error.find("elbo: train: process 1 of 2: x.csv");
  EXPECT_NE(at, std::string::npos) << outcome.error;
  EXPECT_EQ(outcome.error.find("elbo: train", at + 1), std::string::npos) << outcome.error;
}

/// A socket that listens on a port of this machine, 0: on any.
class Listener {
 public:
  explicit Listener(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(std::uint16_t(port))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    listens_ = bind(socket_, reinterpret_cast<sockaddr*>(&at), size) == 0 &&
               listen(socket_, 1) == 0 &&
               getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size) == 0;
    port_ = ntohs(at.sin_port);
  }
  ~Listener() { close(socket_); }
  Listener(const Listener&) = delete;
  bool listens() const { return listens_; }
  int port() const { return port_; }

 private:
  int socket_, port_ = 0;
  bool listens_ = false;
};

/// What torchrun does: it listens on a port, and starts processes that are to meet on the next.
class Torchrun : public Runs {
 protected:
  void SetUp() override {
    do store_.emplace(0);
    while (!Listener(store_->port() + 1).listens());
  }

  /// What each says goes to files of its own: .out0, .error0, …
  void start(int count, const Words& words, const std::string& before = "") {
    for (int rank = 0; rank < count; ++rank) {
      const std::string r = std::to_string(rank), all = std::to_string(count);
      started_.push_back(std::make_unique<Program>(
          folder_, words,
          Words{"env", "RANK=" + r, "LOCAL_RANK=" + r, "WORLD_SIZE=" + all,
                "LOCAL_WORLD_SIZE=" + all, "MASTER_ADDR=localhost",
                "MASTER_PORT=" + std::to_string(store_->port()),
                "TORCHELASTIC_USE_AGENT_STORE=True", "sh", "-c",
                "exec >.out$RANK 2>.error$RANK; " + before + "exec \"$@\"", "sh"}));
    }
  }
  std::vector<int> statuses() {
    std::vector<int> all;
    for (const auto& program : started_) all.push_back(program->wait().status);
    started_.clear();
    return all;
  }
  void wait_for_epochs(const std::string& run) {
    while (started_[0]->running() && content_of(folder_ / run + "/metrics.jsonl").size() < 1000)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::string said(const std::string& stream) { return content_of(folder_ / stream); }

  std::optional<Listener> store_;
  std::vector<std::unique_ptr<Program>> started_;
};

TEST_F(Torchrun, starts_processes_that_have_the_losses_of_one) {
  ASSERT_EQ(run(folder_, training("one", 4)).status, 0);
  for (const int count : {2, 3}) {
    SCOPED_TRACE(count);
    const std::string out = std::to_string(count);
    start(count, training(out, 4));
    ASSERT_EQ(statuses(), std::vector<int>(std::size_t(count), 0)) << said(".error0");
    expect_same(history("one"), history(out));
    EXPECT_NE(said(".out0").find("4 epochs"), std::string::npos) << said(".out0");
    EXPECT_EQ(said(".out1") + said(".error1"), "");
    EXPECT_NE(said(out + "/report.html").find(out + " processes"), std::string::npos);
  }
}

TEST_F(Torchrun, starts_processes_that_stop_together) {
  start(2, training("r", 100000));
  wait_for_epochs("r");
  started_[1]->signal(SIGTERM);
  EXPECT_EQ(statuses(), (std::vector{128 + SIGTERM, 128 + SIGTERM}));
  EXPECT_NE(said(".error0").find("interrupted; to go on: elbo train --resume"), std::string::npos)
      << said(".error0");
  EXPECT_EQ(RunDirectory(folder_ / "r").load_checkpoint().history.size(), history("r").size());
}

TEST_F(Torchrun, starts_processes_that_end_when_one_dies) {
  for (const std::size_t dies : {0, 1}) {
    const std::string out = std::to_string(dies);
    start(2, training(out, 100000, {"--checkpoint-every", "1"}));
    wait_for_epochs(out);
    started_[dies]->signal(SIGKILL);
    EXPECT_EQ(statuses()[1 - dies], 1);
    const std::string error = said(dies == 0 ? ".error1" : ".error0");
    EXPECT_NE(error.find("process " + out + " is gone"), std::string::npos) << error;
    EXPECT_GT(RunDirectory(folder_ / out).load_checkpoint().epochs_done, 0u);
  }
}

TEST_F(Torchrun, starts_processes_that_say_once_what_all_of_them_meet) {
  start(2, {"train", "nowhere.npy", "--out", "r"});
  EXPECT_EQ(statuses(), (std::vector{1, 1}));
  EXPECT_NE(said(".error0").find("process 0 of 2: nowhere.npy"), std::string::npos)
      << said(".error0");
  EXPECT_EQ(said(".error1"), "");
}

TEST_F(Torchrun, starts_processes_that_say_what_one_of_them_alone_meets) {
  for (const int alone : {0, 1}) {
    SCOPED_TRACE(alone);
    const std::string missing = "cd nowhere" + std::to_string(alone);
    std::filesystem::create_directory(folder_ / missing.substr(3));
    std::ofstream(folder_ / "x.csv") << "1,2\n3,4\n5,6\n7,8\n";
    start(2, {"train", "x.csv", "--out", "r" + std::to_string(alone)},
          "[ $RANK != " + std::to_string(alone) + " ] || " + missing + "; ");
    EXPECT_EQ(statuses(), (std::vector{1, 1}));
    const std::string n = std::to_string(alone), other = std::to_string(1 - alone);
    EXPECT_NE(said(".error" + n).find("process " + n + " of 2: x.csv"), std::string::npos);
    EXPECT_EQ(said(".error" + other), "");
  }
}

TEST_F(Torchrun, is_told_that_its_port_is_taken) {
  const Listener other(store_->port() + 1);
  ASSERT_TRUE(other.listens());
  start(1, training("r", 1));
  EXPECT_EQ(statuses(), std::vector{0}) << "alone it needs no port: " << said(".error0");
  const Outcome outcome =
      Program(folder_, training("s", 1),
              {"env", "RANK=0", "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=2", "MASTER_ADDR=localhost",
               "MASTER_PORT=" + std::to_string(other.port())})
          .wait();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.error.find("port " + std::to_string(other.port()) + ": Address already in use"),
            std::string::npos)
      << outcome.error;
}

TEST(Launchers, whose_variables_are_not_whole_are_told_which) {
  const TemporaryFolder folder;
  const auto expect = [&](Words variables, const std::string& text) {
    variables.insert(variables.begin(), {"env", "WORLD_SIZE=2"});
    const Outcome outcome = Program(folder, training("r", 1), variables).wait();
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.error.find(text), std::string::npos) << outcome.error;
  };
  expect({}, "($WORLD_SIZE), but there is no $RANK");
  expect({"RANK=1"}, "there is no $MASTER_ADDR");
  expect({"RANK=1", "MASTER_ADDR=localhost"}, "there is no $MASTER_PORT");
  expect({"RANK=2"}, "$RANK is `2`; expected a whole number from 0 to 1");
  expect({"RANK=1", "MASTER_ADDR=localhost", "MASTER_PORT=http"}, "$MASTER_PORT is `http`");
  if (!ELBO_HAS_MPI) expect({"PMI_SIZE=2"}, "this build has no MPI");
}

}  // namespace
}  // namespace elbo::test
