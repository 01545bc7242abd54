#include "sabir/deploy/target.h"

namespace sabir::deploy {
namespace {

Result<std::unique_ptr<Target>> make(TargetContext) { return fail(ErrorCode::kUnavailable, "the target terraform is not there yet"); }

}  // namespace

Driver terraform_driver() { return {"terraform", "a module below deploy/terraform, applied by terraform or tofu", {"module", "variables", "folder"}, make}; }

}  // namespace sabir::deploy
