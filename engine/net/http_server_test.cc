#include "sabir/net/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "sabir/base/json.h"

namespace sabir::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

// A loop with a server on a thread of its own, and raw sockets to it.
struct HttpServerTest : testing::Test {
  void serve(HttpServerOptions options = {}) {
    Router router;
    router.add("GET", "/hello", [](const std::shared_ptr<Exchange>& exchange) { exchange->respond({200, {{"Content-Type", "text/plain"}}, "hello"}); });
    router.add("POST", "/echo", [](const std::shared_ptr<Exchange>& exchange) { exchange->respond({200, {}, exchange->request().body}); });
    router.add("GET", "/later", [this](std::shared_ptr<Exchange> exchange) {
      threads.emplace_back([exchange = std::move(exchange)] {
        std::this_thread::sleep_for(100ms);
        exchange->respond({200, {}, "later"});
      });
    });
    router.add("GET", "/held", [this](std::shared_ptr<Exchange> exchange) {
      exchange->when_gone([this] { ++left; });
      held.push_back(std::move(exchange));
      ++begun;
    });
    router.add("GET", "/dropped", [](const std::shared_ptr<Exchange>&) {});
    router.add("GET", "/thrown", [](const std::shared_ptr<Exchange>&) { throw std::runtime_error("own"); });
    router.add("GET", "/split", [](const std::shared_ptr<Exchange>& exchange) {
      exchange->respond({200, {{"X-Bad", "a\r\nX-Injected: 1"}, {"Content-Length", "3"}, {"X-Good", "1"}}, "abcdef"});
    });
    router.add("GET", "/events", [this](std::shared_ptr<Exchange> exchange) {
      exchange->begin_events();
      exchange->event("one", "chunk", "1");
      exchange->event("two\nlines");
      if (exchange->request().parameter("stay")) held.push_back(std::move(exchange));
      else exchange->end();
    });
    router.add("GET", "/flood", [this](std::shared_ptr<Exchange> exchange) {
      threads.emplace_back([this, exchange = std::move(exchange)] {
        exchange->begin({200, {}, ""});
        const std::string piece(10'000, 'x');
        for (int i = 0; i < 3000; ++i) {
          auto sent = exchange->send(piece);
          while (sent == Exchange::Sent::kFull) {
            ++full;
            largest = std::max(largest.load(), exchange->unsent());
            auto drained = std::make_shared<std::promise<void>>();
            exchange->when_drained([drained] { drained->set_value(); });
            drained->get_future().wait();
            sent = exchange->send(piece);
          }
          if (sent == Exchange::Sent::kGone) {
            ++left;
            return;
          }
        }
        exchange->end();
      });
    });
    if (!options.finished) {
      options.finished = [this](const HttpFinished& one) { log.push_back(std::to_string(one.status) + (one.gone ? " gone" : "")); };
    }
    auto opened = HttpServer::open(loop, std::move(options), std::move(router));
    ASSERT_TRUE(opened) << to_text(opened.error());
    server = std::move(*opened);
    running = std::thread([this] { loop.run(); });
  }

  void TearDown() override {
    for (const int fd : sockets) ::close(fd);
    if (!running.joinable()) return;
    for (auto& thread : threads) thread.join();
    std::promise<void> gone;
    loop.post([this, &gone] {
      held.clear();
      server.reset();
      gone.set_value();
    });
    gone.get_future().wait();
    loop.stop();
    running.join();
  }

  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(server->port()));
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
    sockets.push_back(fd);
    return fd;
  }
  static void send(int fd, std::string_view text) {
    while (!text.empty()) {
      const auto n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Until `enough` says so, the server closes, or time is up.
  static std::string receive(int fd, const std::function<bool(const std::string&)>& enough = {}, std::chrono::milliseconds most = 3s) {
    std::string out;
    char buffer[65536];
    const auto until = std::chrono::steady_clock::now() + most;
    while (!(enough && enough(out)) && std::chrono::steady_clock::now() < until) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 50) <= 0) continue;
      const auto n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) {
        out += "<closed>";
        break;
      }
      out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
  }
  static std::function<bool(const std::string&)> until(std::string text, int times = 1) {
    return [text = std::move(text), times](const std::string& got) {
      int count = 0;
      for (std::size_t at = got.find(text); at != std::string::npos; at = got.find(text, at + 1)) ++count;
      return count >= times;
    };
  }
  std::string ask(const std::string& text) {
    const int fd = connect();
    send(fd, text);
    return receive(fd);
  }
  static std::string get(const std::string& path, const std::string& more = {}) { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n"; }
  static std::string get_and_close(const std::string& path, const std::string& more = {}) { return get(path, "Connection: close\r\n" + more); }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 300 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  }

  Loop loop;
  std::unique_ptr<HttpServer> server;
  std::thread running;
  std::vector<std::thread> threads;
  std::vector<int> sockets;
  std::vector<std::shared_ptr<Exchange>> held;
  std::vector<std::string> log;
  std::atomic<int> begun{0};
  std::atomic<int> left{0};
  std::atomic<int> full{0};
  std::atomic<std::size_t> largest{0};
};

