#pragma once
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "tests/data/temporary_folder.h"

namespace elbo::test {

struct Outcome {
  int status;  // as a shell has it: 128 + the signal that ended it
  std::string out, error;
};

/// The executable under test, started with these arguments in a folder of its own; by a launcher,
/// words that go before it, if there are any.
class Program {
 public:
  Program(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
          const std::vector<std::string>& launcher = {})
      : out_(folder / ".out"), error_(folder / ".error") {
    std::fflush(nullptr);  // or the child would say it once more
    child_ = fork();
    require(child_ >= 0, "fork failed");
    if (child_ > 0) return;
    if (chdir(folder.path().c_str()) != 0 || !freopen(out_.c_str(), "w", stdout) ||
        !freopen(error_.c_str(), "w", stderr))
      _exit(99);
    std::vector<char*> words;
    for (const std::string& w : launcher) words.push_back(const_cast<char*>(w.c_str()));
    words.push_back(const_cast<char*>(ELBO_BINARY));
    for (const std::string& a : arguments) words.push_back(const_cast<char*>(a.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(98);
  }
  void signal(int number) const { kill(child_, number); }
  bool running() {
    if (!ended_) ended_ = waitpid(child_, &status_, WNOHANG) == child_;
    return !ended_;
  }
  Outcome wait() {
    if (!ended_) waitpid(child_, &status_, 0);
    ended_ = true;
    const int status = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
    return {status, content_of(out_), content_of(error_)};
  }

 private:
  std::string out_, error_;
  pid_t child_;
  int status_ = 0;
  bool ended_ = false;
};

inline Outcome run(const TemporaryFolder& folder, const std::vector<std::string>& arguments) {
  return Program(folder, arguments).wait();
}

}  // namespace elbo::test
