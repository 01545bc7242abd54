#include "sabir/net/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "sabir/base/task_slots.h"

#if !defined(__has_feature)
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SABIR_ASAN 1
#else
#define SABIR_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SABIR_TSAN 1
#else
#define SABIR_TSAN 0
#endif
#if SABIR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if SABIR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace sabir::net {
namespace {

constexpr std::size_t kStackBytes = std::size_t{512} << 10U;  // of address space; memory as far as it is used
constexpr int kMostFibers = 4096;

// A stack with a page before it that ends the process when it is reached.
class Stack {
 public:
  Stack() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const memory = ::mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<char*>(memory);
    guard_ = page;
    ::mprotect(memory_, page, PROT_NONE);
  }
  Stack(Stack&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), guard_(other.guard_) {}
  Stack& operator=(Stack&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(guard_, other.guard_);
    return *this;
  }
  ~Stack() {
    if (memory_ != nullptr) ::munmap(memory_, kStackBytes + guard_);
  }
  // Null: there was no memory.
  char* bottom() const { return memory_ == nullptr ? nullptr : memory_ + guard_; }

 private:
  char* memory_ = nullptr;
  std::size_t guard_ = 0;
};

// Stacks that were used and will be again, and how many are in use.
class Stacks {
 public:
  // None: too many are in use, or there is no memory.
  std::optional<Stack> take() {
    const std::lock_guard hold(mutex_);
    if (used_ >= kMostFibers) return std::nullopt;
    std::optional<Stack> stack;
    if (idle_.empty()) {
      stack.emplace();
      if (stack->bottom() == nullptr) return std::nullopt;
    } else {
      stack = std::move(idle_.back());
      idle_.pop_back();
    }
    ++used_;
    return stack;
  }
  void give_back(Stack stack) {
    const std::lock_guard hold(mutex_);
    --used_;
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(stack));
  }

 private:
  static constexpr std::size_t kMostIdle = 64;
  std::mutex mutex_;
  std::vector<Stack> idle_;
  int used_ = 0;
};

Stacks& stacks() {
  static Stacks all;
  return all;
}

// What a sanitizer has to know of a stack that is left and of the one that is gone on with.
#if SABIR_ASAN
struct AsanSwitch {
  void* fake = nullptr;
  void leave(const void* bottom, std::size_t size, bool for_good) { __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, bottom, size); }
  void arrive(const void** bottom, std::size_t* size) { __sanitizer_finish_switch_fiber(fake, bottom, size); }
};
#else
struct AsanSwitch {
  void leave(const void*, std::size_t, bool) {}
  void arrive(const void**, std::size_t*) {}
};
#endif

// The compiler takes what returns twice for a longjmp(), so these stand alone.
[[gnu::noinline]] void change(ucontext_t& from, const ucontext_t& to) { ::swapcontext(&from, &to); }
[[gnu::noinline]] void make(ucontext_t& context, const Stack& stack, void (*entry)(unsigned, unsigned), void* argument) {
  ::getcontext(&context);
  context.uc_stack.ss_sp = stack.bottom();
  context.uc_stack.ss_size = kStackBytes;
  context.uc_link = nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(argument);
  ::makecontext(&context, reinterpret_cast<void (*)()>(entry), 2, static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
}

}  // namespace

struct Fiber::State {
  State(Loop& l, std::function<void()> w, Stack s) : loop(l), work(std::move(w)), stack(std::move(s)) {}
  ~State() {
#if SABIR_TSAN
    if (tsan_own != nullptr) __tsan_destroy_fiber(tsan_own);
#endif
#if SABIR_ASAN
    // What its last frames have marked is no mark of the next one's.
    __asan_unpoison_memory_region(stack.bottom(), kStackBytes);
#endif
    stacks().give_back(std::move(stack));
  }

  void go_on();       // on the loop's stack
  void leave(bool for_good);  // on its own
  static void enter(unsigned high, unsigned low);

  std::shared_ptr<State> self;  // until it has ended
  Loop& loop;
  std::function<void()> work;
  Stack stack;
  Fiber handle{*this};
  ucontext_t own{};
  ucontext_t outside{};
  TaskSlots slots;
  bool waits = false;
  bool woken = false;   // a task of the loop will go on with it
  bool ended = false;
  AsanSwitch asan_own;
  AsanSwitch asan_outside;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;
#if SABIR_TSAN
  void* tsan_own = nullptr;
  void* tsan_outside = nullptr;
#endif
};

namespace {
// Threads take the loop's turns, so a fiber may come back on another one: what is kept for a thread is looked up anew each time.
thread_local Fiber::State* running = nullptr;
[[gnu::noinline]] Fiber::State* running_here() { return running; }
[[gnu::noinline]] void set_running(Fiber::State* state) { running = state; }
}  // namespace

void Fiber::State::go_on() {
  set_running(this);
  std::swap(task_slots(), slots);
  waits = false;
#if SABIR_TSAN
  tsan_outside = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_own, 0);
#endif
  asan_outside.leave(stack.bottom(), kStackBytes, false);
  change(outside, own);
  asan_outside.arrive(nullptr, nullptr);
  std::swap(task_slots(), slots);
  set_running(nullptr);
}

void Fiber::State::leave(bool for_good) {
#if SABIR_TSAN
  __tsan_switch_to_fiber(tsan_outside, 0);
#endif
  asan_own.leave(outside_bottom, outside_size, for_good);
  change(own, outside);
  asan_own.arrive(&outside_bottom, &outside_size);
}

// makecontext() passes no pointers, but ints.
void Fiber::State::enter(unsigned high, unsigned low) {
  auto* const self = reinterpret_cast<State*>(std::uintptr_t{high} << 32U | low);
  self->asan_own.arrive(&self->outside_bottom, &self->outside_size);
  self->work();
  self->work = nullptr;
  self->ended = true;
  self->leave(true);
}

bool Fiber::start(Loop& loop, std::function<void()> work) {
  auto stack = stacks().take();
  if (!stack) return false;
  auto state = std::make_shared<State>(loop, std::move(work), std::move(*stack));
  make(state->own, state->stack, &State::enter, state.get());
#if SABIR_TSAN
  state->tsan_own = __tsan_create_fiber(0);
#endif
  state->go_on();
  if (!state->ended) state->self = state;
  return true;
}

Fiber* Fiber::current() {
  auto* const state = running_here();
  return state != nullptr ? &state->handle : nullptr;
}

Loop& Fiber::loop() { return state_.loop; }

void Fiber::wait() {
  state_.waits = true;
  state_.leave(false);
}

void Fiber::wake() {
  if (!state_.waits || state_.woken) return;
  state_.woken = true;
  state_.loop.soon([state = state_.self] {
    state->woken = false;
    state->go_on();
    if (state->ended) state->self.reset();
  });
}

void pause(std::chrono::milliseconds time) {
  auto* const fiber = Fiber::current();
  if (fiber == nullptr) return std::this_thread::sleep_for(time);
  bool over = false;
  fiber->loop().after(time, [&over, fiber] {
    over = true;
    fiber->wake();
  });
  while (!over) fiber->wait();
}

}  // namespace sabir::net
