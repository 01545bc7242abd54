#include "sabir/models/registry.h"

#include <algorithm>
#include <set>

#include "cache/cached_model.h"
#include "checked_model.h"
#include "granted_model.h"
#include "local_model.h"
#include "money/metered_model.h"
#include "openai/openai_model.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "scripted_model.h"
#include "settings.h"

namespace sabir::models {
namespace {

constexpr const char* kFile = "config/openai_config.yml";
const std::vector<std::string> kProviders = {"openai", "anthropic", "local", "scripted"};

// Runs on this machine.
bool is_free(const std::string& provider) { return provider == "local" || provider == "scripted"; }

// What determines an answer: all but what is done when there is none.
json::object answering_settings(json::object object) {
  for (const auto& key : policy_keys()) object.erase(key);
  object.erase("parameters");
  return object;
}

Result<PriceTable> shipped_prices(const std::filesystem::path& file) {
  auto text = read_file(file, std::size_t{1} << 20U);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value) return fail(std::move(value.error()));
  return PriceTable::from_json(*value, "models/prices.json");
}

}  // namespace

std::shared_ptr<PolicyStates> make_policy_states() { return std::make_shared<PolicyStates>(); }

Result<std::shared_ptr<const Models>> Models::from_config(const json::object& config, ModelsOptions options,
                                                          const std::string& file, const project::Positions& positions) {
  Settings reader(file, positions);
  if (auto problems = project::check_config(config, project::find_config_file(kFile)->type, file, positions); !problems.empty()) return fail(std::move(problems.front()));
  const auto* list = config.if_contains("models");
  if (list->get_object().empty()) {
    return fail(reader.wrong("/models", file + ": it names no models",
                             "Write, for example: models: {local: {provider: local, model: NAME}}; docs/models.md has the keys."));
  }
  auto prices = std::make_shared<PriceTable>();
  if (!options.prices.empty()) {
    auto shipped = shipped_prices(options.prices);
    if (!shipped) return fail(std::move(shipped.error()));
    *prices = std::move(*shipped);
  }
  read_prices(reader, config, *prices);
  const Budgets budgets = read_budgets(reader, config);
  if (reader.problem) return fail(*reader.problem);
  if (budgets.any() && !options.ledger) {
    Error error = options.no_ledger.value_or(Error(ErrorCode::kBudget, "nothing keeps the accounts of this project"));
    error.message = "there are budgets, and what was spent cannot be read: " + error.message;
    return fail(std::move(error));
  }
  if (!options.client) options.client = std::make_shared<net::HttpClient>();
  auto models = std::make_shared<Models>();
  models->file_ = file;
  models->prices_ = prices;
  std::map<std::string, std::string> other_names;  // alias -> alias
  std::map<std::string, Target> targets;
  std::map<std::string, Caching> cachings;
  if (!options.policies) options.policies = make_policy_states();
  for (const auto& member : list->get_object()) {
    const std::string alias(member.key());
    const std::string pointer = "/models/" + alias;
    if (member.value().is_string()) {
      other_names[alias] = std::string(member.value().get_string());
      continue;
    }
    if (!member.value().is_object()) return fail(reader.wrong(pointer, file + ": model '" + alias + "' is neither a map nor another model's name"));
    json::object object = member.value().get_object();
    Entry entry;
    for (const auto& change : options.switches) {
      if (change.alias != alias || !object.contains("model")) continue;
      object["model"] = change.to;
      entry.switched = change;
    }
    entry.name = string_or(object, "model");
    entry.provider = reader.text(object, "provider", pointer);
    if (std::find(kProviders.begin(), kProviders.end(), entry.provider) == kProviders.end()) {
      const std::string near = did_you_mean(entry.provider, kProviders);
      return fail(reader.wrong(object.contains("provider") ? pointer + "/provider" : pointer,
                               file + ": model '" + alias + "': " +
                                   (entry.provider.empty() ? "it names no provider" : "unknown provider '" + entry.provider + "'"),
                               near.empty() ? "Providers are openai (any compatible server), anthropic, local and scripted." : near));
    }
    std::shared_ptr<Model> leaf;
    int retries = 0;  // a model on this machine that fails will fail again
    if (entry.provider == "openai") {
      auto openai = read_openai(reader, object, pointer, alias);
      entry.secret = openai.key;
      retries = 3;
      if (!reader.problem) leaf = make_openai_model(std::move(openai), options.client, options.secrets);
    } else if (entry.provider == "anthropic") {
      auto anthropic = read_anthropic(reader, object, pointer, alias);
      entry.secret = anthropic.key;
      retries = 3;
      if (!reader.problem) leaf = make_anthropic_model(std::move(anthropic), options.client, options.secrets);
    } else if (entry.provider == "local") {
      LocalSpec spec;
      spec.name = reader.text(object, "model", pointer);
      if (spec.name.empty()) reader.complain(pointer, "a local model needs `model`, a name that `sabir model list` shows, or a .gguf file");
      if (spec.name.ends_with(".gguf") && !std::filesystem::path(spec.name).is_absolute()) spec.name = (options.root / spec.name).string();
      spec.context_tokens = static_cast<int>(reader.number(object, "context", pointer, 256, 1 << 20, 0));
      spec.threads = static_cast<int>(reader.number(object, "threads", pointer, 1, 1024, 0));
      spec.idle = reader.duration(object, "idle", pointer, spec.idle);
      auto parameters = read_parameters(reader, object, pointer);
      if (!reader.problem) leaf = make_local_model(std::move(spec), std::move(parameters), options.local);
    } else {
      const std::string script = reader.text(object, "script", pointer);
      const auto* replies = object.if_contains("replies");
      if (script.empty() == (replies == nullptr)) reader.complain(pointer, "a scripted model needs either `script`, a JSON file, or `replies`");
      if (!reader.problem && replies != nullptr) {
        auto model = make_scripted_model(*replies, file + ": model '" + alias + "'", alias);
        if (!model) return fail(reader.wrong(pointer + "/replies", model.error().message, model.error().hint));
        leaf = std::move(*model);
      } else if (!reader.problem) {
        leaf = make_scripted_model(options.root / script, script, alias);
      }
    }
    const PolicyOptions policy = read_policy(reader, object, pointer, retries);
    entry.fallbacks = reader.texts(object, "fallbacks", pointer);
    const auto ttl = read_cache(reader, object, pointer);
    if (ttl.count() > 0 && entry.provider == "scripted") {
      reader.complain(pointer + "/cache", "a scripted model's answers are not kept", "Its replies come in their order; remove `cache`.");
    }
    if (reader.problem) return fail(*reader.problem);
    Meter meter{alias, entry.provider, entry.name.empty() ? alias : entry.name, reader.object(object, "parameters", pointer),
                is_free(entry.provider), prices, budgets, options.ledger};
    if (options.cache && entry.provider != "scripted") {
      cachings.emplace(alias, Caching{options.cache, ttl, {{}, alias, meter.provider, meter.model}, answering_settings(object), meter.parameters, options.ledger});
    }
    entry.network_alone = (entry.provider == "openai" || entry.provider == "anthropic") && ttl.count() <= 0 && !budgets.any();
    leaf = make_granted_model(std::move(leaf), options.secrets);
    leaf = make_metered_model(std::move(leaf), std::move(meter));
    targets.emplace(alias, Target{alias, std::move(leaf), policy, options.policies->of(alias, policy.breaker, policy.limits)});
    entry.parameters = reader.object(object, "parameters", pointer);
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
    other_names.at(alias) = at;
  }
  std::vector<std::string> names;
  for (const auto& [alias, target] : targets) names.push_back(alias);
  for (const auto& [alias, target] : other_names) names.push_back(alias);
  std::set<std::string> alone;
  for (const auto& [alias, entry] : models->models_) {
    if (entry.network_alone) alone.insert(alias);
  }
  for (auto& [alias, entry] : models->models_) {
    std::vector<Target> fallbacks;
    for (const auto& name : entry.fallbacks) {
      const auto renamed = other_names.find(name);
      const std::string& real = renamed == other_names.end() ? name : renamed->second;
      const std::string pointer = "/models/" + alias + "/fallbacks";
      const auto found = targets.find(real);
      if (found == targets.end()) {
        return fail(reader.wrong(pointer, file + ": model '" + alias + "' falls back to '" + name + "', which is not under models", did_you_mean(name, names)));
      }
      const auto same = [&](const Target& other) { return other.alias == real; };
      if (real == alias || std::any_of(fallbacks.begin(), fallbacks.end(), same)) {
        return fail(reader.wrong(pointer, file + ": model '" + alias + "' has '" + name + "' twice in its order of fallbacks",
                                 "Its fallbacks are other models, each once."));
      }
      fallbacks.push_back(found->second);
      entry.network_alone = entry.network_alone && alone.contains(real);
    }
    entry.model = make_checked_model(make_policy_model(targets.at(alias), std::move(fallbacks)), alias);
    if (const auto caching = cachings.find(alias); caching != cachings.end()) entry.model = make_cached_model(std::move(entry.model), std::move(caching->second));
    entry.description = entry.model->description();
  }
  for (const auto& [alias, target] : other_names) {
    Entry entry = models->models_.at(target);
    entry.name.clear();  // what it stands for is switched there
    entry.switched.reset();
    models->models_.emplace(alias, std::move(entry));
  }

  names.clear();
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
  auto read = project::read_configuration(options.root, *project::find_config_file(kFile), options.environment);
  if (!read) return fail(std::move(read.error()));
  if (!read->exists()) return fail(Error(ErrorCode::kNotFound, std::string(kFile) + ": no such file", "Write one; docs/models.md shows its keys.").at(kFile));
  return from_config(read->value, std::move(options), kFile, read->positions);
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

std::optional<double> Models::cost_usd(const std::string& model, const Usage& usage) const {
  if (const auto price = prices_->find(model)) return static_cast<double>(price->of(usage)) / 1e9;
  for (const auto& [alias, entry] : models_) {
    if (entry.name == model && is_free(entry.provider)) return 0;
  }
  return std::nullopt;
}

Result<ModelInfo> Models::info(const std::string& alias) const {
  if (auto known = get(alias); !known) return fail(std::move(known.error()));
  const std::string& wanted = !alias.empty() ? alias : !override_.empty() ? override_ : default_;
  const auto found = models_.find(wanted);
  if (found == models_.end()) return fail(ErrorCode::kNotFound, "there is no model '" + wanted + "'");
  return info_of(found->first, found->second);
}

bool Models::network_alone(const std::string& alias) const {
  const auto found = models_.find(alias);
  return found != models_.end() && found->second.network_alone;
}

ModelInfo Models::info_of(const std::string& alias, const Entry& entry) const {
  const std::string& chosen = override_.empty() ? default_ : override_;
  return {alias,          entry.provider, entry.description,          entry.secret,   alias == chosen,
          entry.fallbacks, entry.name,    entry.parameters,           entry.switched, entry.network_alone};
}

std::vector<ModelInfo> Models::list() const {
  std::vector<ModelInfo> out;
  for (const auto& [alias, entry] : models_) out.push_back(info_of(alias, entry));
  return out;
}

}  // namespace sabir::models
