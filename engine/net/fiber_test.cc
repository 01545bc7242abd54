#include "sabir/net/fiber.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sabir/base/task_slots.h"

namespace sabir::net {
namespace {

using namespace std::chrono_literals;

// A loop that ends when the task says so.
void on_loop(const std::function<void(Loop&)>& task) {
  Loop loop;
  loop.post([&] { task(loop); });
  loop.after(10s, [&] {
    ADD_FAILURE() << "the loop did not come to its end";
    loop.stop();
  });
  loop.run();
}

TEST(Fiber, RunsAtOnceAndWaitsWithoutTheThread) {
  std::vector<std::string> seen;
  Fiber* fiber = nullptr;
  on_loop([&](Loop& loop) {
    EXPECT_EQ(Fiber::current(), nullptr);
    EXPECT_TRUE(Fiber::start(loop, [&] {
      fiber = Fiber::current();
      seen.emplace_back("begun");
      fiber->wait();
      seen.emplace_back("woken");
      loop.stop();
    }));
    seen.emplace_back("outside");
    EXPECT_EQ(Fiber::current(), nullptr);
    loop.post([&] {
      fiber->wake();
      fiber->wake();  // once is enough
      seen.emplace_back("called");
    });
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"begun", "outside", "called", "woken"}));
}

TEST(Fiber, ManyPauseSideBySide) {
  int ended = 0;
  const auto begun = std::chrono::steady_clock::now();
  on_loop([&](Loop& loop) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(Fiber::start(loop, [&] {
        for (int n = 0; n < 5; ++n) pause(10ms);
        if (++ended == 200) loop.stop();
      }));
    }
  });
  EXPECT_EQ(ended, 200);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 50ms);
}

TEST(Fiber, CarriesItsSlots) {
  int outer = 0;
  on_loop([&](Loop& loop) {
    task_slots().scope = &outer;
    Fiber* fiber = nullptr;
    ASSERT_TRUE(Fiber::start(loop, [&] {
      EXPECT_EQ(task_slots().scope, nullptr);
      int own = 0;
      task_slots().scope = &own;
      fiber = Fiber::current();
      fiber->wait();
      EXPECT_EQ(task_slots().scope, &own);
      loop.stop();
    }));
    EXPECT_EQ(task_slots().scope, &outer);
    task_slots().scope = nullptr;
    fiber->wake();
  });
  EXPECT_EQ(task_slots().scope, nullptr);
}

TEST(Fiber, ThrowsAndCatchesWithin) {
  std::string caught;
  on_loop([&](Loop& loop) {
    ASSERT_TRUE(Fiber::start(loop, [&] {
      try {
        pause(1ms);
        throw std::runtime_error("within");
      } catch (const std::exception& error) {
        caught = error.what();
      }
      pause(1ms);
      loop.stop();
    }));
  });
  EXPECT_EQ(caught, "within");
}

TEST(Fiber, NestsAsACallDoes) {
  std::vector<int> seen;
  on_loop([&](Loop& loop) {
    ASSERT_TRUE(Fiber::start(loop, [&] {
      pause(5ms);
      seen.push_back(2);
      loop.stop();
    }));
    seen.push_back(1);
  });
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

// Foreign code that takes long has another thread go on with the loop, and with what waits there.
TEST(Fiber, GoesOnWithWhoeverRunsTheLoop) {
  pid_t before = 0;
  pid_t after = 0;
  on_loop([&](Loop& loop) {
    ASSERT_TRUE(Fiber::start(loop, [&] {
      before = ::gettid();
      pause(300ms);
      after = ::gettid();
      EXPECT_TRUE(loop.on_loop());
      loop.stop();
    }));
    const auto block = std::make_shared<std::function<void()>>();
    *block = [&loop, block] {
      const auto ticket = loop.enter_foreign();
      if (ticket == 0) return (void)loop.after(5ms, [&loop, block] { loop.soon(*block); });
      std::this_thread::sleep_for(100ms);
      EXPECT_FALSE(Loop::leave_foreign(ticket));
      *block = nullptr;
    };
    loop.soon(*block);
  });
  EXPECT_NE(before, after);
}

TEST(Pause, OfAThreadSleeps) {
  const auto begun = std::chrono::steady_clock::now();
  pause(20ms);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 20ms);
}

TEST(Fiber, MoreThanThereIsRoomForAreRefused) {
  int open_fibers = 0;
  on_loop([&](Loop& loop) {
    std::vector<Fiber*> fibers;
    bool refused = false;
    for (int i = 0; i < 10'000 && !refused; ++i) {
      refused = !Fiber::start(loop, [&] {
        fibers.push_back(Fiber::current());
        Fiber::current()->wait();
        if (--open_fibers == 0) loop.stop();
      });
      if (!refused) ++open_fibers;
    }
    EXPECT_TRUE(refused);
    for (auto* fiber : fibers) fiber->wake();
  });
}

}  // namespace
}  // namespace sabir::net
