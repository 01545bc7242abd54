// Grants: who may read which secret: functions, assistants' own code and prompts. A grant is a line of config/grants.yml or
// the holder's own declaration; without one nothing is given.
//
// Threads: immutable after from_config().
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::secrets {

enum class Holder { kFunction, kAssistant, kPrompt };

class Grants {
 public:
  // `config` is config/grants.yml as JSON: {"functions": {ADDRESS: [secret, …]}, "assistants": {NAME: […]}, "prompts": {NAME: […]}}.
  // An address is "module.function" or "language/module.function"; "module.*" grants to the whole file. An assistant's name
  // may have its language in front; a prompt's is its path below completions/, and "support/*" is a folder's. `file` is what
  // errors call it. Errors: kConfig.
  static Result<Grants> from_config(const json::object& config, const std::string& file = "config/grants.yml");

  // `name` is a function's full address ("python/weather.current"), an assistant's name with its language
  // ("ruby/archivist") or a prompt's name; `declared` what it says itself.
  bool allowed(Holder holder, std::string_view name, std::string_view secret, const std::vector<std::string>& declared) const;
  bool allowed(std::string_view address, std::string_view secret, const std::vector<std::string>& declared) const {
    return allowed(Holder::kFunction, address, secret, declared);
  }

  // The secrets that anything is granted; sorted, each once.
  std::vector<std::string> names() const;

  // The refusal for one that is not allowed: kNotGranted with the line to add and the file to add it to. `file` is the
  // holder's own, where it is known.
  static Error refusal(Holder holder, std::string_view name, std::string_view secret, std::string_view file = {});

 private:
  using Table = std::map<std::string, std::vector<std::string>, std::less<>>;
  std::map<Holder, Table> tables_;
};

}  // namespace sabir::secrets
