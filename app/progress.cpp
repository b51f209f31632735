#include "app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace elbo {

namespace {

/// A line that wraps could not be written anew.
std::size_t terminal_width() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col - 1u : 79u;
}

}  // namespace

std::string short_count(double n) {
  if (n >= 1e9) return fmt::format("{:.3g}G", n / 1e9);
  if (n >= 1e6) return fmt::format("{:.3g}M", n / 1e6);
  if (n >= 1e4) return fmt::format("{:.3g}k", n / 1e3);
  return fmt::format("{:.0f}", n);
}

std::string duration(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const long s = std::lround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

ProgressLine::ProgressLine(int epochs, long rows, bool variational, std::string bound, bool quiet)
    : epochs_(epochs),
      rows_(rows),
      variational_(variational),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      bound_(std::move(bound)) {}

std::string ProgressLine::means(const Means& m) const {
  if (!variational_) return fmt::format("log-likelihood {:.4g}", m.log_likelihood);
  return fmt::format("{} {:.5g}  log-likelihood {:.5g}  KL {:.4g}", m.bound ? bound_ : "ELBO",
                     m.bound.value_or(m.elbo), m.log_likelihood, m.kl);
}

void ProgressLine::rewrite(int epoch, long position, const std::string& figures) {
  const std::string head = fmt::format("epoch {}/{} ", epoch, epochs_);
  const std::size_t width = terminal_width(), used = head.size() + figures.size();
  // The bar takes what the figures leave.
  constexpr std::size_t frame = 3, least = 4, most = 20;
  std::string bar;
  if (used + frame + least <= width) {
    const std::size_t cells = std::min(most, width - used - frame);
    const std::size_t filled = cells * std::size_t(position) / std::size_t(rows_);
    bar = "[" + std::string(filled, '#') + std::string(cells - filled, '-') + "] ";
  }
  const std::string line = (head + bar + figures).substr(0, width);
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
  open_ = true;
}

void ProgressLine::within(int epoch, const Means& now, long seen, double seconds) {
  if (quiet_ || !terminal_ || seconds <= 0 || seen <= 0) return;
  const double rate = double(seen) / seconds;
  const double left = double(epochs_ - epoch) * double(rows_) + double(rows_ - now.count);
  rewrite(
      epoch, now.count,
      fmt::format("{}  {} data/s  ETA {}", means(now), short_count(rate), duration(left / rate)));
}

void ProgressLine::after(int epoch, const Means& m, const std::optional<Means>& valid,
                         double data_per_second) {
  if (quiet_) return;
  const std::string name = variational_ ? "ELBO" : "log-likelihood";
  const std::string held_out = valid ? fmt::format("  valid {} {:.5g}", name, valid->elbo) : "";
  const std::string rate = short_count(data_per_second);
  if (terminal_)
    // All of it is wider than most terminals.
    rewrite(epoch, rows_, means(m) + (valid ? held_out : "  " + rate + " data/s"));
  else
    std::fprintf(
        stderr, "%s\n",
        fmt::format("epoch {}/{}  {}{}  {} data/s", epoch, epochs_, means(m), held_out, rate)
            .c_str());
}

void ProgressLine::end() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace elbo
