#include "sabir/project/deployment.h"

#include <algorithm>
#include <cctype>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr const char* kFile = "config/deployment_config.yml";

// Services that run containers, as people call them.
bool is_container_service(std::string_view target) {
  static const std::vector<std::string_view> known{"ecs", "fargate", "ecs_fargate", "app_runner", "apprunner", "eks", "kubernetes", "k8s", "helm", "cloud_run", "cloudrun", "gke", "lambda", "aks",
                                                   "container_apps", "aci", "fly", "heroku", "render", "nomad"};
  std::string plain(target);
  for (char& c : plain) c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(known.begin(), known.end(), plain) != known.end();
}

// What the schema has no words for; looked at before the schema is.
Result<void> refuse_container_services(const json::object& environments, const Shape& shape) {
  for (const auto& [name, one] : environments) {
    const std::string target(one.is_object() ? string_or(one.get_object(), "target") : "");
    if (!is_container_service(target)) continue;
    return fail(shape.wrong("/environments/" + escape_pointer(name) + "/target",
                            "'" + target + "' is a service of containers, and the project's state would not outlive one: memory, journal and traces are SQLite files, which need one disk that stays, and one machine at a time",
                            "Until the store is PostgreSQL: terraform or cloudformation (an instance with a volume of its own), or docker on a machine of yours."));
  }
  return {};
}

// REQUIRES: the schema allows `value`.
Result<DeploymentEnvironment> read_one(const std::string& name, const json::object& value, const Shape& shape) {
  const std::string at = "/environments/" + escape_pointer(name);
  DeploymentEnvironment out;
  out.name = name;
  out.file = shape.file;
  out.line = position_of(shape.positions, at).first;
  out.approval = name == "production" ? DeployApproval::kTyped : DeployApproval::kAsk;
  for (auto it = shape.positions.lower_bound(at + "/"); it != shape.positions.end() && it->first.starts_with(at + "/"); ++it) out.positions[it->first.substr(at.size())] = it->second;
  for (const auto& [key, one] : value) {
    const std::string here = at + "/" + std::string(key);
    if (key == "target") {
      out.target = one.as_string();
    } else if (key == "approval") {
      if (one.as_string() == "ask" && name == "production") return fail(shape.wrong(here, "production's approval is typed, always", "Leave the key out. In CI, --yes says so."));
      out.approval = one.as_string() == "typed" ? DeployApproval::kTyped : DeployApproval::kAsk;
    } else if (key == "health") {
      auto ms = shape.duration_ms(one, here);
      if (!ms) return fail(std::move(ms.error()));
      out.health = std::chrono::milliseconds(*ms);
    } else if (key == "smoke") {
      out.smoke = one.as_bool();
    } else if (key == "keep") {
      out.keep = static_cast<int>(one.as_int64());
    } else {
      out.own[key] = one;
    }
  }
  return out;
}

// The environments as they hold in one of them. Errors: kNotFound, kConfig.
Result<json::object> read_environments(const std::filesystem::path& root, const std::string& environment, Shape& shape) {
  const ConfigFile* file = find_config_file(kFile);
  if (file == nullptr) return fail(ErrorCode::kInternal, std::string("no schema of ") + kFile);
  auto read = read_configuration(root, *file, environment);
  if (!read) return fail(std::move(read.error()));
  if (!read->exists()) return fail(Error(ErrorCode::kNotFound, std::string(kFile) + " is not there, so nobody knows where to deploy to", "Write into it: environments: {development: {target: local}}"));
  shape.positions = std::move(read->positions);
  const auto* environments = read->value.if_contains("environments");
  if (environments != nullptr && environments->is_object()) {
    if (auto ok = refuse_container_services(environments->get_object(), shape); !ok) return fail(std::move(ok.error()));
  }
  if (auto ok = read->check(); !ok) return fail(std::move(ok.error()));
  return environments == nullptr ? json::object() : environments->as_object();
}

// Those of the common file, in its order; what is wrong with it otherwise is for the schema to say.
Result<std::vector<std::string>> environments_named(const std::filesystem::path& root) {
  std::vector<std::string> out;
  auto value = read_yaml(root / kFile);
  if (value && value->is_object()) {
    const auto* environments = value->get_object().if_contains("environments");
    if (environments != nullptr && environments->is_object()) {
      for (const auto& [name, _] : environments->get_object()) out.emplace_back(name);
    }
  }
  if (!out.empty()) return out;
  Shape shape{kFile, {}};
  auto checked = read_environments(root, "development", shape);
  if (!checked) return fail(std::move(checked.error()));
  return out;
}

}  // namespace

