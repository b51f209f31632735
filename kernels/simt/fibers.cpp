#include "kernels/simt/fibers.h"

#include <sys/mman.h>

#include "kernels/simt/executor.h"

#if !defined(__x86_64__) || defined(ELBO_SIMT_UCONTEXT)
#define ELBO_PORTABLE_SWITCH 1
#include <ucontext.h>
#else
#define ELBO_PORTABLE_SWITCH 0
#endif
#if ELBO_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if !ELBO_PORTABLE_SWITCH
extern "C" void elbo_simt_switch(void** save, void* to);
asm(R"(
.text
.globl elbo_simt_switch
.type elbo_simt_switch,@function
elbo_simt_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size elbo_simt_switch,.-elbo_simt_switch
)");
#endif

namespace elbo::simt {

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  std::size_t bytes = 0;
  void* fake_stack = nullptr;  // ASan's
#if ELBO_PORTABLE_SWITCH
  ucontext_t context;
#endif
};

static thread_local Fibers* fibers_of_this_thread;

Fibers::Fibers(void (*body)()) : body_(body), main_(new Fiber), current_(main_.get()) {
  void* p = mmap(nullptr, limit * stack_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw Error("simt: no address space for the stacks of fibers");
  stacks_ = static_cast<char*>(p);
  fibers_of_this_thread = this;
}

Fibers::~Fibers() {
  ASAN_UNPOISON_MEMORY_REGION(stacks_, fibers_.size() * stack_bytes);
  munmap(stacks_, limit * stack_bytes);
}

void Fibers::start() {
  Fibers& f = *fibers_of_this_thread;
#if ELBO_ASAN
  const void* stack;
  std::size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
  if (!f.main_->stack) {
    f.main_->stack = static_cast<char*>(const_cast<void*>(stack));
    f.main_->bytes = bytes;
  }
#endif
  f.body_();
}

void Fibers::reset(std::size_t index) {
  Fiber& f = *fibers_[index];
  f.fake_stack = nullptr;
#if ELBO_PORTABLE_SWITCH
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = f.bytes;
  f.context.uc_link = nullptr;
  makecontext(&f.context, start, 0);
#else
  // Stacks lie a power of two apart: start each at another offset, or the hot frames of all of them
  // share a few sets of the cache.
  auto** top = reinterpret_cast<void**>(f.stack + f.bytes - index % 61 * 192);
  *--top = nullptr;  // ends back traces
  *--top = reinterpret_cast<void*>(&start);
  f.stack_pointer = top - 6;
#endif
}

Fiber* Fibers::take() {
  if (idle_.empty()) {
    const std::size_t i = fibers_.size();
    if (i == limit) return nullptr;
    fibers_.push_back(std::make_unique<Fiber>());
    fibers_[i]->stack = stacks_ + i * stack_bytes;
    fibers_[i]->bytes = stack_bytes;
    mprotect(fibers_[i]->stack, guard_bytes, PROT_NONE);
    reset(i);
    return fibers_[i].get();
  }
  Fiber* f = idle_.back();
  idle_.pop_back();
  return f;
}

void Fibers::switch_to(Fiber* to) {
  Fiber* from = current_;
  current_ = to;
#if ELBO_ASAN
  // Never null, even for a fiber that is done: it will run another thread on the same fake stack.
  __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->bytes);
#endif
#if ELBO_PORTABLE_SWITCH
  swapcontext(&from->context, &to->context);
#else
  elbo_simt_switch(&from->stack_pointer, to->stack_pointer);
#endif
#if ELBO_ASAN
  __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

void Fibers::abandon() {
  idle_.clear();
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    ASAN_UNPOISON_MEMORY_REGION(fibers_[i]->stack + guard_bytes, stack_bytes - guard_bytes);
    reset(i);
    idle_.push_back(fibers_[i].get());
  }
}

}  // namespace elbo::simt
