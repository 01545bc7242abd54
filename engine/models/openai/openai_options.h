// OpenAiOptions: one model behind an OpenAI-compatible server, as configured.
//
// Threads: plain value.
#pragma once

#include <string>

#include "http/endpoint.h"

namespace sabir::models {

enum class OpenAiApi { kChat, kResponses };

struct OpenAiOptions : Endpoint {
  OpenAiOptions() { base_url = "https://api.openai.com/v1"; }
  OpenAiApi api = OpenAiApi::kResponses;
  std::string organization;
  std::string project;
};

// OpenAI's own service, whose newer parameter names not every compatible server knows.
bool is_openai_host(const std::string& base_url);

}  // namespace sabir::models
