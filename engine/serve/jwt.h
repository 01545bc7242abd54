// Jwt: who asks, by a token that an issuer signed, with keys that it publishes (RFC 7519, 7517).
//
// Threads: any. verify() never waits: the keys are fetched by refresh(), which blocks.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/net/http_client.h"
#include "sabir/project/serving.h"

namespace sabir::serve {

struct JwtRefusal {
  std::string why;
  bool unknown_key = false;  // none of the keys that are known signed it
};

class Jwt {
 public:
  Jwt(project::JwtRules rules, std::filesystem::path root);

  // The claims.
  std::expected<json::object, JwtRefusal> verify(std::string_view token);
  // Reads the keys anew; with `at_most_often`, only where they are older than that. Errors: kConfig, those of HttpClient and read_file.
  Result<void> refresh(std::chrono::milliseconds at_most_often = {});
  bool is_stale() const;    // older than is good; they still count
  const project::JwtRules& rules() const { return rules_; }

 private:
  const project::JwtRules rules_;
  const std::filesystem::path root_;
  net::HttpClient client_;
  std::mutex refreshing_;
  mutable std::mutex mutex_;  // of the rest
  std::string keys_;          // the JWK set's text
  std::chrono::steady_clock::time_point read_{};
};

}  // namespace sabir::serve
