// Models: the models of a project by alias, as config/openai_config.yml names them.
//
// Threads: immutable after load(); get() from any thread. Lifetimes: a Model keeps what it needs alive.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/local_runtime.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/project/project.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

struct ModelsOptions {
  std::filesystem::path root;                         // the project's; a script's path is relative to it
  std::string environment = "development";            // adds config/openai_config.<environment>.yml on top
  std::string alias_override;                         // SABIR_MODEL; "" = the configured default
  std::shared_ptr<const secrets::Secrets> secrets;    // may be null when no model has a key
  std::shared_ptr<LocalRuntime> local;                // may be null: local models are unavailable then
  std::shared_ptr<net::HttpClient> client;            // null = an own one
};

struct ModelInfo {
  std::string alias;
  std::string provider;
  std::string description;  // "gpt-4.1 (openai, api.openai.com:443)"
  std::string secret;       // the key's secret name; "" = none
  bool is_default = false;
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
  std::vector<ModelInfo> list() const;
  const std::string& default_alias() const { return default_; }

 private:
  struct Entry {
    std::shared_ptr<Model> model;
    std::string provider;
    std::string secret;
  };
  std::map<std::string, Entry> models_;
  std::string default_;
  std::string override_;
  std::string file_;
};

}  // namespace sabir::models
