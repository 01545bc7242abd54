// Reads what `terraform show -json PLAN` prints. Source: https://developer.hashicorp.com/terraform/internals/json-format
// Private to the room.
//
// Threads: plain function.
#pragma once

#include "sabir/base/json.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {

// Changes of resources, and drift: what Terraform found changed, and what the module's own output `drift` (a list of texts) says.
// Values that Terraform marks as sensitive are left out.
TargetPlan read_plan(const json::object& plan);

}  // namespace sabir::deploy
