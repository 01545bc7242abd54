// Endpoint: one model behind an HTTP server, as configured, whatever API the server speaks.
//
// Threads: plain value.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::models {

struct Endpoint {
  std::string alias;
  std::string model;
  std::string base_url;  // without a slash at its end
  std::string key;       // a secret's name; "" = no key is sent
  std::vector<std::pair<std::string, std::string>> headers;
  json::object parameters;
  bool stream = true;
  bool native_schema = true;  // the server holds answers to a schema itself; else the model is told of it
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds first_token_timeout{0};  // of a streamed answer; 0 = only the whole is bounded
  std::chrono::milliseconds idle_timeout{0};         // between two pieces of it; 0 = likewise
};

}  // namespace sabir::models
