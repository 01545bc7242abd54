// What `sabir serve` is measured against, by Boost.Beast and libcurl and nothing else, and the client that measures:
//
//   hello                        answers every request with the same few bytes, on one thread
//   upstream [MS]                answers as a model's server does, MS milliseconds later
//   relay PORT                   passes requests on to an upstream, a thread for each connection
//   ask PORT PATH RATE SECONDS   sends standard input as a POST at RATE a second; a line of JSON with latencies in ms
//
// The first three print the port that they listen at.
#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kCompletion =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1750000000,"model":"fake-1","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"The mean of 3, 5 and 10 is 6. Add the three numbers, which gives 18, and divide by three."},)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":25,"total_tokens":45}})";

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const char* body, std::chrono::milliseconds pause)
      : stream_(std::move(socket)), timer_(stream_.get_executor()), body_(body), pause_(pause) {
    stream_.socket().set_option(tcp::no_delay(true));
  }
  void read() {
    request_ = {};
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](beast::error_code ec, std::size_t) {
      if (ec) return;
      if (self->pause_.count() == 0) return self->write();
      self->timer_.expires_after(self->pause_);
      self->timer_.async_wait([self](beast::error_code) { self->write(); });
    });
  }

 private:
  void write() {
    response_ = {http::status::ok, request_.version()};
    response_.set(http::field::content_type, "application/json");
    response_.body() = body_;
    response_.keep_alive(request_.keep_alive());
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code ec, std::size_t) {
      if (!ec && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  asio::steady_timer timer_;
  const char* body_;
  const std::chrono::milliseconds pause_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void accept(tcp::acceptor& acceptor, const char* body, std::chrono::milliseconds pause) {
  acceptor.async_accept([&acceptor, body, pause](beast::error_code ec, tcp::socket socket) {
    if (!ec) std::make_shared<Session>(std::move(socket), body, pause)->read();
    accept(acceptor, body, pause);
  });
}

tcp::acceptor listen(asio::io_context& context) {
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  std::printf("%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  return acceptor;
}

int serve(const char* body, std::chrono::milliseconds pause) {
  asio::io_context context{1};
  auto acceptor = listen(context);
  accept(acceptor, body, pause);
  context.run();
  return 0;
}

std::size_t collect(char* data, std::size_t size, std::size_t count, void* into) {
  static_cast<std::string*>(into)->append(data, size * count);
  return size * count;
}

void relay(tcp::socket socket, const std::string& upstream) {
  socket.set_option(tcp::no_delay(true));
  CURL* easy = ::curl_easy_init();
  curl_slist* headers = ::curl_slist_append(::curl_slist_append(nullptr, "Content-Type: application/json"), "Expect:");
  beast::flat_buffer buffer;
  beast::error_code ec;
  while (!ec) {
    http::request<http::string_body> request;
    http::read(socket, buffer, request, ec);
    if (ec) break;
    std::string body;
    const std::string url = upstream + std::string(request.target());
    ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body().data());
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body().size()));
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &collect);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    const bool taken = ::curl_easy_perform(easy) == CURLE_OK;
    http::response<http::string_body> response{taken ? http::status::ok : http::status::bad_gateway, request.version()};
    response.set(http::field::content_type, "application/json");
    response.body() = std::move(body);
    response.keep_alive(request.keep_alive());
    response.prepare_payload();
    http::write(socket, response, ec);
  }
  ::curl_slist_free_all(headers);
  ::curl_easy_cleanup(easy);
}

int relay_all(const std::string& upstream) {
  ::curl_global_init(CURL_GLOBAL_DEFAULT);
  asio::io_context context{1};
  auto acceptor = listen(context);
  while (true) std::thread([socket = acceptor.accept(), &upstream]() mutable { relay(std::move(socket), upstream); }).detach();
}

// Each request has its time, whatever became of the others before it; sixteen may be under way.
int ask(const std::string& port, const std::string& path, double rate, double seconds) {
  constexpr int kThreads = 16;
  const std::string body{std::istreambuf_iterator<char>(std::cin), {}};
  const int count = static_cast<int>(rate * seconds);
  const auto begin = Clock::now() + std::chrono::milliseconds(50);
  std::atomic<int> next{0};
  std::atomic<int> failed{0};
  std::mutex mutex;
  std::vector<double> took;
  const auto work = [&] {
    asio::io_context context;
    beast::tcp_stream stream(context);
    stream.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(std::stoi(port))});
    stream.socket().set_option(tcp::no_delay(true));
    beast::flat_buffer buffer;
    for (int i = next++; i < count; i = next++) {
      const auto at = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(i / rate));
      std::this_thread::sleep_until(at);
      http::request<http::string_body> request{http::verb::post, path, 11};
      request.set(http::field::host, "127.0.0.1");
      request.set(http::field::content_type, "application/json");
      request.set(http::field::authorization, "Bearer bench");
      request.body() = body;
      request.prepare_payload();
      http::response<http::string_body> response;
      // A sleeper wakes late; from there on it is the server's time.
      const auto sent = Clock::now();
      http::write(stream, request);
      http::read(stream, buffer, response);
      const double ms = std::chrono::duration<double, std::milli>(Clock::now() - sent).count();
      if (response.result() != http::status::ok) {
        if (failed++ == 0) std::cerr << response << '\n';
      }
      const std::lock_guard hold(mutex);
      took.push_back(ms);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  std::sort(took.begin(), took.end());
  const auto at = [&](double share) { return took[std::min(took.size() - 1, static_cast<std::size_t>(share * static_cast<double>(took.size())))]; };
  std::printf(R"({"requests":%zu,"failed":%d,"p50":%.4f,"p99":%.4f})" "\n", took.size(), failed.load(), at(0.5), at(0.99));
  return failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && words[0] == "hello") return serve("3", {});
  if (!words.empty() && words.size() <= 2 && words[0] == "upstream") return serve(kCompletion, std::chrono::milliseconds(words.size() == 2 ? std::stoi(words[1]) : 0));
  if (words.size() == 2 && words[0] == "relay") return relay_all("http://127.0.0.1:" + words[1]);
  if (words.size() == 5 && words[0] == "ask") return ask(words[1], words[2], std::stod(words[3]), std::stod(words[4]));
  std::fprintf(stderr, "hello | upstream [MS] | relay PORT | ask PORT PATH RATE SECONDS\n");
  return 2;
}
