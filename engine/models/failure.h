// Failure: what an error of one try means for what is done next. A leaf writes it into the error's data, policy reads it
// there, and so does whoever gets the error in the end.
//
// Threads: plain value.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::models {

enum class Reason {
  kOther,            // no other try and no other model would help: a bad request, a wrong key
  kUnreachable,      // no connection, or one that broke off
  kTls,              // no trust in the server's certificate
  kUnavailable,      // something is missing on this machine
  kTimeout,          // no answer, or not the whole of it, in time
  kRateLimited,
  kQuota,            // used up: waiting does not help
  kServerFault,      // 5xx, 408, 409, an overloaded server
  kContextOverflow,  // the request is longer than the model's context
  kCircuitOpen,
  kBusy,             // a limit of this engine
};

std::string_view reason_name(Reason reason);  // "rate_limited"

struct Failure {
  Reason reason = Reason::kOther;
  int status = 0;                                    // of HTTP; 0 = none
  std::optional<std::chrono::milliseconds> pause;    // asked for by the server

  // From the data's `reason` and `retry_after_ms`, else from the error's code and wording.
  static Failure of(const Error& error);
};

// Puts `reason`, `status` and `retry_after_ms` into the error's data, beside what is there.
void add_failure(Error& error, const Failure& failure);
// Puts one member into the error's data.
void add_data(Error& error, std::string_view key, json::value value);
// What had been received when the error came: up to 64 KiB of it, with the whole's length beside it when it was more.
void add_partial(Error& error, std::string_view text, std::string_view reasoning = {});

// Whether these words, or this code of the provider's, say that the request is longer than the model's context.
bool tells_of_overflow(std::string_view message, std::string_view code);

}  // namespace sabir::models
