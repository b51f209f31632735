#include "runtime/nccl.h"

#include <dlfcn.h>

#include <algorithm>
#include <exception>
#include <type_traits>

#include "runtime/error.h"

namespace elbo {

namespace {

// As nccl.h declares them, of version 2.9.6 and later: before, sums could not be recorded.
constexpr int least_version = 20906;
struct UniqueId {
  char internal[128];
};
using Communicator = struct ncclComm*;
constexpr int success = 0, float32 = 7, float64 = 8, add = 0;

/// The functions of NCCL.
struct Library {
  int (*version)(int*);
  int (*unique_id)(UniqueId*);
  int (*init)(Communicator*, int size, UniqueId, int rank);
  int (*destroy)(Communicator);
  int (*abort)(Communicator);
  const char* (*words)(int);
  int (*all_reduce)(const void*, void*, std::size_t, int type, int operation, Communicator, void*);
  int (*group_start)();
  int (*group_end)();
  std::string missing;  // why it cannot be used; empty: it can

  /// It stays open for as long as the program runs.
  explicit Library(const std::string& name) {
    void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      missing = dlerror();
      return;
    }
    const auto find = [&]<class F>(F& function, const char* symbol) {
      function = reinterpret_cast<F>(dlsym(library, symbol));
      if (!function) missing = name + " has no " + symbol;
    };
    find(version, "ncclGetVersion");
    find(unique_id, "ncclGetUniqueId");
    find(init, "ncclCommInitRank");
    find(destroy, "ncclCommDestroy");
    find(abort, "ncclCommAbort");
    find(words, "ncclGetErrorString");
    find(all_reduce, "ncclAllReduce");
    find(group_start, "ncclGroupStart");
    find(group_end, "ncclGroupEnd");
    int found = 0;
    if (missing.empty() && (version(&found) != success || found < least_version))
      missing = name + " is version " + std::to_string(found) + ", expected " +
                std::to_string(least_version) + " or later";
  }
};

class SumsByNccl final : public GroupSums {
 public:
  SumsByNccl(const Library& library, Communicator communicator, void* stream)
      : library_(library), communicator_(communicator), stream_(stream) {}
  /// After an error others may not come: nobody waits for them then.
  ~SumsByNccl() override {
    std::uncaught_exceptions() > 0 ? library_.abort(communicator_)
                                   : library_.destroy(communicator_);
  }

  void run(const GroupSum& op) override {
    check(library_.group_start());
    for (const Matrix& m : op.numbers)
      sum(m.data, m.data, std::size_t(m.rows) * std::size_t(m.stride),
          std::is_same_v<Real, float> ? float32 : float64);
    if (op.count > 0) sum(op.own, op.all, op.count, float64);
    check(library_.group_end());
  }
  bool enqueues() const override { return true; }

 private:
  void sum(const void* from, void* to, std::size_t count, int type) const {
    check(library_.all_reduce(from, to, count, type, add, communicator_, stream_));
  }
  void check(int status) const {
    if (status != success) fail("NCCL: a sum over the processes: ", library_.words(status));
  }

  Library library_;
  Communicator communicator_;
  void* stream_;
};

/// What each process says, cut at 256 bytes.
std::vector<std::string> all_say(Group& group, const std::string& own) {
  constexpr std::size_t most = 256;
  const auto size = std::size_t(group.size()), rank = std::size_t(group.rank());
  std::vector<double> letters(size * most);
  for (std::size_t i = 0; i < std::min(own.size(), most); ++i)
    letters[rank * most + i] = 1 + double(static_cast<unsigned char>(own[i]));
  group.sum(letters.data(), letters.size());
  std::vector<std::string> all(size);
  for (std::size_t p = 0; p < size; ++p)
    for (std::size_t i = 0; i < most && letters[p * most + i] > 0; ++i)
      all[p] += char(static_cast<unsigned char>(letters[p * most + i] - 1));
  return all;
}

/// What the first process says that says anything; empty: none does.
std::string first_to_say(Group& group, const std::string& own) {
  const std::vector<std::string> all = all_say(group, own);
  for (std::size_t p = 0; p < all.size(); ++p)
    if (!all[p].empty()) return "process " + std::to_string(p) + ": " + all[p];
  return {};
}

/// Why the GPUs are not one for each process; nothing where none has one.
std::string not_one_each(const std::vector<std::string>& gpus) {
  for (std::size_t p = 0; p < gpus.size(); ++p) {
    if (gpus[p].empty()) return "process " + std::to_string(p) + " has no GPU";
    for (std::size_t q = 0; q < p; ++q)
      if (gpus[p] == gpus[q])
        return "processes " + std::to_string(q) + " and " + std::to_string(p) + " share a GPU";
  }
  return {};
}

}  // namespace

DeviceSums sums_by_nccl(Group& group, const std::string& gpu, void* stream,
                        const std::string& name) {
  const std::vector<std::string> gpus = all_say(group, gpu);
  if (std::ranges::all_of(gpus, [](const std::string& g) { return g.empty(); })) return {};
  if (std::string why = not_one_each(gpus); !why.empty()) return {nullptr, why};
  const Library library(name);
  if (std::string why = first_to_say(group, library.missing); !why.empty()) return {nullptr, why};

  UniqueId id{};
  int status = group.rank() == 0 ? library.unique_id(&id) : success;
  const auto failed = [&](const char* function) {
    return status == success ? std::string() : std::string(function) + ": " + library.words(status);
  };
  if (std::string why = first_to_say(group, failed("ncclGetUniqueId")); !why.empty())
    return {nullptr, why};
  group.of_first(std::string(id.internal, sizeof id.internal))
      .copy(id.internal, sizeof id.internal);
  Communicator communicator = nullptr;
  status = library.init(&communicator, group.size(), id, group.rank());
  if (std::string why = first_to_say(group, failed("ncclCommInitRank")); !why.empty()) {
    if (status == success) library.abort(communicator);
    return {nullptr, why};
  }
  return {std::make_unique<SumsByNccl>(library, communicator, stream), {}};
}

}  // namespace elbo
