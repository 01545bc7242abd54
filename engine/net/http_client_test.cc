#include "sabir/net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <memory>
#include <thread>

#include "sabir/net/fiber.h"
#include "stand_ins/stand_in.h"

namespace sabir::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

enum class From { kThread, kFiber };

// Sends from the test's thread, or from a fiber of a loop beside it.
class Sender {
 public:
  explicit Sender(From from) {
    if (from == From::kThread) return;
    loop_ = std::make_unique<Loop>();
    runs_ = std::thread([this] { loop_->run(); });
  }
  ~Sender() {
    if (!loop_) return;
    loop_->stop();
    runs_.join();
  }
  Result<HttpResponse> send(const HttpRequest& request, const OnBody& on_body = {}) {
    if (!loop_) return client_.send(request, on_body);
    std::promise<Result<HttpResponse>> answer;
    loop_->post([&] { EXPECT_TRUE(Fiber::start(*loop_, [&] { answer.set_value(client_.send(request, on_body)); })); });
    return answer.get_future().get();
  }

 private:
  HttpClient client_;
  std::unique_ptr<Loop> loop_;
  std::thread runs_;
};

class HttpClientTest : public ::testing::TestWithParam<From> {
 protected:
  static void SetUpTestSuite() { server_ = new tests::StandIn("openai_server.py"); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  HttpRequest get(const std::string& path) {
    HttpRequest request;
    request.url = server_->url(path);
    return request;
  }
  static tests::StandIn* server_;
  Sender client_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(From, HttpClientTest, ::testing::Values(From::kThread, From::kFiber),
                         [](const auto& one) { return one.param == From::kThread ? "Thread" : "Fiber"; });
tests::StandIn* HttpClientTest::server_ = nullptr;

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

// A port of this machine where nothing listens.
int closed_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

TEST(HostAndPort, IsNamedWithoutUserPathOrQuery) {
  EXPECT_EQ(host_and_port("https://api.openai.com/v1?key=secret"), "api.openai.com:443");
  EXPECT_EQ(host_and_port("http://user:password@box:8080/x"), "box:8080");
  EXPECT_EQ(host_and_port("http://[::1]/x"), "[::1]:80");
  EXPECT_EQ(host_and_port("http://[::1]:9/x"), "[::1]:9");
  EXPECT_EQ(host_and_port("file:///etc/passwd"), "");
  EXPECT_EQ(host_and_port("https://"), "");
  EXPECT_EQ(host_and_port(""), "");
}

TEST_P(HttpClientTest, AnAnswerComesWithStatusHeadersAndBody) {
  const auto response = client_.send(get("/ok/hello"));
  ASSERT_TRUE(response) << to_text(response.error());
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("content-type"), "application/json");
  EXPECT_EQ(response->body, R"({"path": "/ok/hello"})");
}

TEST_P(HttpClientTest, APostCarriesItsBodyAndAnErrorStatusItsText) {
  HttpRequest request = get("/ok/v1/chat/completions");
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = R"({"model": "m", "messages": []})";
  std::string streamed;
  const auto response = client_.send(request, [&](const HttpResponse&, std::string_view piece) {
    streamed += piece;
    return true;
  });
  ASSERT_TRUE(response) << to_text(response.error());
  EXPECT_EQ(response->status, 400);
  EXPECT_THAT(response->body, HasSubstr("non-empty array"));
  EXPECT_EQ(streamed, "");
}

TEST_P(HttpClientTest, ARedirectIsHandedBackAndNotFollowed) {
  const auto response = client_.send(get("/redirect/x"));
  ASSERT_TRUE(response) << to_text(response.error());
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(response->header("location"), "http://127.0.0.1:1/elsewhere");
}

TEST_P(HttpClientTest, APieceTakerMayStopEarly) {
  std::size_t taken = 0;
  const auto response = client_.send(get("/huge"), [&](const HttpResponse& head, std::string_view piece) {
    EXPECT_EQ(head.status, 200);
    taken += piece.size();
    return taken < 100'000;
  });
  ASSERT_TRUE(response) << to_text(response.error());
  EXPECT_LT(taken, 200'000U);
  EXPECT_TRUE(client_.send(get("/ok/after")));
}

// A slow taker holds the sender back, and gets it all.
TEST_P(HttpClientTest, ATakerMayPause) {
  HttpRequest request = get("/huge");
  request.most_body_bytes = std::size_t{4} << 20U;
  std::size_t taken = 0;
  std::size_t most = 0;
  auto answer = client_.send(request, [&](const HttpResponse&, std::string_view piece) {
    pause(2ms);
    taken += piece.size();
    most = std::max(most, piece.size());
    return taken < 500'000;
  });
  ASSERT_TRUE(answer) << to_text(answer.error());
  EXPECT_GE(taken, 500'000U);
  EXPECT_LE(most, 128U << 10U);
}

TEST_P(HttpClientTest, ATooLargeBodyIsRefusedAtItsBound) {
  HttpRequest request = get("/huge");
  request.most_body_bytes = 1 << 20;
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kLimit);
}

TEST_P(HttpClientTest, EndlessHeadersAreRefusedAtTheirBound) {
  const auto response = client_.send(get("/headers"));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().code, ErrorCode::kTimeout);
}

TEST_P(HttpClientTest, AServerThatNeverAnswersHitsTheFirstByteTimeout) {
  HttpRequest request = get("/hang");
  request.first_byte_timeout = 200ms;
  const auto start = std::chrono::steady_clock::now();
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(response.error().message, HasSubstr("has not begun to answer within 0.2 s"));
  EXPECT_LT(since(start), 1000ms);
}

TEST_P(HttpClientTest, TheTotalTimeoutBoundsEverything) {
  HttpRequest request = get("/hang");
  request.first_byte_timeout = 0ms;
  request.total_timeout = 150ms;
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message, HasSubstr("within 0.15 s"));
}

