// Model servers that already run on this machine. Asked for explicitly; nothing probes by itself.
//
// Threads: any.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "sabir/net/http_client.h"

namespace sabir::models {

struct LocalServer {
  std::string product;              // "Ollama", "llama.cpp", "LM Studio", "vLLM": by its usual port
  std::string base_url;             // "http://127.0.0.1:11434/v1"
  std::vector<std::string> models;  // at most 100
};

struct Probe {
  std::string product;
  int port = 0;
};
// Ollama 11434, llama.cpp 8080, LM Studio 1234, vLLM 8000.
const std::vector<Probe>& usual_ports();

// Those of `probes` on 127.0.0.1 that answer GET /v1/models within `timeout` each; asked in parallel.
std::vector<LocalServer> find_local_servers(net::HttpClient& client, const std::vector<Probe>& probes = usual_ports(),
                                            std::chrono::milliseconds timeout = std::chrono::milliseconds(300));

}  // namespace sabir::models
