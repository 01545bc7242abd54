#include "settings.h"

#include <algorithm>
#include <cmath>

#include "sabir/base/text.h"
#include "sabir/models/answer_cache.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {
namespace {

using std::chrono::milliseconds;

// Members of a request that the engine fills in itself.
const std::vector<std::string> kReserved = {"model", "messages", "input", "tools", "stream", "stream_options", "n", "response_format"};

std::string pointer_text(std::string_view pointer) {
  std::string out;
  for (const char c : pointer.substr(pointer.starts_with('/') ? 1 : 0)) out += c == '/' ? '.' : c;
  return out;
}

}  // namespace

Error Settings::wrong(const std::string& pointer, const std::string& message, const std::string& hint) const {
  return project::at_position(Error(ErrorCode::kConfig, message, hint), positions_, pointer, file_);
}

void Settings::complain(const std::string& pointer, const std::string& message, const std::string& hint) {
  if (!problem) problem = wrong(pointer, file_ + ": " + pointer_text(pointer) + ": " + message, hint);
}

std::string Settings::text(const json::object& object, const char* key, const std::string& pointer, std::string otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (value->is_string()) return std::string(value->get_string());
  complain(pointer + "/" + key, std::string(key) + " is not a text");
  return otherwise;
}

std::int64_t Settings::number(const json::object& object, const char* key, const std::string& pointer, std::int64_t least, std::int64_t most,
                              std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (value->is_int64() && value->get_int64() >= least && value->get_int64() <= most) return value->get_int64();
  complain(pointer + "/" + key, std::string(key) + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return otherwise;
}

bool Settings::flag(const json::object& object, const char* key, const std::string& pointer, bool otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (value->is_bool()) return value->get_bool();
  complain(pointer + "/" + key, std::string(key) + " is neither true nor false");
  return otherwise;
}

milliseconds Settings::duration(const json::object& object, const char* key, const std::string& pointer, milliseconds otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  const std::string written = value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
  if (const auto ms = project::parse_duration_ms(written)) return milliseconds(*ms);
  complain(pointer + "/" + key, std::string(key) + " '" + written + "' is not a duration", "Write it like 500ms, 30s or 2m.");
  return otherwise;
}

json::object Settings::object(const json::object& parent, const char* key, const std::string& pointer) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_object()) return value->get_object();
  complain(pointer + "/" + key, std::string(key) + " is not a map");
  return {};
}

std::vector<std::string> Settings::texts(const json::object& parent, const char* key, const std::string& pointer) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return {std::string(value->get_string())};
  std::vector<std::string> out;
  if (value->is_array()) {
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) {
        complain(pointer + "/" + key, std::string(key) + " is not a list of texts");
        return {};
      }
      out.emplace_back(item.get_string());
    }
    return out;
  }
  complain(pointer + "/" + key, std::string(key) + " is not a list of texts");
  return {};
}

const std::vector<std::string>& policy_keys() {
  static const std::vector<std::string> keys = {"fallbacks", "retries", "patience", "timeout", "limits", "circuit_breaker", "cache"};
  return keys;
}

