#include <algorithm>
#include <cctype>

#include "sabir/base/text.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {
namespace {

// Services that run containers, as people call them.
bool is_container_service(std::string_view name) {
  static const std::vector<std::string_view> known{"ecs", "fargate", "ecs_fargate", "app_runner", "apprunner", "eks", "kubernetes", "k8s", "helm", "cloud_run", "cloudrun", "gke", "lambda", "aks",
                                                   "container_apps", "aci", "fly", "heroku", "render", "nomad"};
  return std::find(known.begin(), known.end(), name) != known.end();
}

}  // namespace

const std::vector<Driver>& drivers() {
  static const std::vector<Driver> all = {local_driver(), docker_driver(), terraform_driver(), cloudformation_driver()};
  return all;
}

Result<std::unique_ptr<Target>> make_target(TargetContext context) {
  const auto& settings = context.settings;
  const auto& all = drivers();
  const auto driver = std::find_if(all.begin(), all.end(), [&](const Driver& one) { return one.name == settings.target; });
  if (driver == all.end()) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(one.name);
    std::string plain = settings.target;
    for (char& c : plain) c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (is_container_service(plain)) {
      return fail(settings.wrong("/target", "'" + settings.target + "' is a service of containers, and the project's state would not outlive one: memory, journal and traces are SQLite files, which need one disk that stays, and one machine at a time",
                                 "Until the store is PostgreSQL: terraform or cloudformation (an instance with a volume of its own), or docker on a machine of yours."));
    }
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
