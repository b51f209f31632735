// The fibers of one OS thread: stacks that are reserved at first use, and switches of about 5 ns.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ELBO_ASAN 1
#include <sanitizer/asan_interface.h>
#else
#define ELBO_ASAN 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)0)
#endif

namespace elbo::simt {

struct Fiber;

class Fibers {
 public:
  static constexpr std::size_t limit = 16384, stack_bytes = 256 << 10, guard_bytes = 4096;

  explicit Fibers(void (*body)());  // every fiber runs it; it must not return
  ~Fibers();

  Fiber* take();  // one that is idle; null: there are `limit` already
  void put_back(Fiber* f) { idle_.push_back(f); }
  void switch_to(Fiber*);
  void abandon();  // all of them, wherever they are, after an error
  Fiber* main() const { return main_.get(); }
  Fiber* current() const { return current_; }
  const char* stacks() const { return stacks_; }

 private:
  static void start();
  void reset(std::size_t index);

  void (*body_)();
  char* stacks_;
  std::unique_ptr<Fiber> main_;
  Fiber* current_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

}  // namespace elbo::simt
