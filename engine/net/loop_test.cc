#include "sabir/net/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
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
