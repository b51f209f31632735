// What NCCL does of nccl.h, among threads and in the host's memory: for tests of runtime/nccl.cpp.
// LEFT_OUT leaves the sums out; VERSION is another one.
#include <barrier>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#ifndef VERSION
#define VERSION 22703
#endif

namespace {

struct Meeting {
  explicit Meeting(int size) : parts(std::size_t(size)), meet(size) {}
  std::vector<const void*> parts;
  std::barrier<> meet;
};

struct Id {
  char internal[128];
};

std::mutex one_at_a_time;
std::map<std::string, std::shared_ptr<Meeting>> meetings;
int made = 0;

/// In the order of the ranks and in double, as the tests' own groups do it.
template <class T>
void all_reduce(Meeting& meeting, int rank, const T* from, T* to, std::size_t count) {
  meeting.parts[std::size_t(rank)] = from;
  meeting.meet.arrive_and_wait();
  std::vector<double> sum(count);
  for (const void* part : meeting.parts)
    for (std::size_t i = 0; i < count; ++i) sum[i] += double(static_cast<const T*>(part)[i]);
  meeting.meet.arrive_and_wait();
  for (std::size_t i = 0; i < count; ++i) to[i] = T(sum[i]);
}

}  // namespace

extern "C" {

struct ncclComm {
  std::shared_ptr<Meeting> meeting;
  int rank;
};

int ncclGetVersion(int* version) { return *version = VERSION, 0; }
const char* ncclGetErrorString(int) { return "invalid usage (of the stand-in)"; }
int ncclGetUniqueId(Id* id) {
  const std::lock_guard alone(one_at_a_time);
  std::memset(id, 0, sizeof *id);
  std::snprintf(id->internal, sizeof id->internal, "meeting %d", ++made);
  return 0;
}
/// More than three are refused.
int ncclCommInitRank(ncclComm** comm, int size, Id id, int rank) {
  if (size > 3) return 5;
  const std::lock_guard alone(one_at_a_time);
  auto& meeting = meetings[id.internal];
  if (!meeting) meeting = std::make_shared<Meeting>(size);
  *comm = new ncclComm{meeting, rank};
  return 0;
}
int ncclCommDestroy(ncclComm* comm) { return delete comm, 0; }
int ncclCommAbort(ncclComm* comm) { return delete comm, 0; }
int ncclGroupStart() { return 0; }
int ncclGroupEnd() { return 0; }
#ifndef LEFT_OUT
int ncclAllReduce(const void* from, void* to, std::size_t count, int type, int operation,
                  ncclComm* comm, void*) {
  if (operation != 0) return 4;
  Meeting& m = *comm->meeting;
  if (type == 7)
    all_reduce(m, comm->rank, static_cast<const float*>(from), static_cast<float*>(to), count);
  else if (type == 8)
    all_reduce(m, comm->rank, static_cast<const double*>(from), static_cast<double*>(to), count);
  else return 4;
  return 0;
}
#endif

}  // extern "C"
