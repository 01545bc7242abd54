#include "sabir/models/registry.h"

#include <algorithm>
#include <set>

#include "local_model.h"
#include "openai/openai_model.h"
#include "sabir/base/text.h"
#include "scripted_model.h"

namespace sabir::models {
namespace {

// Reads one model's settings; every complaint carries the place in the user's file.
class ConfigReader {
 public:
  ConfigReader(const std::string& file, const project::Positions& positions) : file_(file), positions_(positions) {}

  Error wrong(const std::string& pointer, const std::string& message, const std::string& hint = {}) const {
    const auto [line, column] = project::position_of(positions_, pointer);
    return Error(ErrorCode::kConfig, message, hint).at(file_, line, column);
  }

  Result<void> only(const json::object& object, const std::vector<std::string>& known, const std::string& pointer) const {
    return project::refuse_unknown_keys(object, known, file_, positions_, pointer);
  }

  // The first member of another kind than asked for is kept as `problem`.
  std::string text(const json::object& object, const char* key, const std::string& pointer, std::string otherwise = {}) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return otherwise;
    if (value->is_string()) return std::string(value->get_string());
    complain(pointer + "/" + key, std::string(key) + " is not a text");
    return otherwise;
  }
  std::int64_t number(const json::object& object, const char* key, const std::string& pointer, std::int64_t least,
                      std::int64_t most, std::int64_t otherwise) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return otherwise;
    if (value->is_int64() && value->get_int64() >= least && value->get_int64() <= most) return value->get_int64();
    complain(pointer + "/" + key, std::string(key) + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return otherwise;
  }
  bool flag(const json::object& object, const char* key, const std::string& pointer, bool otherwise) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return otherwise;
    if (value->is_bool()) return value->get_bool();
    complain(pointer + "/" + key, std::string(key) + " is neither true nor false");
    return otherwise;
  }
  std::chrono::milliseconds duration(const json::object& object, const char* key, const std::string& pointer,
                                     std::chrono::milliseconds otherwise) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return otherwise;
    const std::string written = value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
    if (const auto ms = project::parse_duration_ms(written)) return std::chrono::milliseconds(*ms);
    complain(pointer + "/" + key, std::string(key) + " '" + written + "' is not a duration", "Write it like 500ms, 30s or 2m.");
    return otherwise;
  }
  json::object object(const json::object& parent, const char* key, const std::string& pointer) {
    const auto* value = parent.if_contains(key);
    if (value == nullptr || value->is_null()) return {};
    if (value->is_object()) return value->get_object();
    complain(pointer + "/" + key, std::string(key) + " is not a map");
    return {};
  }
  void complain(const std::string& pointer, const std::string& message, const std::string& hint = {}) {
    if (!problem) problem = wrong(pointer, file_ + ": " + pointer_text(pointer) + ": " + message, hint);
  }
  static std::string pointer_text(std::string_view pointer) {
    std::string out;
    for (const char c : pointer.substr(pointer.starts_with('/') ? 1 : 0)) out += c == '/' ? '.' : c;
    return out;
  }

  std::optional<Error> problem;

 private:
  const std::string& file_;
  const project::Positions& positions_;
};

const std::vector<std::string> kProviders = {"openai", "local", "scripted"};

// Members of a request that the engine fills in itself.
const std::vector<std::string> kReserved = {"model", "messages", "input", "tools", "stream", "stream_options", "n", "response_format"};

json::object read_parameters(ConfigReader& reader, const json::object& object, const std::string& pointer) {
  auto parameters = reader.object(object, "parameters", pointer);
  for (const auto& member : parameters) {
    if (std::find(kReserved.begin(), kReserved.end(), member.key()) != kReserved.end()) {
      reader.complain(pointer + "/parameters/" + std::string(member.key()),
                      "'" + std::string(member.key()) + "' is set by the engine and cannot be a parameter");
    }
  }
  return parameters;
}

