#pragma once
#include <barrier>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/error.h"
#include "runtime/group.h"

namespace elbo::test {

/// Threads in place of processes.  They add up in the order of their ranks.
class Meeting {
 public:
  explicit Meeting(int size) : size(size), own_(std::size_t(size)), meet_(size) {}

  void sum(int rank, std::vector<double>& numbers) {
    own_[std::size_t(rank)] = &numbers;
    meet_.arrive_and_wait();
    std::vector<double> sum(numbers.size());
    for (const auto* part : own_)
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part->at(i);
    meet_.arrive_and_wait();
    numbers = sum;
  }
  std::string of_first(int rank, const std::string& text) {
    if (rank == 0) text_ = text;
    meet_.arrive_and_wait();
    const std::string first = text_;
    meet_.arrive_and_wait();
    return first;
  }

  const int size;

 private:
  std::vector<std::vector<double>*> own_;
  std::string text_;
  std::barrier<> meet_;
};

class Member : public Group {
 public:
  Member(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_.size; }
  void sum(float* numbers, std::size_t count) override { add(numbers, count); }
  void sum(double* numbers, std::size_t count) override { add(numbers, count); }
  std::string of_first(const std::string& text) override { return meeting_.of_first(rank_, text); }

 private:
  template <class T>
  void add(T* numbers, std::size_t count) {
    std::vector<double> wide(numbers, numbers + count);
    meeting_.sum(rank_, wide);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = T(wide[i]);
  }
  Meeting& meeting_;
  int rank_;
};

/// body(member) by so many of them.  Errors: the first that one of them met.
inline void by_threads(int size, const std::function<void(Group&)>& body) {
  Meeting meeting(size);
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      Member member(meeting, rank);
      try {
        body(member);
      } catch (const Error& error) {
        errors[std::size_t(rank)] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors)
    if (!error.empty()) fail(error);
}

}  // namespace elbo::test
