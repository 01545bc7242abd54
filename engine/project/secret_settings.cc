#include "sabir/project/secret_settings.h"

#include <algorithm>
#include <array>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr const char* kFile = "config/secrets_config.yml";
constexpr std::array kPlaces = {"environment", "file", "age", "aws", "vault"};

struct Text {
  const char* key;
  std::string* target;
};

Result<void> read_texts(const json::object& object, const std::string& at, const Shape& shape, const std::vector<Text>& texts) {
  for (const auto& one : texts) {
    const auto* value = object.if_contains(one.key);
    if (!value) continue;
    auto text = shape.text(*value, at + "/" + one.key);
    if (!text) return fail(std::move(text.error()));
    *one.target = std::move(*text);
  }
  return {};
}

Result<void> read_order(const json::value& value, const Shape& shape, std::vector<std::string>& out) {
  auto order = shape.texts(value, "/order");
  if (!order) return fail(std::move(order.error()));
  if (order->empty()) return fail(shape.wrong("/order", "order names no place", "Write, for example: order: [environment, file]"));
  for (std::size_t i = 0; i < order->size(); ++i) {
    const std::string& place = (*order)[i];
    const std::string at = "/order/" + std::to_string(i);
    if (std::find(kPlaces.begin(), kPlaces.end(), place) == kPlaces.end()) {
      const std::string near = did_you_mean(place, {kPlaces.begin(), kPlaces.end()});
      return fail(shape.wrong(at, "'" + place + "' is no place for secrets", near.empty() ? "Places are environment, file, age, aws and vault." : near));
    }
    if (std::count(order->begin(), order->end(), place) > 1) return fail(shape.wrong(at, "'" + place + "' stands there twice"));
  }
  out = std::move(*order);
  return {};
}

Result<void> read_all(const json::object& object, const Shape& shape, secrets::Settings& out) {
  if (const auto* app = object.if_contains("app")) {
    auto text = shape.text(*app, "/app");
    if (!text) return fail(std::move(text.error()));
    out.app = std::move(*text);
  }
  if (const auto* order = object.if_contains("order")) {
    if (auto ok = read_order(*order, shape, out.order); !ok) return ok;
  }
  if (const auto* refresh = object.if_contains("refresh")) {
    auto ms = shape.duration_ms(*refresh, "/refresh");
    if (!ms) return fail(std::move(ms.error()));
    if (*ms < 1000) return fail(shape.wrong("/refresh", "secrets cannot be asked for again more often than each second", "Write, for example: refresh: 5m"));
    out.refresh = std::chrono::seconds(*ms / 1000);
  }
  const std::array<std::pair<const char*, std::vector<Text>>, 3> sections = {{
      {"age", {{"identity", &out.age.identity}, {"recipients", &out.age.recipients}}},
      {"aws", {{"region", &out.aws.region}, {"endpoint", &out.aws.endpoint}, {"profile", &out.aws.profile}, {"prefix", &out.aws.prefix}}},
      {"vault",
       {{"address", &out.vault.address}, {"mount", &out.vault.mount}, {"prefix", &out.vault.prefix}, {"namespace", &out.vault.name_space}, {"auth", &out.vault.auth}, {"role", &out.vault.role}}},
  }};
  for (const auto& [name, texts] : sections) {
    const auto* value = object.if_contains(name);
    if (!value) continue;
    const std::string at = std::string("/") + name;
    if (!value->is_object()) return fail(shape.wrong(at, std::string(name) + " must be a mapping, not " + kind_of(*value), std::string("Write, for example: ") + name + ": {" + texts.front().key + ": …}"));
    if (auto ok = read_texts(value->get_object(), at, shape, texts); !ok) return ok;
  }
  const auto& auth = out.vault.auth;
  if (auth != "token" && auth != "approle" && auth != "kubernetes") {
    return fail(shape.wrong("/vault/auth", "vault.auth cannot be '" + auth + "'", "It is token, approle or kubernetes."));
  }
  if (auth != "token" && out.vault.role.empty()) return fail(shape.wrong("/vault", "vault.auth: " + auth + " needs vault.role"));
  return {};
}

}  // namespace

Result<secrets::Settings> read_secret_settings(const std::filesystem::path& root, const std::string& environment, const std::string& name) {
  secrets::Settings out;
  out.app = name;
  out.environment = environment;
  auto read = load_configuration(root, kFile, environment);
  if (!read) return fail(std::move(read.error()));
  const Shape shape{kFile, std::move(read->positions)};
  if (auto ok = read_all(read->value, shape, out); !ok) return fail(std::move(ok.error()));
  return out;
}

Result<secrets::Settings> read_secret_settings(const std::filesystem::path& root, const std::string& environment) {
  auto own = read_configuration(root, *find_config_file("sabir.yml"), environment);
  std::string name = root.filename().string();
  if (own) name = string_or(own->value, "name", name);
  return read_secret_settings(root, environment, name);
}

}  // namespace sabir::project
