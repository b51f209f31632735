#include "app/interrupt.h"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <utility>

namespace elbo {

namespace {

bool watching = false;
std::atomic<bool> catching = false;
std::atomic<int> signal_seen = 0;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

[[noreturn]] void wait_for_signals() {
  const sigset_t set = watched_signals();
  while (true) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    int none = 0;
    if (catching && signal_seen.compare_exchange_strong(none, signal)) continue;
    // The process ends as if nobody had watched.
    std::signal(signal, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    std::raise(signal);
  }
}

}  // namespace

void watch_for_interrupts() {
  if (std::exchange(watching, true)) return;
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);  // threads that start later inherit this
  std::thread(wait_for_signals).detach();
}

void catch_interrupts() { catching = true; }

int interrupted() { return signal_seen; }

}  // namespace elbo