TEST_F(HttpServerTest, AnswersWholeAndKeepsTheConnection) {
  serve();
  const int fd = connect();
  send(fd, get("/hello"));
  const auto first = receive(fd, until("hello"));
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\nDate: "));
  EXPECT_THAT(first, HasSubstr("\r\nContent-Length: 5\r\n"));
  send(fd, "POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  EXPECT_THAT(receive(fd), HasSubstr("Connection: close\r\n\r\nabc<closed>"));
}

TEST_F(HttpServerTest, HandlersMayAnswerLaterFromAnotherThread) {
  serve();
  EXPECT_THAT(ask(get_and_close("/later")), HasSubstr("\r\n\r\nlater<closed>"));
  EXPECT_THAT(ask(get_and_close("/dropped")), StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(ask(get_and_close("/thrown")), StartsWith("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, HeadHasNoBodyAndWrongPathsAreTold) {
  serve();
  const auto head = ask("HEAD /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n<closed>"));
  EXPECT_THAT(ask(get_and_close("/nowhere")), StartsWith("HTTP/1.1 404 "));
  const auto other = ask(get_and_close("/echo"));
  EXPECT_THAT(other, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(other, HasSubstr("\r\nAllow: POST\r\n"));
  EXPECT_THAT(other, HasSubstr("\"status\":405"));
}

TEST_F(HttpServerTest, HeadersOfAHandlerCannotBecomeOthers) {
  serve();
  const auto got = ask(get_and_close("/split"));
  EXPECT_THAT(got, testing::Not(HasSubstr("Injected")));
  EXPECT_THAT(got, HasSubstr("X-Good: 1"));
  EXPECT_THAT(got, HasSubstr("Content-Length: 6\r\n"));
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  serve();
  const int fd = connect();
  std::string text;
  for (int i = 0; i < 50; ++i) text += get(i % 10 == 5 ? "/later" : "/hello");
  // More than is read ahead: the rest waits in the socket.
  for (int i = 0; i < 1000; ++i) text += get("/hello", "X-Padding: " + std::string(100, 'a') + "\r\n");
  std::thread writer([&] { send(fd, text); });
  const auto got = receive(fd, until("HTTP/1.1 200", 1050), 10s);
  writer.join();
  EXPECT_TRUE(until("HTTP/1.1 200", 1050)(got));
  std::vector<std::string> order;
  for (std::size_t at = 0; order.size() < 20 && (at = got.find("\r\n\r\n", at)) != std::string::npos; at += 4) order.push_back(got.substr(at + 4, 5));
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i % 10 == 5 ? "later" : "hello") << i;
}

TEST_F(HttpServerTest, StreamsEventsWithCommentsBetween) {
  HttpServerOptions options;
  options.keep_alive = 100ms;
  serve(std::move(options));
  const auto got = ask(get_and_close("/events"));
  EXPECT_THAT(got, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(got, HasSubstr("event: chunk\nid: 1\ndata: one\n\n"));
  EXPECT_THAT(got, HasSubstr("data: two\ndata: lines\n\n"));
  EXPECT_THAT(got, testing::EndsWith("0\r\n\r\n<closed>"));
  const int fd = connect();
  send(fd, get("/events?stay=1"));
  EXPECT_TRUE(until(": still there\n\n", 3)(receive(fd, until(": still there\n\n", 3))));
  // Of HTTP/1.0 the stream ends with the connection, and has no chunks.
  EXPECT_THAT(ask("GET /events HTTP/1.0\r\n\r\n"), HasSubstr("\r\n\r\nevent: chunk\nid: 1\ndata: one\n\ndata: two\ndata: lines\n\n<closed>"));
}

TEST_F(HttpServerTest, ASlowReaderHoldsItsProducerBack) {
  HttpServerOptions options;
  options.limits.unsent_bytes = 100'000;
  serve(std::move(options));
  const int fd = connect();
  send(fd, get_and_close("/flood"));
  EXPECT_TRUE(soon([&] { return full > 0; }));
  std::this_thread::sleep_for(200ms);
  const auto got = receive(fd, {}, 20s);
  EXPECT_GT(got.size(), 30'000'000U);
  EXPECT_THAT(got.substr(got.size() - 20), HasSubstr("\r\n0\r\n\r\n<closed>"));
  EXPECT_LT(largest.load(), 120'000U);
}

TEST_F(HttpServerTest, AReaderThatTakesNothingIsLeft) {
  HttpServerOptions options;
  options.limits.write_time = 300ms;
  serve(std::move(options));
  send(connect(), get_and_close("/flood"));
  EXPECT_TRUE(soon([&] { return left == 1; }));
  EXPECT_TRUE(soon([&] { return server->counts().connections == 0; }));
}

TEST_F(HttpServerTest, AClientThatLeavesIsNoticed) {
  serve();
  for (const bool reset : {false, true}) {
    const int fd = connect();
    send(fd, get("/held"));
    ASSERT_TRUE(soon([&] { return begun == (reset ? 2 : 1); }));
    if (reset) {
      const linger now{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(fd);
    sockets.clear();
    EXPECT_TRUE(soon([&] { return left == (reset ? 2 : 1); }));
  }
}

TEST_F(HttpServerTest, AHalfClosedClientGetsItsAnswer) {
  serve();
  const int fd = connect();
  send(fd, get("/later"));
  ::shutdown(fd, SHUT_WR);
  EXPECT_THAT(receive(fd), HasSubstr("\r\n\r\nlater<closed>"));
}

TEST_F(HttpServerTest, OtherHostsAndOriginsAreRefused) {
  HttpServerOptions options;
  options.origins = {"https://app.example"};
  serve(std::move(options));
  const auto with = [&](const std::string& headers) { return ask("GET /hello HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n").substr(9, 3); };
  EXPECT_EQ(with("Host: localhost:99\r\n"), "200");
  EXPECT_EQ(with("Host: [::1]\r\n"), "200");
  EXPECT_EQ(with("Host: evil.example\r\n"), "421");
  EXPECT_EQ(with("Host: localhost.evil.example\r\n"), "421");
  EXPECT_EQ(with("Host: 127.0.0.1.evil.example:80\r\n"), "421");
  EXPECT_EQ(with("Host:\r\n"), "200");
  EXPECT_EQ(with("Host: localhost\r\nOrigin: http://localhost\r\n"), "200");
  EXPECT_EQ(with("Host: localhost\r\nOrigin: http://localhost:3000\r\n"), "403");
  EXPECT_EQ(with("Host: localhost\r\nOrigin: https://app.example\r\n"), "200");
  EXPECT_EQ(with("Host: localhost\r\nOrigin: null\r\n"), "403");
  EXPECT_EQ(ask("GET http://evil.example/hello HTTP/1.1\r\nConnection: close\r\nHost: evil.example\r\n\r\n").substr(9, 3), "421");
}

TEST_F(HttpServerTest, SlowRequestsEndInTime) {
  HttpServerOptions options;
  options.limits.head_time = 300ms;
  options.limits.body_time = 300ms;
  options.limits.idle_time = 300ms;
  serve(std::move(options));
  const int head = connect();
  const int body = connect();
  const int idle = connect();
  send(head, "GET /hello HTTP/1.1\r\nHo");
  send(body, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab");
  EXPECT_THAT(receive(head), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(receive(body), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(receive(idle), "<closed>");
}

TEST_F(HttpServerTest, SizesAreBounded) {
  HttpServerOptions options;
  options.limits.head_bytes = 1000;
  options.limits.body_bytes = 1000;
  options.limits.all_bodies = 1500;
  serve(std::move(options));
  EXPECT_THAT(ask(get("/hello", "X: " + std::string(2000, 'a') + "\r\n")), StartsWith("HTTP/1.1 431 "));
  // The answer reaches a client that is still sending.
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + std::string(5'000'000, 'a')), StartsWith("HTTP/1.1 413 "));
  const std::string large = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
  send(connect(), large + std::string(900, 'a'));
  std::this_thread::sleep_for(100ms);
  EXPECT_THAT(ask(large + std::string(900, 'a')), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, AClientThatAsksMayGoOn) {
  serve();
  const int fd = connect();
  send(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(receive(fd, until("\r\n\r\n")), "HTTP/1.1 100 Continue\r\n\r\n");
  send(fd, "abc");
  EXPECT_THAT(receive(fd), HasSubstr("\r\n\r\nabc<closed>"));
}

TEST_F(HttpServerTest, ConnectionsAreBoundedAndIdleOnesMakeRoom) {
  HttpServerOptions options;
  options.limits.connections = 2;
  serve(std::move(options));
  const int idle = connect();
  send(connect(), get("/held"));
  ASSERT_TRUE(soon([&] { return begun == 1; }));
  const int third = connect();
  send(third, get("/held"));
  EXPECT_EQ(receive(idle), "<closed>");
  ASSERT_TRUE(soon([&] { return begun == 2; }));
  EXPECT_THAT(ask(""), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, DrainingAnswersWhatRunsAndEnds) {
  serve();
  const int running_one = connect();
  const int kept = connect();
  send(kept, get("/hello"));
  receive(kept, until("hello"));
  send(running_one, get("/later"));
  ASSERT_TRUE(soon([&] { return server->counts().running == 1; }));
  std::promise<void> drained;
  const auto begin = std::chrono::steady_clock::now();
  server->drain(5s, 500ms, [&] { drained.set_value(); });
  std::this_thread::sleep_for(50ms);
  // Who asks on a kept connection meanwhile is answered, and told to go.
  send(kept, get("/hello"));
  EXPECT_THAT(receive(kept), HasSubstr("Connection: close\r\n\r\nhello<closed>"));
  EXPECT_THAT(receive(running_one), HasSubstr("Connection: close\r\n\r\nlater<closed>"));
  EXPECT_EQ(drained.get_future().wait_for(3s), std::future_status::ready);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(HttpServerTest, DrainingHasAnEnd) {
  serve();
  send(connect(), get("/held"));
  ASSERT_TRUE(soon([&] { return begun == 1; }));
  std::promise<void> drained;
  server->drain(200ms, 200ms, [&] { drained.set_value(); });
  EXPECT_EQ(drained.get_future().wait_for(2s), std::future_status::ready);
  EXPECT_EQ(left, 1);
}

TEST_F(HttpServerTest, ListensAtAUnixSocketOrAnInheritedOne) {
  const auto path = (std::filesystem::temp_directory_path() / ("sabir-http-" + std::to_string(::getpid()))).string();
  HttpServerOptions options;
  options.listen.unix_path = path;
  serve(std::move(options));
  EXPECT_EQ(server->address(), "unix:" + path);
  auto fd = connect_unix(path);
  ASSERT_TRUE(fd);
  sockets.push_back(*fd);
  send(*fd, "GET /hello HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(receive(*fd), HasSubstr("\r\n\r\nhello<closed>"));
  HttpServerOptions second;
  second.listen.unix_path = path;
  const auto refused = HttpServer::open(loop, second, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kExists);
  HttpServerOptions inherited;
  inherited.listen.descriptor = ::dup(server->descriptor());
  const auto third = HttpServer::open(loop, inherited, {});
  ASSERT_TRUE(third);
  EXPECT_EQ((*third)->address(), "unix:" + path);
}

TEST_F(HttpServerTest, APortInUseIsTold) {
  serve();
  HttpServerOptions options;
  options.listen.port = server->port();
  const auto refused = HttpServer::open(loop, options, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kExists);
}

TEST_F(HttpServerTest, TheAccessLogSeesEveryEnd) {
  serve();
  ask(get_and_close("/hello"));
  ask("NONSENSE\r\n\r\n");
  ask("GET /hello HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
  std::promise<void> seen;
  loop.post([&] {
    EXPECT_THAT(log, testing::ElementsAre("200", "400", "421"));
    seen.set_value();
  });
  seen.get_future().wait();
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST_F(HttpServerTest, ManyConnectionsAndStreamsTakeLittleMemory) {
  constexpr int kIdle = 4000;
  constexpr int kStreams = 500;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2 * (kIdle + kStreams) + 100) GTEST_SKIP() << "this user may open " << files.rlim_cur << " files alone";
  serve();
  const auto before = resident_bytes();
  for (int i = 0; i < kIdle; ++i) {
    const int fd = connect();
    if (i % 2 == 0) send(fd, get("/hello"));
  }
  for (int i = 0; i < kStreams; ++i) send(connect(), get("/events?stay=1"));
  ASSERT_TRUE(soon([&] { return server->counts().connections == kIdle + kStreams && server->counts().running == kStreams; }));
  const auto taken = resident_bytes() - before;
  RecordProperty("bytes", std::to_string(taken));
  EXPECT_LT(taken / (kIdle + kStreams), 10'000U);
  EXPECT_THAT(ask(get_and_close("/hello")), HasSubstr("hello"));
}

}  // namespace
}  // namespace sabir::net
