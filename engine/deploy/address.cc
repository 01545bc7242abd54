#include "address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/net/http_client.h"
#include "sabir/process/spawn.h"

namespace sabir::deploy {
namespace {

Result<int> free_port(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), "0", &hints, &found) != 0 || !found) return fail(ErrorCode::kConfig, "'" + host + "' is no address of this machine");
  const process::Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const bool ok = fd && ::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0;
  ::freeaddrinfo(found);
  if (!ok) return fail(ErrorCode::kUnavailable, "no port of " + host + " can be had");
  return static_cast<int>(ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port : reinterpret_cast<sockaddr_in&>(bound).sin_port));
}

}  // namespace

int kept_port(const std::filesystem::path& folder) {
  const auto text = read_file(folder / "port", 64);
  return text ? std::clamp(std::atoi(text->c_str()), 0, 65535) : 0;
}

Result<int> choose_port(const std::filesystem::path& folder, const std::string& host) {
  if (const int kept = kept_port(folder); kept != 0) return kept;
  auto port = free_port(host);
  if (!port) return port;
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  if (auto ok = write_file(folder / "port", std::to_string(*port) + "\n", 0600); !ok) return fail(std::move(ok.error()));
  return port;
}

int ask_ready(const std::string& url) {
  net::HttpClient client;
  net::HttpRequest request;
  request.url = url + "/readyz";
  request.connect_timeout = request.first_byte_timeout = request.idle_timeout = request.total_timeout = std::chrono::seconds(3);
  auto response = client.send(request);
  return response ? response->status : 0;
}

}  // namespace sabir::deploy
