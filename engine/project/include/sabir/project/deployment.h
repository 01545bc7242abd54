// Reads config/deployment_config.yml: where each environment is deployed to.
//
// Threads: plain values and functions.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/project/project.h"

namespace sabir::project {

enum class DeployApproval {
  kAsk,    // y/N at a terminal, or --yes
  kTyped,  // the environment's name typed at a terminal, or --yes
};

struct DeploymentEnvironment {
  std::string name;                       // "staging"
  std::string target;                     // "local", "docker", "terraform", "cloudformation"
  DeployApproval approval = DeployApproval::kAsk;  // in production kTyped
  std::chrono::milliseconds health{60'000};  // in which /readyz has to say 200
  bool smoke = true;                      // whether tests/integration run against what was deployed
  int keep = 3;                           // releases that stay at the target besides the one that answers
  json::object own;                       // the target's own keys, by name, as the schema allows them
  std::string file;                       // "config/deployment_config.yml"
  int line = 0;                           // of the environment
  Positions positions;                    // JSON Pointer from the environment ("/variables/region") -> line, column

  // kConfig at the value's place in the file.
  Error wrong(const std::string& pointer, std::string message, std::string hint = {}) const;
  // The target's own key as text, number or whatever; `otherwise` where it is absent. Errors: kConfig when it is of another kind.
  Result<std::string> text(const std::string& key, std::string otherwise = {}) const;
  Result<int> whole(const std::string& key, int otherwise, int least, int most) const;
  Result<std::vector<std::string>> texts(const std::string& key) const;
  Result<json::object> mapping(const std::string& key) const;
};

struct Deployment {
  std::vector<DeploymentEnvironment> environments;  // in the file's order
};

// Errors: kNotFound where the file is not there, kConfig at file:line:column.
Result<Deployment> read_deployment(const std::filesystem::path& root);
// One of them. Errors: kNotFound with the names that are there.
Result<DeploymentEnvironment> read_deployment(const std::filesystem::path& root, const std::string& environment);

}  // namespace sabir::project
