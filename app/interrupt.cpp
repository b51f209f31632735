#include "app/interrupt.h"

#include <csignal>

namespace elbo {

namespace {

volatile std::sig_atomic_t signal_seen = 0;

extern "C" void note_signal(int signal) {
  signal_seen = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

int interrupted() { return signal_seen; }

}  // namespace elbo