TEST_P(HttpClientTest, ASilentStreamHitsTheIdleTimeout) {
  HttpRequest request = get("/silent/v1/chat/completions");
  request.method = "POST";
  request.body = R"({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]})";
  request.idle_timeout = 200ms;
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(response.error().message, HasSubstr("gone silent"));
}

TEST_P(HttpClientTest, CancellationEndsAWaitWithinATenthOfASecond) {
  HttpRequest request = get("/hang");
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::chrono::steady_clock::time_point raised;
  std::thread canceller([&] {
    std::this_thread::sleep_for(100ms);
    raised = std::chrono::steady_clock::now();
    *request.cancelled = true;
  });
  const auto response = client_.send(request);
  canceller.join();
  EXPECT_LT(since(raised), 100ms);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kCancelled);
}

TEST_P(HttpClientTest, AClosedPortIsNamedWithWhatToCheck) {
  HttpRequest request;
  const int port = closed_port();
  request.url = "http://127.0.0.1:" + std::to_string(port) + "/v1?api_key=topsecret";
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(response.error().message, HasSubstr("cannot connect to 127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(response.error().hint, HasSubstr("Check that a server runs there"));
  EXPECT_EQ(to_text(response.error()).find("topsecret"), std::string::npos);
}

TEST_P(HttpClientTest, AnUnknownHostIsNamed) {
  HttpRequest request;
  request.url = "http://no-such-host.invalid/v1";
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(response.error().message, HasSubstr("no-such-host.invalid:80"));
}

TEST_P(HttpClientTest, OtherSchemesAreRefused) {
  for (const char* url : {"file:///etc/passwd", "ftp://x/y", "gopher://x", "", "http://"}) {
    HttpRequest request;
    request.url = url;
    const auto response = client_.send(request);
    ASSERT_FALSE(response) << url;
    EXPECT_EQ(response.error().code, ErrorCode::kInvalidArguments) << url;
  }
}

TEST_P(HttpClientTest, AKeyWithALineBreakIsRefusedWithoutShowingIt) {
  HttpRequest request = get("/ok");
  request.headers = {{"Authorization", "Bearer sk-secret\r\nX-Evil: 1"}};
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(to_text(response.error()).find("sk-secret"), std::string::npos);
}

TEST_P(HttpClientTest, AConnectionIsKeptForTheNextRequest) {
  const auto first = client_.send(get("/peer"));
  const auto second = client_.send(get("/peer"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body, second->body);
  const auto stranger = HttpClient().send(get("/peer"));
  ASSERT_TRUE(stranger);
  EXPECT_NE(first->body, stranger->body);
}

TEST_P(HttpClientTest, ManyThreadsShareOneClient) {
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string path = "/ok/" + std::to_string(t) + "/" + std::to_string(i);
        const auto response = client_.send(get(path));
        if (response && response->body == R"({"path": ")" + path + R"("})") ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
}

}  // namespace
}  // namespace sabir::net