OpenAiOptions read_openai(ConfigReader& reader, const json::object& object, const std::string& pointer, const std::string& alias) {
  OpenAiOptions options;
  options.alias = alias;
  options.model = reader.text(object, "model", pointer);
  if (options.model.empty()) reader.complain(pointer, "a model of provider openai needs `model`, the name its server knows");
  options.base_url = reader.text(object, "base_url", pointer, options.base_url);
  while (options.base_url.ends_with('/')) options.base_url.pop_back();
  if (net::host_and_port(options.base_url).empty()) {
    reader.complain(pointer + "/base_url", "base_url is not an http or https address", "Write it like https://api.openai.com/v1.");
  }
  const bool openai = is_openai_host(options.base_url);
  const std::string api = reader.text(object, "api", pointer, openai ? "responses" : "chat");
  if (api != "chat" && api != "responses") reader.complain(pointer + "/api", "api is '" + api + "'; it is chat or responses");
  options.api = api == "chat" ? OpenAiApi::kChat : OpenAiApi::kResponses;
  // OpenAI's key goes to OpenAI unasked, and nowhere else.
  options.key = reader.text(object, "key", pointer, openai ? "openai_api_key" : "");
  if (!options.key.empty() && !secrets::is_secret_name(options.key)) {
    reader.complain(pointer + "/key", "key is not a secret's name",
                    "`key` is the name of a secret, like openai_api_key; the key itself goes into config/secrets.json or the environment.");
  }
  options.organization = reader.text(object, "organization", pointer);
  options.project = reader.text(object, "project", pointer);
  for (const auto& header : reader.object(object, "headers", pointer)) {
    if (!header.value().is_string()) {
      reader.complain(pointer + "/headers/" + std::string(header.key()), "a header's value is not a text");
      continue;
    }
    options.headers.emplace_back(header.key(), header.value().get_string());
  }
  options.parameters = read_parameters(reader, object, pointer);
  options.stream = reader.flag(object, "stream", pointer, true);
  options.retries = static_cast<int>(reader.number(object, "retries", pointer, 0, 3, 3));
  options.timeout = reader.duration(object, "timeout", pointer, std::chrono::milliseconds(0));
  options.connect_timeout = reader.duration(object, "connect_timeout", pointer, options.connect_timeout);
  return options;
}

// `over` on top of `base`: maps are merged, everything else is replaced.
void merge(json::object& base, const json::object& over) {
  for (const auto& member : over) {
    auto* own = base.if_contains(member.key());
    if (own != nullptr && own->is_object() && member.value().is_object()) {
      merge(own->get_object(), member.value().get_object());
    } else {
      base[member.key()] = member.value();
    }
  }
}

}  // namespace

Result<std::shared_ptr<const Models>> Models::from_config(const json::object& config, ModelsOptions options,
                                                          const std::string& file, const project::Positions& positions) {
  ConfigReader reader(file, positions);
  if (auto known = reader.only(config, {"default", "models"}, ""); !known) return fail(known.error());
  const auto* list = config.if_contains("models");
  if (list == nullptr || !list->is_object() || list->get_object().empty()) {
    return fail(reader.wrong("/models", file + ": it names no models",
                             "Write, for example: models: {local: {provider: local, model: NAME}}; docs/models.md has the keys."));
  }
  if (!options.client) options.client = std::make_shared<net::HttpClient>();
  auto models = std::make_shared<Models>();
  models->file_ = file;
  std::map<std::string, std::string> other_names;  // alias -> alias
  for (const auto& member : list->get_object()) {
    const std::string alias(member.key());
    const std::string pointer = "/models/" + alias;
    if (member.value().is_string()) {
      other_names[alias] = std::string(member.value().get_string());
      continue;
    }
    if (!member.value().is_object()) return fail(reader.wrong(pointer, file + ": model '" + alias + "' is neither a map nor another model's name"));
    const auto& object = member.value().get_object();
    Entry entry;
    entry.provider = reader.text(object, "provider", pointer);
    if (std::find(kProviders.begin(), kProviders.end(), entry.provider) == kProviders.end()) {
      const std::string near = did_you_mean(entry.provider, kProviders);
      return fail(reader.wrong(object.contains("provider") ? pointer + "/provider" : pointer,
                               file + ": model '" + alias + "': " +
                                   (entry.provider.empty() ? "it names no provider" : "unknown provider '" + entry.provider + "'"),
                               near.empty() ? "Providers are openai (any compatible server), local and scripted." : near));
    }
    if (entry.provider == "openai") {
      if (auto known = reader.only(object, {"provider", "model", "api", "base_url", "key", "organization", "project", "headers", "parameters",
                                            "stream", "retries", "timeout", "connect_timeout"}, pointer); !known) {
        return fail(known.error());
      }
      auto openai = read_openai(reader, object, pointer, alias);
      entry.secret = openai.key;
      if (!reader.problem) entry.model = make_openai_model(std::move(openai), options.client, options.secrets);
    } else if (entry.provider == "local") {
      if (auto known = reader.only(object, {"provider", "model", "parameters", "context", "threads", "idle", "timeout"}, pointer); !known) {
        return fail(known.error());
      }
      LocalSpec spec;
      spec.name = reader.text(object, "model", pointer);
      if (spec.name.empty()) reader.complain(pointer, "a local model needs `model`, a name that `sabir model list` shows, or a .gguf file");
      if (spec.name.ends_with(".gguf") && !std::filesystem::path(spec.name).is_absolute()) spec.name = (options.root / spec.name).string();
      spec.context_tokens = static_cast<int>(reader.number(object, "context", pointer, 256, 1 << 20, 0));
      spec.threads = static_cast<int>(reader.number(object, "threads", pointer, 1, 1024, 0));
      spec.idle = reader.duration(object, "idle", pointer, spec.idle);
      const auto timeout = reader.duration(object, "timeout", pointer, std::chrono::milliseconds(0));
      auto parameters = read_parameters(reader, object, pointer);
      if (!reader.problem) entry.model = make_local_model(std::move(spec), std::move(parameters), timeout, options.local);
    } else {
      if (auto known = reader.only(object, {"provider", "script", "replies"}, pointer); !known) return fail(known.error());
      const std::string script = reader.text(object, "script", pointer);
      const auto* replies = object.if_contains("replies");
      if (script.empty() == (replies == nullptr)) reader.complain(pointer, "a scripted model needs either `script`, a JSON file, or `replies`");
      if (!reader.problem && replies != nullptr) {
        auto model = make_scripted_model(*replies, file + ": model '" + alias + "'", alias);
        if (!model) return fail(reader.wrong(pointer + "/replies", model.error().message, model.error().hint));
        entry.model = std::move(*model);
      } else if (!reader.problem) {
        entry.model = make_scripted_model(options.root / script, script, alias);
      }
    }
    if (reader.problem) return fail(*reader.problem);
    models->models_.emplace(alias, std::move(entry));
  }
  for (const auto& [alias, target] : other_names) {
    std::string at = target;
    std::set<std::string> visited = {alias};
    while (other_names.contains(at) && visited.insert(at).second) at = other_names.at(at);
    const auto found = models->models_.find(at);
    if (found == models->models_.end() || other_names.contains(at)) {
      return fail(reader.wrong("/models/" + alias, file + ": model '" + alias + "' stands for '" + target + "', which is no model"));
    }
    const Entry entry = found->second;
    models->models_.emplace(alias, entry);
  }

  std::vector<std::string> names;
  for (const auto& [alias, entry] : models->models_) names.push_back(alias);
  models->default_ = reader.text(config, "default", "", names.size() == 1 ? names.front() : "");
  if (reader.problem) return fail(*reader.problem);
  if (models->default_.empty()) {
    return fail(reader.wrong("", file + ": it has several models and no `default`", "Add `default: " + names.front() + "`."));
  }
  if (!models->models_.contains(models->default_)) {
    return fail(reader.wrong("/default", file + ": default is '" + models->default_ + "', which is not under models",
                             did_you_mean(models->default_, names)));
  }
  models->override_ = options.alias_override;
  return std::shared_ptr<const Models>(std::move(models));
}