Error DeploymentEnvironment::wrong(const std::string& pointer, std::string message, std::string hint) const {
  Error error(ErrorCode::kConfig, std::move(message), std::move(hint));
  if (position_of(positions, pointer).first == 0) return std::move(error).at(file, line, 0);
  return at_position(std::move(error), positions, pointer, file);
}

Result<std::string> DeploymentEnvironment::text(const std::string& key, std::string otherwise) const {
  const auto* value = own.if_contains(key);
  if (!value) return otherwise;
  if (!value->is_string() || value->get_string().empty()) return fail(wrong("/" + key, key + " must be text, not " + kind_of(*value)));
  return std::string(value->get_string());
}

Result<int> DeploymentEnvironment::whole(const std::string& key, int otherwise, int least, int most) const {
  const auto* value = own.if_contains(key);
  if (!value) return otherwise;
  if (!value->is_int64() || value->get_int64() < least || value->get_int64() > most) {
    return fail(wrong("/" + key, key + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", not " + kind_of(*value)));
  }
  return static_cast<int>(value->get_int64());
}

Result<std::vector<std::string>> DeploymentEnvironment::texts(const std::string& key) const {
  std::vector<std::string> out;
  const auto* value = own.if_contains(key);
  if (!value) return out;
  if (!value->is_array()) return fail(wrong("/" + key, key + " must be a list, not " + kind_of(*value)));
  for (const auto& one : value->get_array()) {
    if (!one.is_string()) return fail(wrong("/" + key, key + " must be a list of texts, and " + kind_of(one) + " stands in it"));
    out.emplace_back(one.get_string());
  }
  return out;
}

Result<json::object> DeploymentEnvironment::mapping(const std::string& key) const {
  const auto* value = own.if_contains(key);
  if (!value) return json::object();
  if (!value->is_object()) return fail(wrong("/" + key, key + " must be a mapping, not " + kind_of(*value)));
  return value->get_object();
}

Result<Deployment> read_deployment(const std::filesystem::path& root) {
  auto names = environments_named(root);
  if (!names) return fail(std::move(names.error()));
  Deployment out;
  for (const auto& name : *names) {
    if (!is_environment_name(name)) return fail(Error(ErrorCode::kConfig, "'" + name + "' cannot name an environment", "Lower-case letters, digits, - and _, 32 at most.").at(kFile));
    Shape own{kFile, {}};
    auto all = read_environments(root, name, own);
    if (!all) return fail(std::move(all.error()));
    // What its overlay says of others would hold nowhere.
    for (const auto& [pointer, position] : own.positions) {
      const std::string prefix = "/environments/" + escape_pointer(name);
      if (!position.file || !pointer.starts_with("/environments/") || pointer == prefix || pointer.starts_with(prefix + "/")) continue;
      return fail(own.wrong(pointer, *position.file + " is about " + name + " alone"));
    }
    // Without a value, or taken away by its overlay.
    const auto* mine = all->if_contains(name);
    if (mine == nullptr) return fail(own.wrong("/environments/" + escape_pointer(name), "the environment " + name + " has no target", "Write, for example: " + name + ": {target: local}"));
    auto one = read_one(name, mine->as_object(), own);
    if (!one) return fail(std::move(one.error()));
    out.environments.push_back(std::move(*one));
  }
  return out;
}

Result<DeploymentEnvironment> read_deployment(const std::filesystem::path& root, const std::string& environment) {
  auto all = read_deployment(root);
  if (!all) return fail(std::move(all.error()));
  std::vector<std::string> names;
  for (auto& one : all->environments) {
    if (one.name == environment) return std::move(one);
    names.push_back(one.name);
  }
  const std::string near = did_you_mean(environment, names);
  return fail(Error(ErrorCode::kNotFound, "config/deployment_config.yml has no environment '" + environment + "'", !near.empty() ? near : names.empty() ? "It has none at all." : "It has " + join(names, ", ") + ".")
                  .at(kFile, 0, 0));
}

}  // namespace sabir::project
