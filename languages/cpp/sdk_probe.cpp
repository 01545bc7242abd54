// Does through the SDK what tests/languages/sdk_behaviour.json asks.
#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "sabir/sabir.hpp"

struct ProbeError {
  std::string type;
  std::string message;
  std::string hint;
};

struct ProbeItem {
  std::string key;
  nlohmann::json value;
};

struct ProbeAnswer {
  std::string content;
  bool conversation_is_set;
};

struct ProbeContext {
  std::string user;
  std::string tenant;
  std::string conversation;
  std::string run;
};

/// The SDK's call.
nlohmann::json probe_call(const std::string& address, const std::map<std::string, nlohmann::json>& arguments) {
  return sabir::call(address, arguments);
}

/// The error that comes.
ProbeError probe_call_error(const std::string& address, const std::map<std::string, nlohmann::json>& arguments) {
  try {
    sabir::call(address, arguments);
  } catch (const sabir::Error& error) {
    return {error.type, error.message, error.hint};
  }
  throw std::logic_error("there was no error");
}

/// The addresses of all functions.
std::vector<std::string> probe_functions() {
  std::vector<std::string> addresses;
  for (const auto& one : sabir::functions()) addresses.push_back(one["address"].get<std::string>());
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

/// Memory put.
std::int64_t probe_put(const std::string& key, const nlohmann::json& value, const std::string& namespace_ = "") {
  sabir::memory::PutOptions options;
  if (!namespace_.empty()) options.name_space = namespace_;
  return sabir::memory::put(key, value, options);
}

/// Conditional put.
std::map<std::string, nlohmann::json> probe_put_if(const std::string& key, const nlohmann::json& value, std::int64_t version) {
  sabir::memory::PutOptions options;
  options.if_version = version;
  try {
    return {{"version", sabir::memory::put(key, value, options)}};
  } catch (const sabir::Error& error) {
    return {{"type", error.type}};
  }
}

/// Memory get.
nlohmann::json probe_get(const std::string& key, const std::string& namespace_ = "") {
  return sabir::memory::get(key, namespace_.empty() ? "default" : namespace_).value_or(nullptr);
}

/// Memory list.
std::vector<ProbeItem> probe_list(const std::string& prefix) {
  std::vector<ProbeItem> out;
  for (auto& item : sabir::memory::list(prefix)) out.push_back({item.key, item.value});
  return out;
}

/// Memory delete.
bool probe_delete(const std::string& key) { return sabir::memory::remove(key); }

/// Adds a message.
std::int64_t probe_append(const std::string& conversation, const std::string& role, const std::string& content) {
  return sabir::memory::append(conversation, {{"role", role}, {"content", content}});
}

/// The last messages.
std::vector<nlohmann::json> probe_messages(const std::string& conversation, int limit = 0) {
  return limit == 0 ? sabir::memory::messages(conversation) : sabir::memory::messages(conversation, limit);
}

/// A completion's text.
std::string probe_render(const std::string& name, const std::map<std::string, nlohmann::json>& variables) {
  return sabir::render(name, variables);
}

/// A model's reply.
std::string probe_complete(const std::string& prompt) { return sabir::complete(prompt).content; }

/// Asks an assistant.
ProbeAnswer probe_ask(const std::string& assistant, const std::string& message) {
  const auto answer = sabir::ask(assistant, message);
  return {answer["content"].get<std::string>(), !answer["conversation"].get<std::string>().empty()};
}

/// A secret's value.
///
/// Secrets: probe_secret
std::string probe_secret(const std::string& name) { return sabir::secret(name); }

/// The type of the error.
std::string probe_secret_error(const std::string& name) {
  try {
    sabir::secret(name);
  } catch (const sabir::Error& error) {
    return error.type;
  }
  return "";
}

/// Reports each step.
int probe_progress(int steps) {
  for (int step = 1; step <= steps; ++step) sabir::progress(step, steps);
  return steps;
}

/// One log record.
std::string probe_log(const std::string& message) {
  sabir::log(message);
  return message;
}

/// The caller's context.
ProbeContext probe_context(const sabir::Context& context) {
  return {context.user, context.tenant, context.conversation, context.run};
}
