#include "sabir/project/secret_names.h"

#include "sabir/project/configuration.h"
#include "sabir/secrets/secrets.h"

namespace sabir::project {
namespace {

namespace fs = std::filesystem;
using Names = std::map<std::string, std::set<std::string>>;

void take(std::string_view name, const std::string& file, Names& out) {
  if (secrets::is_secret_name(name)) out[std::string(name)].insert(file);
}

// A model without a key of its own takes its provider's, which no file says.
void take_models(const json::object& config, const std::string& file, Names& out) {
  const auto* models = config.if_contains("models");
  if (!models || !models->is_object()) return;
  for (const auto& [name, model] : models->get_object()) {
    if (!model.is_object()) continue;
    const auto& one = model.get_object();
    const auto provider = string_or(one, "provider");
    const auto address = string_or(one, "base_url");
    const auto is_of = [&](std::string_view host) { return address.empty() || address.find(host) != std::string_view::npos; };
    if (!string_or(one, "key").empty()) continue;
    if (provider == "openai" && is_of("api.openai.com")) take("openai_api_key", file, out);
    else if (provider == "anthropic" && is_of("api.anthropic.com")) take("anthropic_api_key", file, out);
  }
}

// The value of a header of OTLP is a secret's name where it is not a text with ${secret:NAME}.
void take_headers(const json::object& config, const std::string& file, Names& out) {
  const json::object* at = &config;
  for (const char* key : {"tracing", "otlp", "headers"}) {
    const auto* below = at->if_contains(key);
    if (!below || !below->is_object()) return;
    at = &below->get_object();
  }
  for (const auto& [name, value] : *at) {
    if (value.is_string()) take(value.get_string(), file, out);
  }
}

}  // namespace

Result<Names> secret_names(const fs::path& root, const std::string& environment) {
  Names out;
  for (const auto& file : config_files()) {
    // It names none, and what is wrong with it is said by whoever deploys, with reasons.
    if (file.path == std::string_view("config/deployment_config.yml")) continue;
    auto read = load_configuration(root, file.path, environment);
    if (!read) return fail(std::move(read.error()));
    for (const auto& named : secrets_named(*read)) take(named.name, std::string(file.path), out);
    if (file.path == std::string_view("sabir.yml")) take_headers(read->value, std::string(file.path), out);
    if (file.path == std::string_view("config/openai_config.yml")) take_models(read->value, std::string(file.path), out);
  }
  return out;
}

}  // namespace sabir::project