PolicyOptions read_policy(Settings& settings, const json::object& object, const std::string& pointer, int retries) {
  PolicyOptions options;
  options.retries = static_cast<int>(settings.number(object, "retries", pointer, 0, 10, retries));
  options.patience = settings.duration(object, "patience", pointer, options.patience);
  options.timeout = settings.duration(object, "timeout", pointer, milliseconds(0));
  const auto limits = settings.object(object, "limits", pointer);
  const std::string at = pointer + "/limits";
  options.limits.requests_per_minute = settings.number(limits, "requests_per_minute", at, 1, 10'000'000, 0);
  options.limits.tokens_per_minute = settings.number(limits, "tokens_per_minute", at, 1, 1'000'000'000'000, 0);
  options.limits.concurrency = static_cast<int>(settings.number(limits, "concurrency", at, 1, 10'000, 0));
  options.limits.queue = static_cast<int>(settings.number(limits, "queue", at, 0, 10'000, options.limits.queue));
  options.limits.wait = settings.duration(limits, "wait", at, options.limits.wait);
  const auto* breaker_value = object.if_contains("circuit_breaker");
  if (breaker_value != nullptr && breaker_value->is_bool() && !breaker_value->get_bool()) {
    options.breaker.failures = 0;
  } else {
    const auto breaker = settings.object(object, "circuit_breaker", pointer);
    const std::string place = pointer + "/circuit_breaker";
    options.breaker.failures = static_cast<int>(settings.number(breaker, "failures", place, 1, 1000, options.breaker.failures));
    options.breaker.window = settings.duration(breaker, "window", place, options.breaker.window);
    options.breaker.open = settings.duration(breaker, "open", place, options.breaker.open);
  }
  return options;
}

milliseconds read_cache(Settings& settings, const json::object& object, const std::string& pointer) {
  const auto cache = settings.object(object, "cache", pointer);
  if (cache.empty()) return milliseconds(0);
  const auto* written = cache.if_contains("ttl");
  const auto ttl = written != nullptr ? parse_ttl(written->is_string() ? std::string(written->get_string()) : compact_json(*written)) : std::nullopt;
  if (!ttl) settings.complain(pointer + "/cache/ttl", "ttl is not a time that answers are kept for", "Write it like 10m, 1h or 7d; a year is the most.");
  return ttl.value_or(milliseconds(0));
}

void read_prices(Settings& settings, const json::object& config, PriceTable& prices) {
  for (const auto& member : settings.object(config, "prices", "")) {
    const std::string name(member.key());
    auto price = PriceTable::price(member.value());
    if (!price) {
      settings.complain("/prices/" + name, price.error().message, "In USD for a million tokens: " + name + ": {input: 0.25, output: 2, cached_input: 0.025}");
      return;
    }
    prices.set(name, *price);
  }
}

Budgets read_budgets(Settings& settings, const json::object& config) {
  Budgets budgets;
  const auto object = settings.object(config, "budgets", "");
  const auto read = [&](const char* key, std::optional<Budget>& into) {
    const auto inner = settings.object(object, key, "/budgets");
    if (inner.empty()) return;
    const std::string at = std::string("/budgets/") + key;
    Budget budget;
    if (const auto* usd = inner.if_contains("usd"); usd != nullptr && !usd->is_null()) {
      if (!usd->is_number() || !(usd->to_number<double>() >= 0) || usd->to_number<double>() > 1e9) {
        settings.complain(at + "/usd", "usd is not an amount from 0 to 1000000000");
      } else {
        budget.nusd = std::llround(usd->to_number<double>() * 1e9);
      }
    }
    if (inner.contains("tokens")) budget.tokens = settings.number(inner, "tokens", at, 0, 1'000'000'000'000'000, 0);
    into = budget;
  };
  read("day", budgets.day);
  read("month", budgets.month);
  read("run", budgets.run);
  read("user", budgets.user);
  read("user_month", budgets.user_month);
  return budgets;
}

json::object read_parameters(Settings& settings, const json::object& object, const std::string& pointer) {
  auto parameters = settings.object(object, "parameters", pointer);
  for (const auto& member : parameters) {
    if (std::find(kReserved.begin(), kReserved.end(), member.key()) != kReserved.end()) {
      settings.complain(pointer + "/parameters/" + std::string(member.key()),
                        "'" + std::string(member.key()) + "' is set by the engine and cannot be a parameter");
    }
  }
  return parameters;
}

void read_endpoint(Settings& settings, const json::object& object, const std::string& pointer, Endpoint& endpoint) {
  endpoint.model = settings.text(object, "model", pointer);
  if (endpoint.model.empty()) {
    settings.complain(pointer, "a model of provider " + std::string(string_or(object, "provider")) + " needs `model`, the name its server knows");
  }
  endpoint.base_url = settings.text(object, "base_url", pointer, endpoint.base_url);
  while (endpoint.base_url.ends_with('/')) endpoint.base_url.pop_back();
  if (net::host_and_port(endpoint.base_url).empty()) {
    settings.complain(pointer + "/base_url", "base_url is not an http or https address", "Write it like https://api.openai.com/v1.");
  }
  endpoint.key = settings.text(object, "key", pointer);
  if (!endpoint.key.empty() && !secrets::is_secret_name(endpoint.key)) {
    settings.complain(pointer + "/key", "key is not a secret's name",
                      "`key` is the name of a secret, like openai_api_key; the key itself goes into config/secrets.json or the environment.");
  }
  for (const auto& header : settings.object(object, "headers", pointer)) {
    if (!header.value().is_string()) {
      settings.complain(pointer + "/headers/" + std::string(header.key()), "a header's value is not a text");
      continue;
    }
    endpoint.headers.emplace_back(header.key(), header.value().get_string());
  }
  endpoint.parameters = read_parameters(settings, object, pointer);
  endpoint.stream = settings.flag(object, "stream", pointer, true);
  const std::string structured = settings.text(object, "structured_output", pointer, "native");
  if (structured != "native" && structured != "prompt") {
    settings.complain(pointer + "/structured_output", "structured_output is '" + structured + "'; it is native or prompt");
  }
  endpoint.native_schema = structured == "native";
  endpoint.connect_timeout = settings.duration(object, "connect_timeout", pointer, endpoint.connect_timeout);
  endpoint.first_token_timeout = settings.duration(object, "first_token_timeout", pointer, endpoint.first_token_timeout);
  endpoint.idle_timeout = settings.duration(object, "idle_timeout", pointer, endpoint.idle_timeout);
}

OpenAiOptions read_openai(Settings& settings, const json::object& object, const std::string& pointer, const std::string& alias) {
  OpenAiOptions options;
  options.alias = alias;
  read_endpoint(settings, object, pointer, options);
  const bool openai = is_openai_host(options.base_url);
  const std::string api = settings.text(object, "api", pointer, openai ? "responses" : "chat");
  if (api != "chat" && api != "responses") settings.complain(pointer + "/api", "api is '" + api + "'; it is chat or responses");
  options.api = api == "chat" ? OpenAiApi::kChat : OpenAiApi::kResponses;
  // OpenAI's key goes to OpenAI unasked, and nowhere else.
  if (options.key.empty() && openai) options.key = "openai_api_key";
  options.organization = settings.text(object, "organization", pointer);
  options.project = settings.text(object, "project", pointer);
  return options;
}

AnthropicOptions read_anthropic(Settings& settings, const json::object& object, const std::string& pointer, const std::string& alias) {
  AnthropicOptions options;
  options.alias = alias;
  read_endpoint(settings, object, pointer, options);
  // Anthropic's key goes to Anthropic unasked, and nowhere else.
  if (options.key.empty() && is_anthropic_host(options.base_url)) options.key = "anthropic_api_key";
  options.version = settings.text(object, "version", pointer, options.version);
  if (options.version.find_first_not_of("0123456789-") != std::string::npos) {
    settings.complain(pointer + "/version", "version is not a date like 2023-06-01", "Write it in quotes: YAML has dates of its own.");
  }
  return options;
}

}  // namespace sabir::models
