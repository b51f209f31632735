#include <mpi.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "app/processes.h"
#include "runtime/error.h"

namespace elbo {

namespace {

class Mpi : public Processes {
 public:
  Mpi() {
    int given = 0;  // calls come from this thread alone
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm here;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    MPI_Comm_rank(here, &place_);
    MPI_Comm_free(&here);
  }
  ~Mpi() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int place() const override { return place_; }
  void end() override {
    if (meeting_ != MPI_REQUEST_NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  }

 protected:
  void add(float* numbers, std::size_t count) override { add_up(numbers, count, MPI_FLOAT); }
  void add(double* numbers, std::size_t count) override { add_up(numbers, count, MPI_DOUBLE); }

  std::string from_first(const std::string& own) override {
    std::string text = own;
    unsigned long length = text.size();
    MPI_Bcast(&length, 1, MPI_UNSIGNED_LONG, 0, MPI_COMM_WORLD);
    text.resize(length);
    MPI_Bcast(text.data(), int(length), MPI_CHAR, 0, MPI_COMM_WORLD);
    return text;
  }

  std::optional<int> least(int own, bool patient) override {
    own_ = own;
    MPI_Iallreduce(&own_, &least_, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD, &meeting_);
    if (patient) {
      MPI_Wait(&meeting_, MPI_STATUS_IGNORE);
      return least_;
    }
    int met = 0;
    for (const auto end = std::chrono::steady_clock::now() + patience;
         !met && std::chrono::steady_clock::now() < end;
         std::this_thread::sleep_for(std::chrono::milliseconds(10)))
      MPI_Test(&meeting_, &met, MPI_STATUS_IGNORE);
    return met ? std::optional(least_) : std::nullopt;
  }

 private:
  template <class T>
  static void add_up(T* numbers, std::size_t count, MPI_Datatype type) {
    constexpr std::size_t most = std::numeric_limits<int>::max();
    for (; count > 0; numbers += std::min(count, most), count -= std::min(count, most))
      MPI_Allreduce(MPI_IN_PLACE, numbers, int(std::min(count, most)), type, MPI_SUM,
                    MPI_COMM_WORLD);
  }

  int own_ = 0, least_ = 0;  // of the meeting
  MPI_Request meeting_ = MPI_REQUEST_NULL;
  int rank_ = 0, size_ = 1, place_ = 0;
};

}  // namespace

std::unique_ptr<Processes> processes_by_mpi(const Launch& started) {
  auto processes = std::make_unique<Mpi>();
  require(processes->size() == started.count, "$", started.variable, " is ", started.count,
          ", but MPI knows ", processes->size(), " processes: mpirun is that of another MPI");
  return processes;
}

}  // namespace elbo
