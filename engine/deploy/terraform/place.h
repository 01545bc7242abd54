// Where a Terraform environment's ledger and state live, and what its module gets besides: for modules of this machine a folder, for those of
// AWS a bucket. Private to the room.
//
// Threads: plain values; made for one target.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sabir/deploy/target.h"

namespace sabir::deploy {

struct TerraformPlace {
  std::shared_ptr<Backend> backend;
  std::map<std::string, std::string> state;     // what `terraform init` is told of the module's empty backend block: path, or bucket, key, region
  std::filesystem::path work;                   // the plan, Terraform's own data, variables: mode 0700
  // Variables that the module gets where it declares them.
  std::function<Result<json::object>(const Release&)> variables;
  std::function<Result<void>(const json::object& outputs, const LogOptions&, const Say&)> logs;
  std::function<Result<void>(const Say&)> before_apply;  // may be empty
  std::map<std::string, std::string> environment;  // of the program, besides what it has
};

// In `folder` of the settings, or in .sabir/<environment>/deploy.
Result<TerraformPlace> folder_place(const TargetContext& context);
// In the bucket of the settings. `tfvars` is the text of the environment's variables, whose `region` counts where the settings have none.
Result<TerraformPlace> s3_place(const TargetContext& context, std::string_view tfvars);

// The value of `name = "…"` in a file of variables; "" = it has none.
std::string text_variable(std::string_view tfvars, std::string_view name);

}  // namespace sabir::deploy
