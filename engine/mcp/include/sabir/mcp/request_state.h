// RequestState: what a server has a client carry from one round of a request to the next (`requestState`), sealed with
// HMAC-SHA256. The client may read it and cannot change it, nor use it for another request, another caller or later.
//
// Threads: a Seal is immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::mcp {

struct RequestState {
  std::string principal;        // who asked; "" = nobody in particular
  std::string request;          // digest of the method and what it names
  std::string nonce;            // its own, and its call's idempotency key
  std::int64_t expires_ms = 0;  // Unix
  json::object answers;         // of earlier rounds, by key
};

class Seal {
 public:
  // `key` are secret bytes; "" makes some that nobody else has.
  explicit Seal(std::string key = {});

  std::string close(const RequestState& state) const;
  // Errors: kInvalidArguments for what is not of this seal.
  Result<RequestState> open(std::string_view token) const;

 private:
  std::string mac(std::string_view text) const;
  std::string inner_;  // the key, padded and masked
  std::string outer_;
};

// Of a request: the same for what a client repeats, whatever the order of its arguments' members. `arguments` is valid JSON.
std::string digest_of(std::string_view method, std::string_view name, std::string_view arguments);

}  // namespace sabir::mcp
