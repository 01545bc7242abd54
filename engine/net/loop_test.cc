#include "sabir/net/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <thread>

#include "sabir/base/ids.h"

namespace sabir::net {
namespace {

struct Collector : Stream::Handler {
  void on_bytes(std::string_view bytes) override {
    got += bytes;
    if (wanted > 0 && got.size() >= wanted) loop->stop();
  }
  void on_closed() override {
    closed = true;
    loop->stop();
  }
  Loop* loop = nullptr;
  std::string got;
  std::size_t wanted = 0;
  bool closed = false;
};

TEST(Loop, PostsFromOtherThreadsRunInOrder) {
  Loop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&, i] { order.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Loop, ACancelledTimerNeverFires) {
  Loop loop;
  bool fired = false;
  const auto id = loop.after(std::chrono::milliseconds(5), [&] { fired = true; });
  loop.cancel(id);
  loop.after(std::chrono::milliseconds(30), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(Loop, SoonRunsAtTheEndOfTheTurnAndStarvesNobody) {
  Loop loop;
  std::string order;
  std::function<void()> again = [&] { loop.soon(again); };
  loop.post([&] {
    loop.soon([&] { order += 's'; });
    loop.soon(again);
    loop.after(std::chrono::milliseconds(5), [&] {
      order += 'e';
      loop.stop();
    });
    order += 't';
  });
  loop.run();
  EXPECT_EQ(order, "tse");
}

// Calls `work` as foreign code; gives whether the loop was still its thread's afterwards, once there was a thread to help.
void run_foreign(Loop& loop, std::function<void()> work, std::function<void(bool)> then) {
  loop.soon([&loop, work = std::move(work), then = std::move(then)] {
    const auto ticket = loop.enter_foreign();
    if (ticket == 0) {
      loop.after(std::chrono::milliseconds(1), [&loop, work, then] { run_foreign(loop, work, then); });
      return;
    }
    work();
    then(Loop::leave_foreign(ticket));
  });
}

// The processor time of this thread, so that a busy machine changes nothing.
std::chrono::nanoseconds used() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST(Loop, SleepsWhileWhatItWaitsForTakesLong) {
  Loop loop;
  loop.hold();
  // Short waits first, which are worth looking for events, then long ones.
  int left = 200;
  std::function<void()> next = [&] {
    if (--left > 0) loop.after(std::chrono::milliseconds(0), next);
    else loop.after(std::chrono::milliseconds(300), [&] { loop.stop(); });
  };
  next();
  const auto before = used();
  loop.run();
  EXPECT_LT(used() - before, std::chrono::milliseconds(60));
}

// Takes its bytes where it says, and what comes behind them as text.
struct Placing : Stream::Handler {
  std::span<char> room() override { return got.size() == begun ? std::span<char>() : std::span(got).subspan(begun); }
  void on_filled(std::size_t count) override { begun += count; }
  void on_bytes(std::string_view bytes) override {
    behind += bytes;
    if (begun == got.size() && behind.size() == 5) loop->stop();
  }
  void on_closed() override { loop->stop(); }
  Loop* loop = nullptr;
  std::string got = std::string(300'000, ' ');
  std::size_t begun = 0;
  std::string behind;
};

TEST(Stream, LargePartsGoFromPlaceToPlace) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Placing placing;
  placing.loop = &loop;
  Collector silent;
  silent.loop = &loop;
  Stream from(loop, fds[0], fds[0], silent);
  Stream to(loop, fds[1], fds[1], placing);
  const std::string first(200'000, 'a');
  const std::string second(99'997, 'b');
  // More than a socket takes at once, behind what was written the other way.
  from.output() += "xyz";
  const std::string_view parts[] = {first, second};
  from.send(parts);
  const std::string_view last[] = {"tail!"};
  from.send(last);
  loop.run();
  EXPECT_EQ(placing.got, "xyz" + first + second);
  EXPECT_EQ(placing.behind, "tail!");
  EXPECT_EQ(from.unsent(), 0U);
}

TEST(Loop, ForeignCodeThatIsQuickStaysOnItsThread) {
  Loop loop;
  int left = 10'000;
  int relieved = 0;
  std::function<void()> next = [&] {
    run_foreign(loop, [] {}, [&](bool ours) {
      if (!ours) return loop.post([&] {
        ++relieved;
        next();
      });
      if (--left > 0) return next();
      loop.stop();
    });
  };
  loop.post(next);
  loop.run();
  EXPECT_EQ(left, 0);
  // A thread may lose its core for a while.
  EXPECT_LT(relieved, 100);
}

TEST(Loop, ForeignCodeThatBlocksIsLeftBehind) {
  Loop loop;
  std::atomic<bool> blocked{true};
  bool ours = true;
  int ticks = 0;
  std::function<void()> tick = [&] {
    if (++ticks == 20) blocked = false;
    loop.after(std::chrono::milliseconds(1), tick);
  };
  loop.post([&] {
    run_foreign(
        loop,
        [&] {
          while (blocked) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        },
        [&](bool still) {
          ours = still;
          loop.post([&] { loop.stop(); });
        });
    tick();
  });
  loop.run();
  EXPECT_FALSE(ours);
  EXPECT_GE(ticks, 20);
}

TEST(Loop, EndsWhileForeignCodeNeverReturns) {
  // Outlives the test, as does the thread that waits for it.
  static std::atomic<bool> released{false};
  static std::atomic<int> stuck{0};
  {
    Loop loop;
    std::function<void()> next = [&] {
      run_foreign(
          loop,
          [] {
            ++stuck;
            while (!released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            --stuck;
          },
          [](bool) {});
    };
    loop.post([&] {
      // More than there are threads for: the others wait for one.
      for (int i = 0; i < 6; ++i) next();
    });
    loop.after(std::chrono::milliseconds(200), [&] { loop.stop(); });
    loop.run();
    EXPECT_GE(stuck, 1);
  }
  released = true;
  while (stuck > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(Stream, MoreThanTheSocketHoldsArrivesWhole) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Loop loop;
  Collector a;
  Collector b;
  a.loop = b.loop = &loop;
  b.wanted = 8U << 20U;
  Stream left(loop, ends[0], ends[0], a);
  Stream right(loop, ends[1], ends[1], b);
  left.output().assign(b.wanted, 'x');
  left.flush_soon();
  loop.run();
  EXPECT_EQ(b.got.size(), b.wanted);
}

TEST(Stream, TheEndOfThePeerIsReportedOnce) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Loop loop;
  Collector a;
  a.loop = &loop;
  Stream left(loop, ends[0], ends[0], a);
  ::close(ends[1]);
  loop.run();
  EXPECT_TRUE(a.closed);
}

TEST(Listener, ASecondEngineAtTheSamePathIsRefusedAndAStaleFileReplaced) {
  const std::string path = std::filesystem::temp_directory_path() / ("sabir-" + new_id() + ".sock");
  Loop loop;
  {
    int accepted = 0;
    auto first = Listener::open(loop, path, [&](int fd) {
      ++accepted;
      ::close(fd);
      if (accepted == 2) loop.stop();
    });
    ASSERT_TRUE(first.has_value()) << first.error().message;
    auto second = Listener::open(loop, path, [](int) {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, ErrorCode::kExists);
    const int fd = connect_unix(path).value();
    loop.run();
    ::close(fd);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace sabir::net
