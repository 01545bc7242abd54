// Models: the models of a project by alias, as config/openai_config.yml names them.
//
// Threads: immutable after load(); get() from any thread. Lifetimes: a Model keeps what it needs alive.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/answer_cache.h"
#include "sabir/models/ledger.h"
#include "sabir/models/local_runtime.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/project/project.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

class PriceTable;

// Limits and circuit breakers by alias. One for an engine's whole life, so that they outlive a reading of the configuration.
class PolicyStates;
std::shared_ptr<PolicyStates> make_policy_states();

struct ModelsOptions {
  std::filesystem::path root;                         // the project's; a script's path is relative to it
  std::string environment = "development";            // adds config/openai_config.<environment>.yml on top
  std::string alias_override;                         // SABIR_MODEL; "" = the configured default
  std::shared_ptr<const secrets::Secrets> secrets;    // may be null when no model has a key
  std::shared_ptr<LocalRuntime> local;                // may be null: local models are unavailable then
  std::shared_ptr<net::HttpClient> client;            // null = an own one
  std::shared_ptr<PolicyStates> policies;             // null = own ones
  std::filesystem::path prices;                       // the prices that come with Sabir; "" = only the project's own
  std::shared_ptr<Ledger> ledger;                     // null: no calls are booked, and there may be no budgets
  std::optional<Error> no_ledger;                     // why it is null
  std::shared_ptr<AnswerCache> cache;                 // null: no answers are kept
  std::vector<Switch> switches;                       // models that aliases stand for in place of the configuration's
};

struct ModelInfo {
  std::string alias;
  std::string provider;
  std::string description;  // "gpt-4.1 (openai, api.openai.com:443)"
  std::string secret;       // the key's secret name; "" = none
  bool is_default = false;
  std::vector<std::string> fallbacks;
  std::string model;                    // the name that its provider knows; "" where it has none
  json::object parameters;              // those of the configuration
  std::optional<Switch> switched;
  bool network_alone = false;           // an answer waits for its server and for nothing else: no budget, no cache
};

class Models {
 public:
  // Reads <root>/config/openai_config.yml and the environment's overlay. Errors: kNotFound, kConfig with file:line:column.
  static Result<std::shared_ptr<const Models>> load(ModelsOptions options);

  // The same from values; `positions` may be empty.
  static Result<std::shared_ptr<const Models>> from_config(const json::object& config, ModelsOptions options,
                                                           const std::string& file = "config/openai_config.yml",
                                                           const project::Positions& positions = {});

  // "" = the override, else the default. Errors: kNotFound with the nearest aliases.
  Result<std::shared_ptr<Model>> get(const std::string& alias = {}) const;
  // What get() of the same alias would give. Errors: as get().
  Result<ModelInfo> info(const std::string& alias = {}) const;
  bool has(const std::string& alias) const { return models_.contains(alias); }
  bool network_alone(const std::string& alias) const;  // as ModelInfo has it; false where there is no such model
  std::vector<ModelInfo> list() const;
  // What so many tokens of a model cost, by the name that its provider knows; nothing where its price is not known.
  std::optional<double> cost_usd(const std::string& model, const Usage& usage) const;
  const std::string& default_alias() const { return default_; }

 private:
  struct Entry {
    std::shared_ptr<Model> model;
    std::string description;
    std::string provider;
    std::string secret;
    std::vector<std::string> fallbacks;
    std::string name;
    json::object parameters;
    std::optional<Switch> switched;
    bool network_alone = false;
  };
  ModelInfo info_of(const std::string& alias, const Entry& entry) const;
  std::map<std::string, Entry> models_;
  std::string default_;
  std::string override_;
  std::string file_;
  std::shared_ptr<const PriceTable> prices_;
};

}  // namespace sabir::models
