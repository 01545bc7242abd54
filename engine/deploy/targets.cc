#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {

const std::vector<Driver>& drivers() {
  static const std::vector<Driver> all = {local_driver(), terraform_driver()};
  return all;
}

Result<std::unique_ptr<Target>> make_target(TargetContext context) {
  const auto& settings = context.settings;
  const auto& all = drivers();
  const auto driver = std::find_if(all.begin(), all.end(), [&](const Driver& one) { return one.name == settings.target; });
  if (driver == all.end()) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(one.name);
    const std::string near = did_you_mean(settings.target, names);
    return fail(settings.wrong("/target", "'" + settings.target + "' is no target", near.empty() ? "Targets are " + join(names, ", ") + "." : near));
  }
  std::vector<std::string> known(driver->keys);
  for (const char* key : project::kDeploymentKeys) known.emplace_back(key);
  for (const auto& [key, _] : settings.own) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = did_you_mean(key, known);
    return fail(settings.wrong("/" + std::string(key), "the target " + settings.target + " has no key '" + std::string(key) + "'", near.empty() ? "It has " + join(known, ", ") + "." : near));
  }
  return driver->make(std::move(context));
}

}  // namespace sabir::deploy
