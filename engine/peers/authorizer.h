// Authorizer: the access tokens for one server over HTTP: kept in the project's state, renewed when they end, never sent anywhere but
// to that server and its authorization server. Private to the room.
//
// Threads: any; its methods block while they ask servers. Lifetimes: shared by whoever sends requests.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/mcp/authorization.h"
#include "sabir/net/http_client.h"
#include "sabir/project/mcp_servers.h"
#include "sabir/secrets/secrets.h"

namespace sabir::peers {

class Authorizer {
 public:
  // `server` and `secrets` outlive it.
  Authorizer(const project::McpServer& server, const secrets::Secrets& secrets, std::filesystem::path state_dir);

  // The Authorization header for a request to the server; "" = none.
  Result<std::string> header(const std::shared_ptr<std::atomic<bool>>& cancelled);
  // The server has refused a request that had the header `used`: success = it is worth another try with header().
  // Errors: kUnavailable with what a person has to do.
  Result<void> refused(int status, std::string_view www_authenticate, const std::string& used, const std::shared_ptr<std::atomic<bool>>& cancelled);

  // A person logs in: `show` gets the address to open. Blocks until the redirect has come, or `most` has passed.
  Result<void> login(const std::function<void(const std::string& url)>& show, std::chrono::milliseconds most, const std::shared_ptr<std::atomic<bool>>& cancelled);
  // False when there was nothing to forget.
  bool logout();
  bool has_tokens();

 private:
  struct Kept {
    std::string issuer;
    mcp::ClientIdentity client;
    bool is_registered = false;   // dynamically, at the issuer alone
    std::string redirect_uri;     // that was registered
    std::string token_endpoint;
    std::string resource;
    mcp::Tokens tokens;
    mcp::Challenge challenge;     // that a login is to answer
  };
  struct Found {
    mcp::ServerMetadata server;
    std::optional<mcp::ResourceMetadata> resource;
  };
  void load();
  Result<void> save();
  Result<net::HttpResponse> send(net::HttpRequest request, const std::shared_ptr<std::atomic<bool>>& cancelled);
  Result<Found> discover(const mcp::Challenge& challenge, const std::shared_ptr<std::atomic<bool>>& cancelled);
  Result<void> take_tokens(mcp::Form form, const std::string& scope, const std::shared_ptr<std::atomic<bool>>& cancelled);
  Result<void> refresh(const std::shared_ptr<std::atomic<bool>>& cancelled);
  Result<void> by_credentials(const mcp::Challenge& challenge, const std::shared_ptr<std::atomic<bool>>& cancelled);
  Result<mcp::ClientIdentity> configured_client(const mcp::ServerMetadata& server);
  Result<mcp::Challenge> ask_for_challenge(const std::shared_ptr<std::atomic<bool>>& cancelled);
  Error needs_login(const std::string& why) const;

  const project::McpServer& server_;
  const secrets::Secrets& secrets_;
  const std::filesystem::path file_;
  net::HttpClient http_;
  std::mutex mutex_;
  bool loaded_ = false;
  Kept kept_;
};

}  // namespace sabir::peers
