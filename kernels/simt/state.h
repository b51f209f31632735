// What the executor's own sources share.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/simt.cuh"
#include "kernels/simt/fibers.h"

namespace elbo::simt {

struct Variable {
  const SharedKey* key;  // null: the dynamic one
  char* data;
  std::size_t bytes;
};

struct Barrier {
  unsigned arrived = 0;
  int votes = 0;
  Site site;
  Thread* waiting = nullptr;
};

struct Gate {  // where the lanes of one mask meet
  unsigned mask, arrived;
  const char* operation;
};

struct Warp {
  unsigned lanes = 0, open = 0;
  Gate gates[32];
};

struct Block {
  ~Block();
  uint3 index;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barrier;
  char* arena = nullptr;  // shared memory
  std::size_t used = 0;
  std::vector<Variable> variables;
};

void run_threads();  // what a fiber does: one thread of the job after the other

/// What an OS thread that launches kernels keeps from launch to launch.
struct Executor {
  Fibers fibers{run_threads};
  std::vector<std::unique_ptr<Block>> slots;
  unsigned resident = 0;      // slots in use
  std::vector<Thread*> ring;  // threads that can run: ring[head … head + count)
  std::size_t head = 0, count = 0;
  unsigned live = 0;
  std::uint64_t random_state = 1, dispatches = 0;
  Configuration configuration;  // as it was at the launch
  const Job* job = nullptr;
  const Launch* launch = nullptr;
  Barrier grid_barrier;
  std::vector<Barrier> cluster_barriers;  // by slot / blocks of a cluster
  std::string error;
  std::chrono::steady_clock::time_point start;

  Executor();

  std::uint32_t random(std::uint32_t n) {
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return std::uint32_t((random_state >> 32) * n >> 32);
  }
  Thread*& at(std::size_t i) {
    i += head;
    return ring[i < ring.size() ? i : i - ring.size()];
  }
};

Executor& executor();  // of this OS thread

void make_runnable(Executor&, Thread*);
// Gives the OS thread to the next CUDA thread. A thread that has ended leaves it its fiber.
void dispatch(Executor&, bool ended);

std::string text(uint3);
std::string text(Site);
std::string launched(const Executor&);  // which kernel, from where
std::string describe_deadlock(const Executor&);

}  // namespace elbo::simt
