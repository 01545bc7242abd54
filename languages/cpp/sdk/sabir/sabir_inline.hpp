// Definitions of sabir.hpp.
#pragma once

#include <iostream>
#include <utility>

#include "sabir/client.hpp"
#include "sabir/sabir.hpp"

namespace sabir {

SABIR_API Json call(const std::string& address, Json arguments) {
  return std::move(detail::Channel::instance().request("functions.call", {{"address", address}, {"arguments", std::move(arguments)}})["value"]);
}

SABIR_API Json functions() {
  return std::move(detail::Channel::instance().request("functions.list", Json::object(), true)["functions"]);
}

SABIR_API std::string render(const std::string& name, Json variables) {
  return detail::Channel::instance().request("completions.render", {{"name", name}, {"variables", std::move(variables)}}, true)["text"];
}

SABIR_API Reply complete(const Json& prompt, const std::string& model, const Json& parameters) {
  Json params{{"messages", prompt.is_string() ? Json::array({{{"role", "user"}, {"content", prompt}}}) : prompt}};
  if (!model.empty()) params["model"] = model;
  if (!parameters.empty()) params["parameters"] = parameters;
  const auto result = detail::Channel::instance().request("models.complete", params);
  const auto text = [&](const char* name) {
    const auto found = result.find(name);
    return found != result.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return {text("content"), text("model"), text("provider"), text("finish_reason"), result.value("usage", Json()), result.value("tool_calls", Json())};
}

SABIR_API Json ask(const std::string& assistant, const std::string& message, const std::string& conversation) {
  Json params{{"name", assistant}, {"message", message}};
  if (!conversation.empty()) params["conversation"] = conversation;
  return detail::Channel::instance().request("assistants.run", params);
}

SABIR_API std::string secret(const std::string& name) {
  return detail::Channel::instance().request("secrets.get", {{"name", name}}, true)["value"];
}

SABIR_API void progress(double done, double total, const std::string& message) {
  auto* worker = detail::Channel::instance().worker();
  if (worker == nullptr || worker->parent.is_null()) return;
  Json params{{"id", worker->parent}, {"done", done}, {"message", message}};
  if (total > 0) params["total"] = total;
  worker->notify("progress", std::move(params));
}

SABIR_API void log(const std::string& message, const std::string& level) {
  auto* worker = detail::Channel::instance().worker();
  if (worker == nullptr) {
    std::cerr << level << ": " << message << std::endl;
    return;
  }
  Json params{{"level", level}, {"message", message}};
  if (!worker->parent.is_null()) params["id"] = worker->parent;
  worker->notify("log", std::move(params));
}

namespace memory {

SABIR_API std::int64_t put(const std::string& key, Json value, const PutOptions& options) {
  Json params{{"namespace", options.name_space}, {"key", key}, {"value", std::move(value)}};
  if (options.if_version) params["if_version"] = *options.if_version;
  if (options.ttl) params["ttl_ms"] = options.ttl->count();
  return detail::Channel::instance().request("memory.put", params)["version"];
}

SABIR_API std::optional<Json> get(const std::string& key, const std::string& name_space) {
  auto result = detail::Channel::instance().request("memory.get", {{"namespace", name_space}, {"key", key}}, true);
  if (!result.value("found", false)) return std::nullopt;
  return std::move(result["value"]);
}

SABIR_API std::vector<Item> list(const std::string& prefix, const std::string& name_space) {
  constexpr std::size_t kPage = 500;
  std::vector<Item> found;
  while (true) {
    Json params{{"namespace", name_space}, {"prefix", prefix}, {"limit", kPage}};
    if (!found.empty()) params["after"] = found.back().key;
    auto page = detail::Channel::instance().request("memory.list", params, true)["items"];
    for (auto& item : page) {
      found.push_back({item["key"], std::move(item["value"]), item.value("version", std::int64_t{0}), item.value("updated_ms", std::int64_t{0})});
    }
    if (page.size() < kPage) return found;
  }
}

SABIR_API bool remove(const std::string& key, const std::string& name_space) {
  return detail::Channel::instance().request("memory.delete", {{"namespace", name_space}, {"key", key}})["deleted"];
}

SABIR_API std::int64_t append(const std::string& conversation, Json message) {
  return detail::Channel::instance().request("memory.append", {{"conversation", conversation}, {"message", std::move(message)}})["seq"];
}

SABIR_API std::vector<Json> messages(const std::string& conversation, int limit) {
  auto result = detail::Channel::instance().request("memory.messages", {{"conversation", conversation}, {"limit", limit}}, true);
  std::vector<Json> found;
  for (auto& entry : result["messages"]) found.push_back(std::move(entry["message"]));
  return found;
}

}  // namespace memory
}  // namespace sabir
