// RemoteEngine: a served engine elsewhere, asked over HTTP as spec/engine-requests.md has it.
//
// Threads: one at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/net/http_client.h"

namespace sabir::cli {

// Which one --engine, or SABIR_ENGINE, names, and the token that SABIR_TOKEN or --token-from-env gives.
struct EngineAddress {
  std::string url;    // "" = none: the project's own engine
  std::string token;
};

class RemoteEngine {
 public:
  // Errors: kUsage for what is no http or https address.
  static Result<std::unique_ptr<RemoteEngine>> open(EngineAddress address);

  // The result object's text. With `on_event` what comes before it is told: "chunk", "progress", "text", "calling", …, and the data.
  // Errors: kUnavailable (not reached), kNotGranted (401, 403), kProtocol (no engine, or of another version), kTimeout, the request's own.
  using OnEvent = std::function<void(std::string_view type, std::string_view data)>;
  Result<std::string> request(const std::string& method, std::string_view params, std::chrono::milliseconds timeout, const OnEvent& on_event,
                              std::shared_ptr<std::atomic<bool>> cancelled);

 private:
  RemoteEngine() = default;
  Error refusal_of(int status, std::string_view body) const;

  EngineAddress address_;
  net::HttpClient client_;
};

}  // namespace sabir::cli
