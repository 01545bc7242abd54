// config/deployment_config.yml.
#include "files.h"

namespace sabir::project::config {
namespace {

// What every target has.
std::vector<ConfigKey> common() { return {}; }

std::vector<ConfigKey> local() { return {}; }
std::vector<ConfigKey> docker() { return {}; }
std::vector<ConfigKey> terraform() { return {}; }
std::vector<ConfigKey> cloudformation() { return {}; }

}  // namespace

ConfigFile deployment_file() {
  return {
      "config/deployment_config.yml", "Where the project is deployed to, by environment.", "",
      map({
          {"environments",
           table("ENVIRONMENT", variant("target",
                                        {
                                            {"local", map(plus(local(), common()))},
                                            {"docker", map(plus(docker(), common()))},
                                            {"terraform", map(plus(terraform(), common()))},
                                            {"cloudformation", map(plus(cloudformation(), common()))},
                                        })),
           "", "An environment by its name: what it runs on, and how.", "{development: {target: local}}"},
      })};
}

}  // namespace sabir::project::config
