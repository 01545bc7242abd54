#include "sabir/project/deployment.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr const char* kFile = "config/deployment_config.yml";

bool is_environment_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string_view::npos && name.front() != '-';
}

Result<DeploymentEnvironment> read_one(const std::string& name, const json::value& value, const Shape& shape) {
  const std::string at = "/environments/" + name;
  if (!is_environment_name(name)) return fail(shape.wrong(at, "'" + name + "' cannot name an environment", "Lower-case letters, digits, - and _, 64 at most."));
  if (!value.is_object()) return fail(shape.wrong(at, "an environment must be a mapping, not " + kind_of(value), "Write, for example: " + name + ": {target: local}"));
  DeploymentEnvironment out;
  out.name = name;
  out.file = shape.file;
  out.line = position_of(shape.positions, at).first;
  out.approval = name == "production" ? DeployApproval::kTyped : DeployApproval::kAsk;
  for (const auto& [pointer, position] : shape.positions) {
    if (pointer.starts_with(at + "/")) out.positions[pointer.substr(at.size())] = position;
  }
  for (const auto& [key, one] : value.get_object()) {
    const std::string here = at + "/" + std::string(key);
    if (key == "target") {
      auto text = shape.text(one, here);
      if (!text) return fail(std::move(text.error()));
      out.target = std::move(*text);
    } else if (key == "approval") {
      auto text = shape.text(one, here);
      if (!text) return fail(std::move(text.error()));
      if (*text != "ask" && *text != "typed") return fail(shape.wrong(here, "approval cannot be '" + *text + "'", "It is ask (y/N) or typed (the environment's name, letter by letter)."));
      if (*text == "ask" && name == "production") return fail(shape.wrong(here, "production's approval is typed, always", "Leave the key out. In CI, --yes says so."));
      out.approval = *text == "typed" ? DeployApproval::kTyped : DeployApproval::kAsk;
    } else if (key == "health") {
      auto ms = shape.duration_ms(one, here);
      if (!ms) return fail(std::move(ms.error()));
      out.health = std::chrono::milliseconds(*ms);
    } else if (key == "smoke") {
      if (!one.is_bool()) return fail(shape.wrong(here, "smoke must be true or false, not " + kind_of(one)));
      out.smoke = one.get_bool();
    } else if (key == "keep") {
      auto number = shape.whole(one, here, 1, 100);
      if (!number) return fail(std::move(number.error()));
      out.keep = *number;
    } else {
      out.own[key] = one;
    }
  }
  if (out.target.empty()) return fail(shape.wrong(at, "the environment " + name + " has no target", "Write, for example: " + name + ": {target: local}"));
  return out;
}

// The environment's own file goes over the common one, key by key.
void lay_over(json::object& below, const json::object& above) {
  for (const auto& [key, value] : above) {
    auto* there = below.if_contains(key);
    if (there && there->is_object() && value.is_object()) lay_over(there->get_object(), value.get_object());
    else below[key] = value;
  }
}

Result<json::object> read_environments(const std::filesystem::path& root, Shape& shape) {
  auto value = read_yaml(root / shape.file, &shape.positions);
  if (!value) {
    value.error().file = shape.file;
    return fail(std::move(value.error()));
  }
  if (!value->is_object()) return fail(shape.wrong("", shape.file + " must be a mapping, not " + kind_of(*value), "Write: environments: {development: {target: local}}"));
  if (auto ok = refuse_unknown_keys(value->get_object(), {"environments"}, shape.file, shape.positions, ""); !ok) return fail(std::move(ok.error()));
  const auto* environments = value->get_object().if_contains("environments");
  if (!environments || environments->is_null()) return json::object();
  if (!environments->is_object()) return fail(shape.wrong("/environments", "environments must be a mapping, not " + kind_of(*environments), "Write: environments: {development: {target: local}}"));
  return environments->get_object();
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
  Shape shape{kFile, {}};
  auto environments = read_environments(root, shape);
  if (!environments) {
    if (environments.error().code == ErrorCode::kNotFound) {
      return fail(Error(ErrorCode::kNotFound, std::string(kFile) + " is not there, so nobody knows where to deploy to", "Write into it: environments: {development: {target: local}}"));
    }
    return fail(std::move(environments.error()));
  }
  Deployment out;
  for (const auto& [name, value] : *environments) {
    Shape own = shape;
    json::value merged = value;
    const std::string overlay = "config/deployment_config." + std::string(name) + ".yml";
    if (std::error_code ec; std::filesystem::exists(root / overlay, ec)) {
      Shape above{overlay, {}};
      auto over = read_environments(root, above);
      if (!over) return fail(std::move(over.error()));
      for (const auto& [other, _] : *over) {
        if (other != name) return fail(above.wrong("/environments/" + std::string(other), overlay + " is about " + std::string(name) + " alone, and not about " + std::string(other)));
      }
      if (const auto* mine = over->if_contains(name); mine && mine->is_object() && merged.is_object()) {
        // Its own mistakes are shown in it.
        if (auto alone = json::object(mine->get_object()); alone.emplace("target", "local").second || true) {
          if (auto good = read_one(std::string(name), alone, above); !good) return fail(std::move(good.error()));
        }
        lay_over(merged.get_object(), mine->get_object());
      }
    }
    auto one = read_one(std::string(name), merged, own);
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
