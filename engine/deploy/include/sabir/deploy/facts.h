// Facts: what of a release people want to see when it changes: files, functions with their schemas, exposure, configuration, names of
// secrets, the engine. One JSON object, kept beside each release in the backend; never a secret's value.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/deploy/bundle.h"
#include "sabir/functions/registry.h"
#include "sabir/project/project.h"

namespace sabir::deploy {

struct FactSources {
  const project::Project& project;
  const functions::Registry& registry;
  const Bundle& bundle;
  std::vector<std::string> secret_names;
  std::string commit;                                   // of git; "" = none, "…+" = with changes that are not committed
  std::function<std::string(std::string)> redact;
};
// {"format", "commit", "engine", "languages", "files", "functions", "exposure", "config", "secrets"}. Errors: kConfig.
Result<json::object> facts_of(const FactSources& sources);

enum class Sign { kAdded, kRemoved, kChanged };
struct Difference {
  std::string section;   // "files", "functions", "exposure", "config", "secrets", "engine"
  Sign sign = Sign::kChanged;
  std::string what;      // "functions/python/weather.py", "openai_config.yml: model"
  std::string detail;    // "gpt-5 -> gpt-5-mini"
};
// In the order of the sections. Either may be empty: nothing was there.
std::vector<Difference> differences(const json::object& before, const json::object& after);
json::array to_json(const std::vector<Difference>& differences);

// The names of secrets that the environment's grants and configuration use; sorted.
Result<std::vector<std::string>> secret_names_of(const project::Project& project, const functions::Registry& registry);
// The commit of the project's repository.
std::string commit_of(const std::filesystem::path& root);

}  // namespace sabir::deploy
