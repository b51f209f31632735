#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "app/processes.h"
#include "runtime/error.h"

namespace elbo {

namespace {

using asio::ip::tcp;

std::string variable(const char* name, const Launch& started) {
  const char* const value = std::getenv(name);
  require(value && *value, "was started as one of ", started.count, " processes ($",
          started.variable, "), but there is no $", name,
          ": torchrun sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT");
  return value;
}

int number(const char* name, const Launch& started, int least, int most) {
  const std::string text = variable(name, started);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(
      error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
      "$", name, " is `", text, "`; expected a whole number from ", least, " to ", most);
  return value;
}

/// What a process says when it comes, and the first answers.
struct Hello {
  std::array<char, 8> who = {'e', 'l', 'b', 'o', ' ', 't', 'c', 'p'};
  std::uint32_t rank = 0, size = 0;
  bool operator==(const Hello&) const = default;
};

class Tcp : public Processes {
 public:
  explicit Tcp(const Launch& started)
      : rank_(number("RANK", started, 0, started.count - 1)), size_(started.count) {
    place_ = std::getenv("LOCAL_RANK") ? number("LOCAL_RANK", started, 0, rank_) : rank_;
    const int here = std::getenv("LOCAL_WORLD_SIZE")
                         ? number("LOCAL_WORLD_SIZE", started, place_ + 1, size_)
                         : 1;
    cpu_set_t cores;
    if (here > 1 && sched_getaffinity(0, sizeof cores, &cores) == 0)
      setenv("ELBO_THREADS", std::to_string(std::max(CPU_COUNT(&cores) / here, 1)).c_str(), 0);
    const std::string host = variable("MASTER_ADDR", started);
    const char* const taken = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
    const int port = number("MASTER_PORT", started, 1, 65534) +
                     (taken && std::string_view(taken) == "True" ? 1 : 0);
    try {
      rank_ == 0 ? wait_for_others(port, here == size_) : go_to_first(host, port, here == size_);
    } catch (const asio::system_error& error) {
      fail("process ", rank_, " of ", size_, " at ", host, ", port ", port, ": ",
           error.code().message());
    }
    for (auto& other : others_)
      if (other) other->set_option(tcp::no_delay(true));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int place() const override { return place_; }

 protected:
  void add(float* numbers, std::size_t count) override { add_up(numbers, count); }
  void add(double* numbers, std::size_t count) override { add_up(numbers, count); }

  std::string from_first(const std::string& own) override {
    std::string text = own;
    std::uint64_t length = text.size();
    send_first(&length, sizeof length);
    text.resize(length);
    send_first(text.data(), length);
    return text;
  }

  std::optional<int> least(int own, bool patient) override {
    const auto end = Clock::now() + patience;
    std::int32_t least = own, theirs = 0;
    if (rank_ > 0) speak(0, [&] { asio::write(socket(0), asio::buffer(&least, sizeof least)); });
    for (int i = rank_ > 0 ? 0 : 1; i < (rank_ > 0 ? 1 : size_); ++i) {
      if (!patient && !says_something(i, end)) return std::nullopt;
      speak(i, [&] { asio::read(socket(i), asio::buffer(&theirs, sizeof theirs)); });
      least = std::min(least, theirs);
    }
    if (rank_ == 0) send_first(&least, sizeof least);
    return least;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Tries again until it works or the time is over; false then.
  template <class Try>
  static bool in_time(const Try& attempt) {
    for (const auto end = Clock::now() + std::chrono::minutes(5); Clock::now() < end;
         std::this_thread::sleep_for(std::chrono::milliseconds(20)))
      if (attempt()) return true;
    return false;
  }

  Hello this_one(unsigned rank) const { return {.rank = rank, .size = unsigned(size_)}; }

  void wait_for_others(int port, bool of_this_machine) {
    const auto any = of_this_machine ? asio::ip::address_v4::loopback() : asio::ip::address_v4();
    tcp::acceptor door(context_, tcp::endpoint(any, std::uint16_t(port)));
    door.non_blocking(true);
    others_.resize(std::size_t(size_));
    for (int missing = size_ - 1; missing > 0; --missing) {
      const bool came = in_time([&] {
        asio::error_code none;
        tcp::socket guest(context_);
        door.accept(guest, none);
        if (none) return false;
        guest.non_blocking(false);
        Hello hello;
        asio::read(guest, asio::buffer(&hello, sizeof hello), none);
        const std::uint32_t rank = hello.rank;
        if (none || hello != this_one(rank) || rank == 0 || rank >= unsigned(size_) ||
            others_[rank])
          return false;
        hello.rank = 0;
        asio::write(guest, asio::buffer(&hello, sizeof hello), none);
        if (none) return false;
        others_[rank] = std::move(guest);
        return true;
      });
      require(came, "process 0 of ", size_, " waits on port ", port, ": ", missing,
              " of the others did not come");
    }
  }

  void go_to_first(const std::string& host, int port, bool of_this_machine) {
    const bool met = in_time([&] {
      asio::error_code none;
      tcp::socket first(context_);
      const std::string to = of_this_machine ? "127.0.0.1" : host;
      const auto found = tcp::resolver(context_).resolve(to, std::to_string(port), none);
      if (!none) asio::connect(first, found, none);
      Hello hello = this_one(unsigned(rank_));
      if (!none) asio::write(first, asio::buffer(&hello, sizeof hello), none);
      if (!none) asio::read(first, asio::buffer(&hello, sizeof hello), none);
      if (none || hello != this_one(0)) return false;
      others_.emplace_back(std::move(first));
      return true;
    });
    require(met, "process ", rank_, " of ", size_, " finds no process 0 at ", host, ", port ",
            port);
  }

  tcp::socket& socket(int of) { return *others_[std::size_t(rank_ == 0 ? of : 0)]; }

  template <class Words>
  void speak(int with, const Words& words) {
    try {
      words();
    } catch (const asio::system_error& error) {
      fail("process ", with, " is gone (", error.code().message(), ")");
    }
  }

  /// Whether that process has sent something, or is gone, by then.
  bool says_something(int which, Clock::time_point end) {
    pollfd watched{.fd = socket(which).native_handle(), .events = POLLIN, .revents = 0};
    while (Clock::now() < end)
      if (poll(&watched, 1, 100) > 0) return true;
    return false;
  }

  /// What process 0 has.
  void send_first(void* bytes, std::size_t count) {
    const auto buffer = asio::buffer(bytes, count);
    if (rank_ > 0) return speak(0, [&] { asio::read(socket(0), buffer); });
    for (int i = 1; i < size_; ++i) speak(i, [&] { asio::write(socket(i), buffer); });
  }

  /// Piece by piece: process 0 sends the sum of one while the others still send the next.
  template <class T>
  void add_up(T* numbers, std::size_t count) {
    if (rank_ > 0)
      return speak(0, [&] { send_and_receive(asio::buffer(numbers, count * sizeof(T))); });
    constexpr std::size_t piece = (256 << 10) / sizeof(T);
    std::array<T, piece> theirs;
    for (std::size_t n = 0; count > 0; numbers += n, count -= n) {
      n = std::min(count, piece);
      for (int i = 1; i < size_; ++i) {
        speak(i, [&] { asio::read(socket(i), asio::buffer(theirs.data(), n * sizeof(T))); });
        for (std::size_t j = 0; j < n; ++j) numbers[j] += theirs[j];
      }
      send_first(numbers, n * sizeof(T));
    }
  }

  /// Process 0 sends no byte before it has those that stood in its place.
  void send_and_receive(const asio::mutable_buffer& buffer) {
    asio::error_code sent, received;
    asio::async_write(socket(0), buffer, [&](asio::error_code e, std::size_t) { sent = e; });
    asio::async_read(socket(0), buffer, [&](asio::error_code e, std::size_t) { received = e; });
    context_.restart();
    context_.run();
    if (sent || received) throw asio::system_error(sent ? sent : received);
  }

  int rank_, size_, place_ = 0;
  asio::io_context context_;
  std::vector<std::optional<tcp::socket>> others_;  // of process 0 by rank; else it alone
};

}  // namespace

std::unique_ptr<Processes> processes_by_tcp(const Launch& started) {
  return std::make_unique<Tcp>(started);
}

}  // namespace elbo
