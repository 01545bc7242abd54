#include <algorithm>

#include "sabir/deploy/target.h"

namespace sabir::deploy {
const std::vector<Driver>& drivers() {
  static const std::vector<Driver> all = {local_driver(), docker_driver(), terraform_driver(), cloudformation_driver()};
  return all;
}

Result<std::unique_ptr<Target>> make_target(TargetContext context) {
  const auto& settings = context.settings;
  const auto& all = drivers();
  const auto driver = std::find_if(all.begin(), all.end(), [&](const Driver& one) { return one.name == settings.target; });
  if (driver == all.end()) return fail(settings.wrong("/target", "'" + settings.target + "' is no target"));
  return driver->make(std::move(context));
}

}  // namespace sabir::deploy
