// OpenAiOptions: one model behind an OpenAI-compatible server, as configured.
//
// Threads: plain value.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::models {

enum class OpenAiApi { kChat, kResponses };

struct OpenAiOptions {
  std::string alias;
  std::string model;
  OpenAiApi api = OpenAiApi::kResponses;
  std::string base_url = "https://api.openai.com/v1";  // without a slash at its end
  std::string key;                                     // a secret's name; "" = no key is sent
  std::string organization;
  std::string project;
  std::vector<std::pair<std::string, std::string>> headers;
  json::object parameters;
  bool stream = true;
  int retries = 3;
  std::chrono::milliseconds timeout{0};                 // 0 = the request's own
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds first_pause{500};           // before the first retry; doubles each time
};

// OpenAI's own service, whose newer parameter names not every compatible server knows.
bool is_openai_host(const std::string& base_url);

}  // namespace sabir::models
