// Settings: reads one model's settings from config/openai_config.yml, whose keys and types project/ has checked; every complaint carries the place in the user's file.
//
// Threads: one owner. Lifetimes: file and positions outlive it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anthropic/anthropic_model.h"
#include "money/prices.h"
#include "openai/openai_options.h"
#include "policy/policy_model.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/ledger.h"
#include "sabir/project/project.h"

namespace sabir::models {

class Settings {
 public:
  Settings(const std::string& file, const project::Positions& positions) : file_(file), positions_(positions) {}

  Error wrong(const std::string& pointer, const std::string& message, const std::string& hint = {}) const;

  // The first member of another kind than asked for is kept as `problem`.
  std::string text(const json::object& object, const char* key, const std::string& pointer, std::string otherwise = {});
  std::int64_t number(const json::object& object, const char* key, const std::string& pointer, std::int64_t least, std::int64_t most,
                      std::int64_t otherwise);
  bool flag(const json::object& object, const char* key, const std::string& pointer, bool otherwise);
  std::chrono::milliseconds duration(const json::object& object, const char* key, const std::string& pointer, std::chrono::milliseconds otherwise);
  json::object object(const json::object& parent, const char* key, const std::string& pointer);
  std::vector<std::string> texts(const json::object& parent, const char* key, const std::string& pointer);
  void complain(const std::string& pointer, const std::string& message, const std::string& hint = {});

  std::optional<Error> problem;

 private:
  const std::string& file_;
  const project::Positions& positions_;
};

// The keys that do not decide what is answered, and their values. `retries` is what holds without that key.
const std::vector<std::string>& policy_keys();
PolicyOptions read_policy(Settings& settings, const json::object& object, const std::string& pointer, int retries);

// `cache`: for how long answers are kept; 0 = they are not.
std::chrono::milliseconds read_cache(Settings& settings, const json::object& object, const std::string& pointer);

// `prices` and `budgets` of the whole configuration; the project's own prices are laid on `prices`.
void read_prices(Settings& settings, const json::object& config, PriceTable& prices);
Budgets read_budgets(Settings& settings, const json::object& config);

json::object read_parameters(Settings& settings, const json::object& object, const std::string& pointer);

// What every provider behind HTTP has; model, base_url and key are `endpoint`'s own where there are none.
void read_endpoint(Settings& settings, const json::object& object, const std::string& pointer, Endpoint& endpoint);

OpenAiOptions read_openai(Settings& settings, const json::object& object, const std::string& pointer, const std::string& alias);

AnthropicOptions read_anthropic(Settings& settings, const json::object& object, const std::string& pointer, const std::string& alias);

}  // namespace sabir::models
