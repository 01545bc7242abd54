// Grants: which function may read which secret. A grant is a line of config/grants.yml or the function's own
// `Secrets:` tag; without one nothing is given.
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

class Grants {
 public:
  // `config` is config/grants.yml as JSON: {"functions": {ADDRESS: [secret, …]}}. An address is "module.function" or
  // "language/module.function"; "module.*" grants to the whole file. `file` is what errors call it. Errors: kConfig.
  static Result<Grants> from_config(const json::object& config, const std::string& file = "config/grants.yml");

  // `address` is the function's full address ("python/weather.current"); `declared` its own Secrets: tags.
  bool allowed(std::string_view address, std::string_view secret, const std::vector<std::string>& declared) const;

  // The secrets that anything is granted; sorted, each once.
  std::vector<std::string> names() const;

  // The refusal for a function that is not allowed: kNotGranted with the line to add.
  static Error refusal(std::string_view address, std::string_view secret);

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> functions_;
};

}  // namespace sabir::secrets
