// RawServer: accepts connections on a free port of loopback, reads one HTTP request from each and then does with the socket
// what the test says, byte by byte. For what no well-behaved server would send.
//
// Threads: one owner; `answer` runs on a thread of the connection. Lifetime: the destructor closes every socket and waits.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sabir::tests {

class RawServer {
 public:
  // One connection, after its request has been read.
  class Peer {
   public:
    Peer(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
    // False when the other side has gone.
    bool send(std::string_view bytes) const {
      while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return true;
    }
    // Each byte in a packet of its own, as far as the kernel lets it.
    bool send_bytewise(std::string_view bytes) const {
      for (const char& c : bytes) {
        if (!send({&c, 1})) return false;
      }
      return true;
    }
    void half_close() const { ::shutdown(fd_, SHUT_WR); }
    // Until the other side goes, or the test ends.
    void stall() const {
      char c = 0;
      while (!stopping_) {
        pollfd one{fd_, POLLIN, 0};
        if (::poll(&one, 1, 20) > 0 && ::recv(fd_, &c, 1, 0) <= 0) return;
      }
    }

   private:
    int fd_;
    const std::atomic<bool>& stopping_;
  };
  // `number` counts the requests from 1.
  using Answer = std::function<void(const Peer& peer, int number, const std::string& request)>;

  explicit RawServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no socket for a server");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept(); });
  }
  ~RawServer() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  int port() const { return port_; }
  int requests() const { return requests_; }
  std::string url(const std::string& path = {}) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

 private:
  void accept() {
    std::vector<std::thread> threads;
    while (!stopping_) {
      pollfd one{listener_, POLLIN, 0};
      if (::poll(&one, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      threads.emplace_back([this, fd] {
        if (const auto request = read(fd); !request.empty()) answer_(Peer(fd, stopping_), ++requests_, request);
        ::close(fd);
      });
    }
    for (auto& thread : threads) thread.join();
  }

  std::string read(int fd) const {
    std::string text;
    std::size_t wanted = std::string::npos;
    while (!stopping_ && text.size() < wanted) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 20) <= 0) continue;
      char buffer[65536];
      const auto got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return {};
      text.append(buffer, static_cast<std::size_t>(got));
      if (text.front() == 0x16) return text;  // a TLS greeting, which a plain server does not understand
      const auto head = text.find("\r\n\r\n");
      if (head == std::string::npos || wanted != std::string::npos) continue;
      const auto length = text.find("Content-Length: ");
      wanted = head + 4 + (length < head ? static_cast<std::size_t>(std::atoll(text.c_str() + length + 16)) : 0);
    }
    return text;
  }

  Answer answer_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sabir::tests