Result<std::shared_ptr<const Models>> Models::load(ModelsOptions options) {
  const std::string file = "config/openai_config.yml";
  project::Positions positions;
  auto value = project::read_yaml(options.root / file, &positions);
  if (!value) {
    if (value.error().code == ErrorCode::kNotFound) {
      return fail(Error(ErrorCode::kNotFound, file + ": no such file", "Write one; docs/models.md shows its keys.").at(file));
    }
    return fail(value.error());
  }
  if (!value->is_object()) return fail(Error(ErrorCode::kConfig, file + ": not a map", "docs/models.md shows its keys.").at(file));
  json::object config = value->get_object();
  const std::string overlay_file = "config/openai_config." + options.environment + ".yml";
  auto overlay = project::read_yaml(options.root / overlay_file);
  if (overlay && overlay->is_object()) {
    merge(config, overlay->get_object());
  } else if (!overlay && overlay.error().code != ErrorCode::kNotFound) {
    return fail(overlay.error());
  } else if (overlay && !overlay->is_null()) {
    return fail(Error(ErrorCode::kConfig, overlay_file + ": not a map").at(overlay_file));
  }
  return from_config(config, std::move(options), file, positions);
}

Result<std::shared_ptr<Model>> Models::get(const std::string& alias) const {
  const std::string& wanted = !alias.empty() ? alias : !override_.empty() ? override_ : default_;
  const auto found = models_.find(wanted);
  if (found != models_.end()) return found->second.model;
  std::vector<std::string> names;
  for (const auto& [name, entry] : models_) names.push_back(name);
  const std::string near = did_you_mean(wanted, names);
  return fail(ErrorCode::kNotFound,
              "there is no model '" + wanted + "' in " + file_ + (alias.empty() && !override_.empty() ? " (SABIR_MODEL names it)" : ""),
              near.empty() ? "It has: " + join(names, ", ") + "." : near);
}

std::vector<ModelInfo> Models::list() const {
  std::vector<ModelInfo> out;
  const std::string& chosen = override_.empty() ? default_ : override_;
  for (const auto& [alias, entry] : models_) {
    out.push_back({alias, entry.provider, entry.model->description(), entry.secret, alias == chosen});
  }
  return out;
}

}  // namespace sabir::models
