// config/deployment_config.yml.
#include "files.h"

namespace sabir::project::config {
namespace {

// What every target has.
std::vector<ConfigKey> common() {
  return {
      {"approval", choice({"ask", "typed"}), "(ask; in production typed)", "What a person answers before something changes: yes, or the environment's name. In CI, --yes says so.", "typed"},
      {"health", duration(), "1m", "How long a new release may take until /readyz says that all is ready.", "3m"},
      {"smoke", boolean(), "true", "Whether tests/integration run against what was deployed.", "false"},
      {"keep", integer(1, 100), "3", "How many older releases stay at hand for a rollback.", "5"},
  };
}

ConfigKey folder() { return {"folder", text(), ".sabir/ENVIRONMENT/deploy", "Where releases, state, ledger and lock are kept; one that several checkouts share makes them one.", "~/deployed/shop"}; }

std::vector<ConfigKey> local() {
  return {
      folder(),
      {"host", text(), "127.0.0.1", "The address of this machine that it listens at.", "127.0.0.1"},
      {"port", integer(0, 65535), "0", "Its port; 0 is a free one, which is kept.", "8080"},
      {"environment", list(text()), "[]", "Variables of the shell that the engine has besides PATH and the like.", "[WEATHER_API_URL]"},
  };
}

std::vector<ConfigKey> docker() {
  return {
      {"tool", choice({"docker", "podman", "buildah"}), "(whichever is there)", "What builds images.", "podman"},
      {"dockerfile", text(), "Dockerfile", "What the image is built by.", "deploy/Dockerfile"},
      {"host", text(), "127.0.0.1", "The address of this machine that the container's port is bound to.", "127.0.0.1"},
      {"port", integer(1, 65535), "8080", "That port.", "8443"},
      {"network", text(), "", "The network that the container joins.", "shop"},
      {"env_file", text(), "", "A file of variables that the container gets; it is never in the image.", "/etc/shop/env"},
      {"build_args", table("NAME", text()), "{}", "Arguments of the Dockerfile.", "{BASE: debian:bookworm-slim}"},
      {"folder", text(), "(below $XDG_STATE_HOME/sabir)", "Where ledger, lock and state are kept.", "/var/lib/shop"},
  };
}

// Where AWS's targets keep releases, ledger and lock.
std::vector<ConfigKey> aws() {
  return {
      {"bucket", text(), "", "The S3 bucket that keeps releases, ledger and lock.", "shop-releases"},
      {"region", text(), "(as AWS's own programs find it)", "The region.", "eu-central-1"},
      {"profile", text(), "(as AWS's own programs find it)", "The profile of ~/.aws.", "deploy"},
      {"endpoint", text(), "", "Another address than AWS's own, for stand-ins.", "http://127.0.0.1:5000"},
  };
}

std::vector<ConfigKey> terraform() {
  return plus(
      {
          {"module", text(), "deploy/terraform/preview", "The folder of the module.", "deploy/terraform/aws"},
          {"variables", either({text(), table("NAME", any())}), "{}", "The module's variables: a file of the project, or themselves.", "deploy/terraform/staging.tfvars"},
          {"program", text(), "(terraform, else tofu)", "The program that applies the module.", "tofu"},
          folder(),
      },
      aws());
}

std::vector<ConfigKey> cloudformation() {
  return plus(
      {
          {"stack", text(), "APP-ENVIRONMENT", "The stack's name.", "shop-staging"},
          {"template", text(), "deploy/cloudformation/service.yml", "The template.", "deploy/stack.yml"},
          {"parameters", text(), "deploy/cloudformation/ENVIRONMENT.yml", "The file of its parameters.", "deploy/parameters.yml"},
      },
      aws());
}

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
