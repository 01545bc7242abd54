#include "sabir/deploy/target.h"

namespace sabir::deploy {
namespace {

Result<std::unique_ptr<Target>> make(TargetContext) { return fail(ErrorCode::kUnavailable, "the target local is not there yet"); }

}  // namespace

Driver local_driver() { return {"local", "processes of this machine, supervised", {"folder", "host", "port", "environment"}, make}; }

}  // namespace sabir::deploy
