#include "sabir/models/discovery.h"

#include <future>
#include <optional>

#include "sabir/base/json.h"

namespace sabir::models {
namespace {

constexpr std::size_t kMostModels = 100;

std::optional<LocalServer> ask(net::HttpClient& client, const Probe& probe, std::chrono::milliseconds timeout) {
  LocalServer server{probe.product, "http://127.0.0.1:" + std::to_string(probe.port) + "/v1", {}};
  net::HttpRequest request;
  request.url = server.base_url + "/models";
  request.connect_timeout = timeout;
  request.total_timeout = timeout;
  request.most_body_bytes = std::size_t{1} << 20U;
  const auto response = client.send(request);
  if (!response || response->status != 200) return std::nullopt;
  const auto value = parse_json(response->body);
  if (!value || !value->is_object()) return std::nullopt;
  const auto* data = value->get_object().if_contains("data");
  if (data == nullptr || !(data->is_array() || data->is_null())) return std::nullopt;
  if (data->is_array()) {
    for (const auto& model : data->get_array()) {
      if (!model.is_object() || server.models.size() == kMostModels) continue;
      if (const auto id = string_or(model.get_object(), "id"); !id.empty()) server.models.emplace_back(id);
    }
  }
  return server;
}

}  // namespace

const std::vector<Probe>& usual_ports() {
  static const std::vector<Probe> probes = {{"Ollama", 11434}, {"llama.cpp", 8080}, {"LM Studio", 1234}, {"vLLM", 8000}};
  return probes;
}

std::vector<LocalServer> find_local_servers(net::HttpClient& client, const std::vector<Probe>& probes, std::chrono::milliseconds timeout) {
  std::vector<std::future<std::optional<LocalServer>>> asked;
  for (const auto& probe : probes) {
    asked.push_back(std::async(std::launch::async, [&client, &probe, timeout] { return ask(client, probe, timeout); }));
  }
  std::vector<LocalServer> found;
  for (auto& answer : asked) {
    if (auto server = answer.get()) found.push_back(std::move(*server));
  }
  return found;
}

}  // namespace sabir::models
